"""The mouth with the real espeak-ng and a reader at real-time pace: order, pauses, silence when told, what is heard."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from lateness import Lateness
from listener_to_speech import Notebook, Reader

from smolfusion_ros.speech.espeak import EspeakVoice
from smolfusion_ros.speech.loudspeaker import PacedSink
from smolfusion_ros.speech.mouth import Mouth
from smolfusion_ros.speech.mouth_events import Dropped, Ended, Failed, Spoken, Started

pytestmark = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
SENTENCE = "I can wave my left hand for you, and then I turn around and look at the door."
MOST_SOUND_LEFT_S = 0.05


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def mouth(reader: Reader, notebook: Notebook) -> Iterator[Mouth]:
    mouth = Mouth(EspeakVoice(words_per_minute=250), PacedSink(reader), notebook, patience_s=0.5)
    yield mouth
    mouth.close()


def espeak_processes() -> list[int]:
    found = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "pid=,comm="], capture_output=True, text=True)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "espeak" in line]


def test_clauses_are_heard_in_order_and_told(mouth: Mouth, notebook: Notebook) -> None:
    for clause in ("Hello there.", "I am a robot,", "and I can wave."):
        mouth.say("a", clause)
    mouth.finish("a")
    ended = notebook.wait_for(Ended)
    assert ended == Ended("a", "Hello there. I am a robot, and I can wave.", False)
    assert [type(event) for event in notebook.events] == [Started, Spoken, Spoken, Spoken, Ended]
    assert [event.text for event in notebook.of(Spoken)] == [
        "Hello there.",
        "Hello there. I am a robot,",
        "Hello there. I am a robot, and I can wave.",
    ]
    assert not mouth.is_speaking


def test_sound_comes_at_the_pace_of_speech(mouth: Mouth, notebook: Notebook, reader: Reader) -> None:
    with Lateness() as late:
        mouth.say("a", SENTENCE)
        mouth.finish("a")
        started = notebook.wait_for(Started)
        notebook.wait_for(Ended)
    assert reader.seconds > 2.0
    assert started.time_s == pytest.approx(reader.came_s[0], abs=0.05 + late.most_s)
    ahead_s = [
        index * 0.02 - (came_s - reader.came_s[0]) for index, came_s in enumerate(reader.came_s)
    ]  # what the reader holds when a piece comes
    assert max(ahead_s) <= 0.05
    ended_s = notebook.times_s[-1] - reader.came_s[0]
    assert reader.seconds - 0.01 <= ended_s <= reader.seconds + 0.1 + sum(reader.gaps_s) + late.most_s


def test_between_clauses_there_is_no_gap(mouth: Mouth, notebook: Notebook, reader: Reader) -> None:
    with Lateness() as late:
        for index in range(5):
            mouth.say("a", f"This is clause number {index},")
        mouth.finish("a")
        notebook.wait_for(Ended)
    assert max(reader.gaps_s) <= 0.06 + late.most_s


def test_the_next_turn_waits_for_the_one_before(mouth: Mouth, notebook: Notebook) -> None:
    mouth.say("a", "One.")
    mouth.say("b", "Two.")
    mouth.say("a", "Three.")
    mouth.finish("b")
    mouth.finish("a")
    notebook.wait_for(Ended, "b")
    assert notebook.of(Ended) == [Ended("a", "One. Three.", False), Ended("b", "Two.", False)]


def test_a_turn_that_is_never_finished_does_not_hold_up_the_next(mouth: Mouth, notebook: Notebook) -> None:
    mouth.say("a", "One.")
    mouth.say("b", "Two.")
    mouth.finish("b")
    notebook.wait_for(Ended, "b")
    first, second = notebook.of(Ended)
    assert first == Ended("a", "One.", True, "nothing more came of it for 0.5 s")
    assert second == Ended("b", "Two.", False)


def test_told_to_stop_it_is_silent_within_50_ms(mouth: Mouth, notebook: Notebook, reader: Reader) -> None:
    with Lateness() as late:
        for trial in range(20):
            turn_id = f"turn {trial}"
            mouth.say(turn_id, SENTENCE)
            mouth.say(turn_id, SENTENCE)
            notebook.wait_for(Started, turn_id)
            time.sleep(0.03 * (trial % 7))
            begin_s = time.monotonic()
            mouth.stop("somebody speaks")
            came = len(reader.pieces)
            assert reader.silent_s - time.monotonic() <= MOST_SOUND_LEFT_S
            assert reader.silent_s - begin_s <= MOST_SOUND_LEFT_S + late.most_s
            ended = notebook.wait_for(Ended, turn_id)
            assert len(reader.pieces) == came
            assert (ended.interrupted, ended.reason) == (True, "somebody speaks")
            assert SENTENCE.startswith(ended.text) and ended.text != SENTENCE
    deadline_s = time.monotonic() + 5.0
    while espeak_processes():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_the_words_told_are_those_that_were_heard(mouth: Mouth, notebook: Notebook, reader: Reader) -> None:
    lengths_s = []
    for turn_id, text in (("hello", "Hello."), ("sentence", SENTENCE)):
        begin_s = reader.seconds
        mouth.say(turn_id, text)
        mouth.finish(turn_id)
        notebook.wait_for(Ended, turn_id)
        lengths_s.append(reader.seconds - begin_s)
    hello_s, sentence_s = lengths_s
    begin_s = reader.seconds
    mouth.say("both", "Hello.")
    mouth.say("both", SENTENCE)
    while reader.seconds < begin_s + hello_s + sentence_s / 2:
        time.sleep(0.005)
    mouth.stop("")
    text = notebook.wait_for(Ended, "both").text
    heard = SENTENCE[: round(len(SENTENCE) * (reader.seconds - begin_s - hello_s) / sentence_s)]
    assert text.startswith("Hello. I can wave")
    # The last word was not heard whole, and 50 ms are still to come.
    assert len(heard) - len("another one ") <= len(text.removeprefix("Hello. ")) <= len(heard)


def test_nothing_more_is_spoken_of_a_turn_that_was_stopped(mouth: Mouth, notebook: Notebook, reader: Reader) -> None:
    mouth.say("a", SENTENCE)
    notebook.wait_for(Started)
    mouth.stop("")
    came = len(reader.pieces)
    mouth.say("a", "This came too late.")
    mouth.finish("a")
    mouth.say("b", "Yes?")
    mouth.finish("b")
    assert notebook.wait_for(Ended, "b") == Ended("b", "Yes?", False)
    assert [event.turn_id for event in notebook.of(Ended)] == ["a", "b"]
    assert (len(reader.pieces) - came) * 0.02 < 1.5, "more than one word was heard"


def test_one_turn_can_be_stopped_and_the_next_is_spoken(mouth: Mouth, notebook: Notebook) -> None:
    mouth.say("a", SENTENCE)
    mouth.say("b", "Two.")
    mouth.finish("b")
    notebook.wait_for(Started, "a")
    mouth.stop("interrupted", turn_id="a")
    assert notebook.wait_for(Ended, "a").interrupted
    assert notebook.wait_for(Ended, "b") == Ended("b", "Two.", False)


def test_a_stop_before_the_first_clause_holds(mouth: Mouth, notebook: Notebook, reader: Reader) -> None:
    mouth.stop("nobody speaks")
    mouth.stop("interrupted", turn_id="a")
    mouth.say("a", "Never heard.")
    mouth.finish("a")
    mouth.say("b", "Yes.")
    mouth.finish("b")
    notebook.wait_for(Ended, "b")
    assert [event.turn_id for event in notebook.of(Ended)] == ["b"]


@pytest.mark.parametrize("text", ["", " ", "😀", "***", "\0"])
def test_without_words_there_is_no_sound(mouth: Mouth, notebook: Notebook, reader: Reader, text: str) -> None:
    mouth.say("a", text)
    mouth.finish("a")
    assert notebook.wait_for(Ended) == Ended("a", "", False)
    assert reader.pieces == []


@pytest.mark.parametrize(
    "text", ["a", "-w /etc/passwd", "[[h@l'oU]]", "<speak>hi</speak>", "안녕하세요 😀", "Well 😀 done"]
)
def test_any_text_is_heard_and_told_as_it_was_written(
    mouth: Mouth, notebook: Notebook, reader: Reader, text: str
) -> None:
    mouth.say("a", text)
    mouth.finish("a")
    assert notebook.wait_for(Ended) == Ended("a", text, False)
    assert 0.05 < reader.seconds < 5.0


def test_a_clause_beyond_2000_characters_is_cut_and_the_rest_told(mouth: Mouth, notebook: Notebook) -> None:
    mouth.say("a", "word " * 399 + "here comes too much")
    dropped = notebook.wait_for(Dropped)
    assert dropped.text == "comes too much"
    notebook.wait_for(Started)
    mouth.stop("")
    assert notebook.wait_for(Ended).interrupted


def test_when_too_much_waits_the_oldest_turn_is_dropped(mouth: Mouth, notebook: Notebook) -> None:
    mouth.say("a", SENTENCE)
    notebook.wait_for(Started, "a")
    for index in range(30):
        mouth.say("a", f"Old {index}.")
    for index in range(3):
        mouth.say("b", f"New {index}.")
    mouth.finish("b")
    dropped = notebook.wait_for(Dropped)
    assert dropped.turn_id == "a" and dropped.text.startswith("Old 0. Old 1.")
    notebook.wait_for(Ended, "b")
    assert notebook.of(Ended) == [
        Ended("a", SENTENCE, True, "32 clauses wait already"),
        Ended("b", "New 0. New 1. New 2.", False),
    ]


def test_espeak_killed_in_mid_clause_is_told_and_the_next_clause_is_spoken(mouth: Mouth, notebook: Notebook) -> None:
    text = SENTENCE * 20  # more than the pipe and the mouth hold, so that espeak-ng is still at work
    mouth.say("a", text)
    mouth.say("a", "Here I am again.")
    mouth.finish("a")
    notebook.wait_for(Started)
    found = espeak_processes()
    assert found, "it has made all of it already"
    os.kill(found[0], signal.SIGKILL)
    # The sound that was made until then is played; it is long.
    notebook.wait_until(lambda: bool(notebook.of(Failed)) or bool(notebook.of(Spoken)), 60.0)
    failed = notebook.of(Failed)
    assert failed and "killed by signal 9" in failed[0].reason
    ended = notebook.wait_for(Ended, timeout_s=60.0)
    assert ended.text.startswith("I can wave") and ended.text.endswith("Here I am again.")
    assert len(ended.text) < len(text)


def test_closing_is_silent_and_leaves_nothing(reader: Reader, notebook: Notebook) -> None:
    mouth = Mouth(EspeakVoice(), PacedSink(reader), notebook)
    mouth.say("a", SENTENCE * 3)
    notebook.wait_for(Started)
    mouth.close()
    came = len(reader.pieces)
    assert notebook.of(Ended)[0].interrupted
    assert espeak_processes() == []
    time.sleep(0.1)
    assert len(reader.pieces) == came
