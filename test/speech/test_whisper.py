"""The real Whisper (tiny.en) on real voices."""

import shutil

import jiwer
import numpy as np
import pytest
from speech_sounds import keyboard, white_noise

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.recognition import make_recogniser
from smolfusion_ros.speech.whisper import WhisperRecogniser, is_invented

NUMBERS = {"10": "ten", "5": "five"}


def plain(text: str) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()
    return " ".join(NUMBERS.get(word, word) for word in words)


@pytest.fixture(scope="module")
def whisper(whisper_model):
    recogniser = make_recogniser("whisper", whisper_model, "en", threads=1)
    yield recogniser
    recogniser.close()


def understood(recogniser, samples: np.ndarray, piece: int = 512):
    recogniser.begin()
    for at in range(0, samples.size, piece):
        recogniser.feed(samples[at : at + piece])
    return recogniser.finish()


def test_real_voices_are_understood(whisper, recording):
    names = ["beckett", "forward", "ten of clubs", "young man", "selfish", "amiable"]
    said = [recording(name) for name in names]
    told = [understood(whisper, each.samples) for each in said]
    wrong = jiwer.wer([each.text for each in said], [plain(each.text) for each in told])
    assert wrong <= 0.1, [each.text for each in told]
    assert all(each.language == "en" and 0.3 < each.confidence <= 1.0 for each in told)


@pytest.mark.parametrize("noise", [white_noise(3, -40), keyboard(3), np.zeros(32000, np.float32)])
def test_of_noise_nothing_is_invented(whisper, noise):
    assert understood(whisper, noise).text == ""


def test_an_utterance_of_no_samples_is_empty_and_the_next_one_is_not_harmed(whisper, recording):
    whisper.begin()
    assert whisper.finish().text == ""
    assert "forward" in understood(whisper, recording("forward").samples).text.lower()


def test_finishing_and_beginning_again_forgets(whisper, recording):
    understood(whisper, recording("forward").samples)
    assert "forward" not in understood(whisper, recording("amiable").samples).text.lower()


def test_the_longest_utterance_and_one_sample_do_no_harm(whisper, recording):
    assert "best of times" in understood(whisper, recording("two cities").samples[: 28 * 16000]).text
    assert understood(whisper, np.zeros(1, np.float32)).text == ""


def test_partial_texts_come_at_the_interval_asked_for(whisper_model, recording):
    whisper = WhisperRecogniser(whisper_model, "en", partial_interval_s=1.5)
    voice = recording("beckett").samples
    assert whisper.partial() == ""
    whisper.feed(voice[: 16000 * 4])
    first = whisper.partial()
    assert "tried" in first
    whisper.feed(voice[16000 * 4 : 16000 * 5])
    assert whisper.partial() == first
    whisper.close()


@pytest.mark.parametrize(
    ("text", "avg_logprob", "no_speech", "invented"),
    [
        ("Go forward 10 meters.", -0.2, 0.05, False),
        ("Thank you.", -0.7, 0.8, True),
        ("Thank you.", -1.2, 0.1, True),
        ("the the the the the the the the the the the the the the the the", -0.1, 0.0, True),
        ("", -0.1, 0.0, False),
    ],
)
def test_the_marks_of_an_invented_text(text, avg_logprob, no_speech, invented):
    assert is_invented(text, avg_logprob, no_speech) is invented


def test_a_language_the_model_does_not_know_is_refused(whisper_model):
    with pytest.raises(SpeechError, match="'ko'"):
        WhisperRecogniser(whisper_model, "ko")


def test_a_missing_model_says_how_to_get_it(tmp_path):
    with pytest.raises(SpeechError, match=r"fetch_models whisper-tiny"):
        make_recogniser("whisper", tmp_path / "whisper-tiny")
    (tmp_path / "whisper-tiny").mkdir()
    with pytest.raises(SpeechError, match=r"model\.bin.*fetch_models"):
        make_recogniser("whisper", tmp_path / "whisper-tiny")


def test_a_damaged_model_says_how_to_get_it_again(tmp_path, whisper_model):
    damaged = tmp_path / "damaged"
    shutil.copytree(whisper_model, damaged)
    with (damaged / "model.bin").open("r+b") as file:
        file.truncate(1_000_000)
    with pytest.raises(SpeechError, match="fetch_models damaged"):
        make_recogniser("whisper", damaged)


@pytest.mark.parametrize(("engine", "threads", "message"), [("sphinx", 1, "sphinx"), ("whisper", 0, "threads is 0")])
def test_nonsense_is_refused(tmp_path, engine, threads, message):
    with pytest.raises(SpeechError, match=message):
        make_recogniser(engine, tmp_path, threads=threads)


def test_a_missing_package_is_named(monkeypatch, whisper_model):
    monkeypatch.setitem(__import__("sys").modules, "faster_whisper", None)
    with pytest.raises(SpeechError, match="pip install faster-whisper"):
        make_recogniser("whisper", whisper_model)
