"""Sound in, utterances out: the real detector, the real Whisper where it matters, and an engine that misbehaves."""

import threading
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from scripted_recogniser import ScriptedRecogniser
from speech_sounds import chords, hum, keyboard, pink_noise, white_noise

from smolfusion_ros.speech.ear import Ear, Heard, Partial, SpeechStarted, Unheard, Woken
from smolfusion_ros.speech.endpointer import EndpointConfig, Endpointer
from smolfusion_ros.speech.recognition import Transcript, make_recogniser
from smolfusion_ros.speech.sound import SAMPLE_RATE
from smolfusion_ros.speech.voice_activity import VoiceActivity
from smolfusion_ros.speech.wake import Wake

SILENCE = np.zeros(SAMPLE_RATE, np.float32)


class Listener:
    """An ear, what it told, and a simulated microphone."""

    def __init__(self, vad, recogniser, config: EndpointConfig | None = None, **options) -> None:
        vad.reset()
        self.events: list = []
        self.recogniser = recogniser
        self.ear = Ear(vad, Endpointer(config), recogniser, self.events.append, **options)
        self.time_s = 1000.0

    def play(self, *sounds: np.ndarray, piece: int = 512) -> "Listener":
        samples = np.concatenate(sounds)
        for at in range(0, samples.size, piece):
            part = samples[at : at + piece]
            self.time_s += part.size / SAMPLE_RATE
            self.ear.hear(part, self.time_s)
        return self

    def told(self, kind: type) -> list:
        return [each for each in self.events if isinstance(each, kind)]

    def settle(self, timeout_s: float = 60.0) -> "Listener":
        wait_for(lambda: self.ear.idle, timeout_s)
        return self


def wait_for(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def vad(vad_model) -> VoiceActivity:
    return VoiceActivity(vad_model)


@pytest.fixture
def listener(vad):
    made: list[Listener] = []

    def make(recogniser=None, config=None, **options) -> Listener:
        made.append(Listener(vad, recogniser or ScriptedRecogniser(), config, **options))
        return made[-1]

    yield make
    for each in made:
        each.ear.close(0.1)


@pytest.fixture(scope="module")
def phrase(recording) -> np.ndarray:
    return recording("forward").samples


@pytest.mark.parametrize("piece", [160, 1024, 3333])
def test_a_real_voice_becomes_its_words_whatever_the_pieces(listener, whisper_model, recording, piece):
    voice = recording("forward")
    heard = (
        listener(make_recogniser("whisper", whisper_model)).play(SILENCE, voice.samples, SILENCE, piece=piece).settle()
    )
    (started,), (utterance,) = heard.told(SpeechStarted), heard.told(Heard)
    assert "forward" in utterance.transcript.text.lower()
    begin = 1001.0
    assert begin - 0.1 <= started.time_s <= begin + 0.8
    assert utterance.start_s <= started.time_s
    assert started.time_s + 1.0 < utterance.end_s <= begin + voice.seconds + 0.3
    assert utterance.engine_s > 0


def test_two_utterances_are_told_in_order(listener, whisper_model, recording):
    voices = recording("forward").samples, recording("amiable").samples
    ear = listener(make_recogniser("whisper", whisper_model)).play(SILENCE, voices[0], SILENCE, voices[1], SILENCE)
    first, second = ear.settle().told(Heard)
    assert "forward" in first.transcript.text.lower()
    assert "amiable" in second.transcript.text.lower()
    assert first.end_s < second.start_s


@pytest.mark.parametrize("noise", [white_noise, pink_noise, hum, chords, keyboard])
def test_a_minute_of_noise_is_no_utterance(listener, noise):
    ear = listener().play(noise(60)).settle()
    assert ear.told(Heard) == []
    assert ear.told(SpeechStarted) == []


def test_silence_tells_nothing(listener):
    assert listener().play(np.zeros(60 * SAMPLE_RATE, np.float32)).settle().events == []


def test_hearing_does_not_wait_for_the_engine(listener, phrase):
    release = threading.Event()
    ear = listener(ScriptedRecogniser(finishing=lambda _samples: release.wait(30)))
    ear.play(SILENCE, phrase, SILENCE)
    slowest = 0.0
    for at in range(0, phrase.size, 512):
        begun = time.thread_time()
        ear.ear.hear(phrase[at : at + 512], ear.time_s)
        slowest = max(slowest, time.thread_time() - begun)
    assert len(ear.told(SpeechStarted)) == 2
    assert slowest < 0.05
    release.set()


def test_the_engine_begins_before_the_end_is_certain_and_its_result_is_used(listener, phrase):
    recogniser = ScriptedRecogniser()
    ear = listener(recogniser).play(SILENCE, phrase[: round(2.2 * SAMPLE_RATE)], SILENCE[: round(0.4 * SAMPLE_RATE)])
    wait_for(lambda: recogniser.finished, 5.0)
    assert ear.told(Heard) == []
    ear.play(SILENCE).settle()
    assert len(recogniser.finished) == 1
    (heard,) = ear.told(Heard)
    assert heard.transcript == Transcript(str(recogniser.finished[0].size), "en", 0.9)


def test_what_was_recognised_too_early_is_thrown_away_when_speech_goes_on(listener, phrase):
    recogniser = ScriptedRecogniser()
    ear = listener(recogniser, EndpointConfig(endpoint_silence_s=3.0)).play(SILENCE, phrase, SILENCE[:8000])
    wait_for(lambda: recogniser.finished, 5.0)
    ear.play(phrase, *[SILENCE] * 4).settle()
    (heard,) = ear.told(Heard)
    assert len(recogniser.finished) >= 2
    assert int(heard.transcript.text) == recogniser.finished[-1].size > 2 * recogniser.finished[0].size


def test_an_engine_that_streams_tells_partials_and_finishes_once(listener, recording):
    recogniser = ScriptedRecogniser(streaming=True)
    voice = recording("young man").samples
    ear = listener(recogniser).play(SILENCE, voice, SILENCE).settle()
    assert ear.told(Partial)
    assert len(recogniser.finished) == len(ear.told(Heard)) == 1


def test_what_the_engine_gets_is_the_sound_itself(listener, phrase):
    recogniser = ScriptedRecogniser(streaming=True)
    sound = np.concatenate([SILENCE, phrase, SILENCE])
    listener(recogniser).play(sound, piece=777).settle()
    (got,) = recogniser.finished
    at = next(i for i in range(sound.size) if sound[i] == got[0] and np.array_equal(sound[i : i + got.size], got))
    assert at >= SAMPLE_RATE // 2


def test_an_engine_that_raises_is_told_and_the_next_utterance_is_heard(listener, phrase):
    failures = [RuntimeError("out of memory")]

    def fail_once(_samples: np.ndarray) -> None:
        if failures:
            raise failures.pop()

    ear = listener(ScriptedRecogniser(finishing=fail_once)).play(SILENCE, phrase, SILENCE).settle()
    (unheard,) = ear.told(Unheard)
    assert "out of memory" in unheard.reason
    ear.play(phrase, SILENCE).settle()
    assert len(ear.told(Heard)) == 1


def test_an_engine_that_hangs_is_reported_once_and_what_overflows_is_told(listener, phrase):
    release = threading.Event()
    ear = listener(ScriptedRecogniser(finishing=lambda _samples: release.wait(100)), deadline_s=0.2)
    ear.play(SILENCE, phrase, SILENCE)
    time.sleep(0.3)
    ear.play(SILENCE, SILENCE)
    reasons = [each.reason for each in ear.told(Unheard)]
    assert len(reasons) == 1
    assert "not answered" in reasons[0]
    for _ in range(6):
        ear.play(phrase, SILENCE)
    dropped = [each for each in ear.told(Unheard) if "dropped" in each.reason]
    assert len(dropped) == 2
    release.set()
    ear.settle()
    assert len(ear.told(Heard)) == 5


def test_a_handler_that_raises_does_not_stop_the_ear(vad, phrase, caplog):
    heard = []

    def handler(event: object) -> None:
        if isinstance(event, Heard):
            heard.append(event)
            raise ValueError("handler")

    vad.reset()
    ear = Ear(vad, Endpointer(), ScriptedRecogniser(), handler)
    for sound in (SILENCE, phrase, SILENCE, phrase, SILENCE):
        ear.hear(sound, 0.0)
    wait_for(lambda: len(heard) == 2)
    ear.close()


def test_a_monologue_of_ten_minutes_comes_in_bounded_pieces_and_memory(listener, recording):
    speech = recording("two cities").samples
    minutes = np.concatenate([speech] * 14)[: 600 * SAMPLE_RATE]
    recogniser = ScriptedRecogniser(streaming=True)
    ear = listener(recogniser, EndpointConfig(endpoint_silence_s=5.0, end_threshold=0.0))
    total = 0

    def count_and_forget(samples: np.ndarray) -> None:
        nonlocal total
        total += samples.size
        recogniser.finished.clear()
        assert samples.size <= 20.1 * SAMPLE_RATE

    recogniser._finishing = count_and_forget
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for at in range(0, minutes.size, SAMPLE_RATE):
        ear.play(minutes[at : at + SAMPLE_RATE])
        wait_for(lambda: len(ear.ear._listening._queue) <= 1)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    ear.ear.flush()
    ear.settle()
    assert ear.told(Unheard) == []
    assert len(ear.told(SpeechStarted)) == 1
    assert len(ear.told(Heard)) >= 30
    assert total == pytest.approx(minutes.size, abs=1.5 * SAMPLE_RATE)
    assert peak < 8e6


def test_the_end_of_the_sound_ends_the_utterance(listener, phrase):
    ear = listener().play(SILENCE, phrase[: round(2.0 * SAMPLE_RATE)])
    assert ear.ear.speaking
    ear.ear.flush()
    ear.settle()
    assert len(ear.told(Heard)) == 1
    ear.play(phrase, SILENCE).settle()
    assert len(ear.told(Heard)) == 2


def test_a_cough_is_told_as_too_short(listener, phrase):
    ear = listener(config=EndpointConfig(min_speech_s=1.5))
    ear.play(SILENCE, phrase[: int(1.2 * SAMPLE_RATE)], SILENCE).settle()
    assert [each.reason[:9] for each in ear.told(Unheard)] == ["too short"]
    assert ear.told(Heard) == []


def test_the_wake_word_decides_what_is_told(listener, phrase):
    texts = iter(["wave", "robot", "wave", "robot, bow"])

    class Speaking(ScriptedRecogniser):
        def finish(self) -> Transcript:
            return Transcript(next(texts), "en", 0.9)

    config = EndpointConfig(pause_s=0.6)
    ear = listener(Speaking(), config, wake=Wake(["robot"], awake_s=30.0))
    for _ in range(4):
        ear.play(SILENCE, phrase, SILENCE).settle()
    assert [type(each) for each in ear.events if not isinstance(each, SpeechStarted)] == [Unheard, Woken, Heard, Heard]
    assert [each.transcript.text for each in ear.told(Heard)] == ["wave", "bow"]


def test_an_empty_transcript_is_unheard(listener, phrase):
    class Deaf(ScriptedRecogniser):
        def finish(self) -> Transcript:
            return Transcript("", "en", 0.0)

    ear = listener(Deaf()).play(SILENCE, phrase, SILENCE).settle()
    assert ear.told(Unheard) == [Unheard("nothing was understood")]


def test_closing_closes_the_recogniser_and_twice_does_no_harm(listener, phrase):
    ear = listener().play(SILENCE, phrase)
    ear.ear.close()
    ear.ear.close()
    assert ear.recogniser.closed.wait(5)
    assert ear.told(Heard) == []


def test_several_threads_may_hear_and_flush(listener, phrase):
    ear = listener()
    threads = [threading.Thread(target=ear.play, args=(phrase, SILENCE)) for _ in range(3)]
    for thread in threads:
        thread.start()
    ear.ear.flush()
    for thread in threads:
        thread.join()
    ear.ear.flush()
    ear.settle()
