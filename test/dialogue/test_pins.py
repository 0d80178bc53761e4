"""Sessions keep their slots, and the one that has been silent for the longest time gives its own away."""

from contextlib import ExitStack

from dialogue_bench import Bench, rest, run
from scripted_model import Capabilities, ScriptedModel

from smolfusion_ros.dialogue.pins import ANY_SLOT, Pins


def test_a_session_comes_back_to_its_slot() -> None:
    pins = Pins()
    slots = [pins.of(session, 3) for session in ("anna", "ben", "anna", "chris", "ben")]
    assert slots == [0, 1, 0, 2, 1]


def test_the_longest_silent_session_gives_its_slot_away() -> None:
    pins = Pins()
    for session in ("anna", "ben", "anna"):
        pins.of(session, 2)
    assert pins.of("chris", 2) == 1
    assert pins.of("anna", 2) == 0


def test_a_slot_in_use_is_not_given_away() -> None:
    pins = Pins()
    with ExitStack() as stack:
        assert stack.enter_context(pins.taken("anna", 2)) == 0
        pins.of("ben", 2)
        assert stack.enter_context(pins.taken("chris", 2)) == 1
        assert pins.of("dora", 2) == ANY_SLOT
    assert pins.of("dora", 2) == 0


def test_another_server_has_other_slots() -> None:
    pins = Pins()
    assert [pins.of(session, 3) for session in ("anna", "ben")] == [0, 1]
    assert pins.of("ben", 2) == 0
    assert pins.of("ben", 0) == ANY_SLOT


def test_a_forgotten_session_leaves_its_slot() -> None:
    pins = Pins()
    pins.of("anna", 2)
    pins.forget("anna")
    assert pins.of("ben", 2) == 0


def test_turns_of_a_session_go_to_its_slot() -> None:
    async def scenario() -> None:
        model = ScriptedModel()
        model.served = Capabilities(slots=2)
        bench = Bench(model, concurrency=2)
        for session in ("anna", "ben", "anna", "ben"):
            bench.model.answers(rest("Yes."))
            await bench.turn("hello", session)
        assert [each.slot for each in model.requests] == [0, 1, 0, 1]
        # What was said before is in the slot's cache.
        records = bench.listener.records()
        assert all(record.evaluated_tokens < 0.5 * record.prompt_tokens for record in records[2:])

    run(scenario())
