"""What waits to be spoken: in order, bounded, the oldest turn first to go."""

from smolfusion_ros.speech.mouth_events import Dropped
from smolfusion_ros.speech.turn_queue import Clause, TurnQueue


def add(queue: TurnQueue, turn_id: str, *texts: str) -> list[Dropped]:
    return [dropped for text in texts for dropped in queue.add(turn_id, text, text, "en", 0.0)]


def take_all(queue: TurnQueue) -> list[str]:
    taken: list[str] = []
    while clause := queue.take():
        taken.append(clause.text)
    return taken


def test_a_turn_is_spoken_to_its_end_before_the_next() -> None:
    queue = TurnQueue()
    add(queue, "a", "a1")
    add(queue, "b", "b1")
    add(queue, "a", "a2")
    assert take_all(queue) == ["a1", "a2"]
    queue.complete("a")
    assert take_all(queue) == ["b1"]


def test_a_turn_that_fills_the_queue_keeps_its_beginning() -> None:
    queue = TurnQueue(max_clauses=3)
    dropped = add(queue, "a", *"123456")
    assert [each.text for each in dropped] == ["4", "5", "6"]
    assert take_all(queue) == ["1", "2", "3"]


def test_the_oldest_turn_makes_room_and_is_over() -> None:
    queue = TurnQueue(max_clauses=3)
    add(queue, "a", "a1", "a2")
    begun = queue.take()
    assert begun and begun.text == "a1"
    add(queue, "a", "a3")
    add(queue, "b", "b1")
    assert add(queue, "b", "b2") == [Dropped("a", "a2 a3", "3 clauses wait already")]
    assert add(queue, "a", "a4") == []
    assert take_all(queue) == ["b1", "b2"]
    assert queue.done() == []
    queue.settle(begun, "a1", 1.0)
    assert [(turn.turn_id, turn.text) for turn in queue.done()] == [("a", "a1")]


def test_what_was_dropped_is_cancelled_for_the_voice() -> None:
    queue = TurnQueue(max_clauses=1)
    add(queue, "a", "a1")
    waiting = queue.peek()
    assert isinstance(waiting, Clause)
    waiting.pieces.append(b"12")
    add(queue, "b", "b1")
    assert waiting.is_cancelled and not waiting.pieces


def test_nothing_comes_of_a_turn_that_ended() -> None:
    queue = TurnQueue()
    add(queue, "a", "a1")
    queue.end(queue.named("a"))
    add(queue, "a", "a2")
    assert queue.peek() is None
    assert queue.complete("a"), "known, so that its end is not told twice"


def test_ended_turns_are_remembered_within_bounds() -> None:
    queue = TurnQueue()
    for index in range(1000):
        queue.remember(str(index))
    add(queue, "0", "again")
    add(queue, "999", "late")
    assert take_all(queue) == ["again"]


def test_only_a_silent_unfinished_turn_before_others_blocks() -> None:
    queue = TurnQueue()
    add(queue, "a", "a1")
    clause = queue.take()
    assert clause
    queue.settle(clause, "a1", 5.0)
    assert queue.blocking() is None
    add(queue, "b", "b1")
    blocking = queue.blocking()
    assert blocking and blocking.turn_id == "a" and blocking.quiet_since_s == 5.0
    queue.complete("a")
    assert queue.blocking() is None
