"""What a mouth does about voices and sinks that fail, hang or take their time: scripted, as no real one can be told."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from lateness import Lateness
from listener_to_speech import Notebook, Reader

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.loudspeaker import PacedSink
from smolfusion_ros.speech.mouth import Mouth
from smolfusion_ros.speech.mouth_events import Ended, Event, Failed, Spoken, Started

RATE = 16000
PIECE_S = 0.02


class ScriptedSpeech:
    def __init__(self, voice: "ScriptedVoice", text: str) -> None:
        self.closed = threading.Event()
        self._pieces = voice.pieces_of(text, self.closed)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        self.closed.set()


class ScriptedVoice:
    """Speaks 20 ms a character after a delay; "fail" in a text raises there, "hang" waits until it is closed."""

    sample_rate = RATE

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.begun: list[str] = []
        self.speeches: list[ScriptedSpeech] = []
        self.is_closed = False

    def speak(self, text: str, language: str) -> ScriptedSpeech:
        if text.startswith("cannot"):
            raise SpeechError("no engine")
        self.begun.append(text)
        self.speeches.append(ScriptedSpeech(self, text))
        return self.speeches[-1]

    def pieces_of(self, text: str, closed: threading.Event) -> Iterator[bytes]:
        closed.wait(self.delay_s)
        for index, char in enumerate(text):
            if text[index:].startswith("fail"):
                raise SpeechError("the engine broke")
            if text[index:].startswith("hang"):
                closed.wait(30.0)
                return
            yield char.encode()[:1] * 2 * int(RATE * PIECE_S)

    def close(self) -> None:
        self.is_closed = True


class FailingSink(PacedSink):
    """Raises in the methods that are named, as long as they are."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self.failing: set[str] = set()
        self.started_s: list[float] = []

    def _check(self, method: str) -> None:
        if method in self.failing:
            raise SpeechError(f"no {method}")

    def start(self, sample_rate: int) -> None:
        self.started_s.append(time.monotonic())
        self._check("start")
        super().start(sample_rate)

    def write(self, piece: bytes) -> float:
        self._check("write")
        return super().write(piece)

    def heard_frames(self) -> int:
        self._check("heard")
        return super().heard_frames()

    def flush(self) -> int:
        self._check("flush")
        return super().flush()


Make = Callable[..., Mouth]


@pytest.fixture
def reader() -> Reader:
    return Reader(RATE)


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def sink(reader: Reader) -> FailingSink:
    return FailingSink(reader)


@pytest.fixture
def voice() -> ScriptedVoice:
    return ScriptedVoice()


@pytest.fixture
def make(voice: ScriptedVoice, sink: FailingSink, notebook: Notebook) -> Iterator[Make]:
    made: list[Mouth] = []

    def make(on_event: Callable[[Event], None] = notebook, **options: float) -> Mouth:
        made.append(Mouth(voice, sink, on_event, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for mouth in made:
        mouth.close()
    assert voice.is_closed


def test_a_slow_voice_makes_the_next_clause_while_one_is_heard(
    make: Make, voice: ScriptedVoice, notebook: Notebook, reader: Reader
) -> None:
    voice.delay_s = 0.3
    mouth = make()
    with Lateness() as late:
        for _ in range(3):
            mouth.say("a", "x" * 40)
        mouth.finish("a")
        notebook.wait_for(Ended)
    assert max(reader.gaps_s) <= 0.06 + late.most_s
    assert max(reader.gaps_s) < 0.25 or late.most_s > 0.1


def test_only_the_next_clause_is_made_ahead(make: Make, voice: ScriptedVoice, notebook: Notebook) -> None:
    mouth = make()
    for index in range(5):
        mouth.say("a", f"{index}" * 100)
    notebook.wait_for(Started)
    time.sleep(0.3)
    assert [text[0] for text in voice.begun] == ["0", "1"]


def test_a_long_clause_is_made_only_so_far_ahead(make: Make, notebook: Notebook, voice: ScriptedVoice) -> None:
    mouth = make()
    mouth.say("a", "x" * 1900)
    notebook.wait_for(Started)
    time.sleep(0.3)
    assert mouth._clause is not None
    assert 15.0 < mouth._clause.frames / RATE < 23.0
    mouth.stop("")
    notebook.wait_for(Ended)
    assert voice.speeches[0].closed.wait(5.0)


@pytest.mark.parametrize(
    ("text", "reason", "heard"),
    [
        ("cannot speak", "no engine", ""),
        ("fail", "the engine broke", ""),
        ("one two three fail four", "the engine broke", None),
    ],
)
def test_after_a_failing_voice_the_next_clause_is_spoken(
    make: Make, notebook: Notebook, text: str, reason: str, heard: str | None
) -> None:
    mouth = make()
    mouth.say("a", text)
    mouth.say("a", "next one")
    mouth.finish("a")
    ended = notebook.wait_for(Ended)
    assert notebook.of(Failed) == [Failed("a", reason)]
    assert ended.text.endswith("next one") and not ended.interrupted
    if heard is None:
        assert text.startswith(ended.text.removesuffix(" next one"))
        assert "four" not in ended.text
    else:
        assert ended.text == "next one"


def test_a_voice_that_hangs_does_not_hold_up_a_stop(make: Make, notebook: Notebook, voice: ScriptedVoice) -> None:
    mouth = make()
    mouth.say("a", "one hang")
    notebook.wait_for(Started)
    begin_s = time.monotonic()
    mouth.stop("enough")
    notebook.wait_for(Ended, "a")
    mouth.say("b", "two")
    mouth.finish("b")
    assert notebook.wait_for(Ended, "b").text == "two"
    assert time.monotonic() - begin_s < 5.0
    assert voice.speeches[0].closed.is_set()


@pytest.mark.parametrize("method", ["start", "write", "heard"])
def test_a_failed_sink_is_opened_again_after_a_pause(
    make: Make, sink: FailingSink, notebook: Notebook, method: str
) -> None:
    sink.failing = {method}
    mouth = make()
    mouth.say("a", "first")
    failed = notebook.wait_for(Failed)
    assert failed == Failed("a", f"no {method}")
    sink.failing.clear()
    mouth.say("a", "second")
    mouth.finish("a")
    ended = notebook.wait_for(Ended)
    assert ended.text.endswith("second")
    assert len(sink.started_s) == 2
    assert sink.started_s[1] - sink.started_s[0] >= 0.25


def test_the_pause_grows(make: Make, sink: FailingSink, notebook: Notebook) -> None:
    sink.failing = {"start"}
    mouth = make()
    for _ in range(4):
        mouth.say("a", "word")
    mouth.finish("a")
    notebook.wait_for(Ended)
    assert len(notebook.of(Failed)) == 4
    pauses_s = [later - earlier for earlier, later in zip(sink.started_s, sink.started_s[1:], strict=False)]
    assert [pause_s >= least_s for pause_s, least_s in zip(pauses_s, (0.25, 0.5, 1.0), strict=True)] == [True] * 3


def test_a_sink_that_fails_in_mid_clause_tells_what_was_heard(
    make: Make, sink: FailingSink, notebook: Notebook
) -> None:
    mouth = make()
    mouth.say("a", "whole")
    mouth.say("a", "one two three four five six seven eight nine ten")
    mouth.finish("a")
    notebook.wait_for(Spoken)
    time.sleep(0.4)
    sink.failing = {"write"}
    text = notebook.wait_for(Ended).text
    assert text.startswith("whole one two") and not text.endswith("ten")


def test_a_sink_that_cannot_be_flushed_is_closed(make: Make, sink: FailingSink, notebook: Notebook) -> None:
    mouth = make()
    mouth.say("a", "x" * 100)
    notebook.wait_for(Started)
    sink.failing = {"flush"}
    mouth.stop("")
    assert notebook.wait_for(Ended, "a").interrupted
    sink.failing.clear()
    mouth.say("b", "again")
    mouth.finish("b")
    assert notebook.wait_for(Ended, "b").text == "again"
    assert len(sink.started_s) == 2


def test_a_silent_mouth_gives_the_device_back(make: Make, sink: FailingSink, notebook: Notebook) -> None:
    mouth = make(rest_s=0.2)
    for turn_id in ("a", "b"):
        mouth.say(turn_id, "hello")
        mouth.finish(turn_id)
        notebook.wait_for(Ended, turn_id)
        time.sleep(0.6)
    assert len(sink.started_s) == 2


def test_who_cannot_hear_of_events_does_not_end_them(make: Make, notebook: Notebook) -> None:
    def tell(event: Event) -> None:
        notebook(event)
        raise ValueError("cannot be told")

    mouth = make(tell)
    mouth.say("a", "hello")
    mouth.finish("a")
    assert notebook.wait_for(Ended).text == "hello"


def test_events_may_call_back(make: Make, notebook: Notebook) -> None:
    mouths: list[Mouth] = []

    def tell(event: Event) -> None:
        notebook(event)
        if event == Spoken("a", "hello"):
            mouths[0].stop("enough")
            mouths[0].say("b", "other")
            mouths[0].finish("b")

    mouths.append(make(tell))
    mouths[0].say("a", "hello")
    assert notebook.wait_for(Ended, "b").text == "other"
    assert notebook.of(Ended)[0] == Ended("a", "hello", True, "enough")


def test_many_threads_may_speak_and_stop(make: Make, notebook: Notebook, reader: Reader) -> None:
    mouth = make()

    def chatter(name: int) -> None:
        for index in range(30):
            mouth.say(f"{name} {index}", "ab")
            mouth.finish(f"{name} {index}")
            if index % 5 == 0:
                mouth.stop("")

    threads = [threading.Thread(target=chatter, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    mouth.stop("")
    # Every turn is told to be over once, but for those that were stopped before they began.
    notebook.wait_until(lambda: len({event.turn_id for event in notebook.of(Ended)}) == 120, 20.0)
    ended = [event.turn_id for event in notebook.of(Ended)]
    assert len(ended) == len(set(ended))
    assert not mouth.is_speaking
