"""The real Korean model of Vosk, on a synthetic voice: there is no recorded Korean one to be had here."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from speech_sounds import has_espeak, synthetic_voice, white_noise

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.recognition import make_recogniser

HANGUL = range(0xAC00, 0xD7A4)


@pytest.fixture(scope="module")
def vosk(vosk_model):
    recogniser = make_recogniser("vosk", vosk_model, "ko")
    yield recogniser
    recogniser.close()


@pytest.fixture(scope="module")
def greeting() -> np.ndarray:
    if not has_espeak():
        pytest.skip("espeak-ng is not installed")
    return np.concatenate([synthetic_voice("안녕하세요", "ko"), np.zeros(8000, np.float32)])


def feed(recogniser, samples: np.ndarray, piece: int = 512) -> list[str]:
    recogniser.begin()
    told = []
    for at in range(0, samples.size, piece):
        recogniser.feed(samples[at : at + piece])
        told.append(recogniser.partial())
    return told


def test_korean_is_heard_as_korean_with_partials_on_the_way(vosk, greeting):
    partials = feed(vosk, greeting)
    transcript = vosk.finish()
    assert vosk.streaming
    assert transcript.language == "ko"
    assert transcript.text
    assert all(ord(letter) in HANGUL or letter == " " for letter in transcript.text)
    assert 0.0 < transcript.confidence <= 1.0
    assert any(partials)


def test_the_same_sound_gives_the_same_text_and_nothing_is_left_of_the_one_before(vosk, greeting):
    feed(vosk, greeting)
    first = vosk.finish()
    feed(vosk, np.zeros(16000, np.float32))
    assert vosk.finish().text == ""
    feed(vosk, greeting)
    assert vosk.finish().text == first.text


def test_two_sentences_with_a_long_pause_are_one_utterance(vosk, greeting):
    feed(vosk, greeting)
    once = vosk.finish().text
    feed(vosk, np.concatenate([greeting, np.zeros(32000, np.float32), greeting]))
    assert len(vosk.finish().text) > len(once)


def test_silence_noise_and_no_samples_are_empty(vosk):
    for samples in (np.zeros(32000, np.float32), white_noise(2, -50), np.zeros(0, np.float32)):
        feed(vosk, samples)
        assert vosk.finish().text == ""


def test_a_missing_model_says_how_to_get_it(tmp_path):
    with pytest.raises(SpeechError, match="fetch_models vosk-ko"):
        make_recogniser("vosk", tmp_path / "vosk-ko", "ko")


def test_a_damaged_model_says_how_to_get_it_again(tmp_path, vosk_model):
    damaged = tmp_path / "damaged"
    shutil.copytree(vosk_model, damaged, ignore=shutil.ignore_patterns("*.fst"))
    program = (
        "import sys; from smolfusion_ros.errors import SpeechError\n"
        "from smolfusion_ros.speech.recognition import make_recogniser\n"
        "try: make_recogniser('vosk', sys.argv[1], 'ko')\n"
        "except SpeechError as error: print('refused:', error)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(damaged)], capture_output=True, text=True, timeout=100)
    assert "refused:" in done.stdout, done.stderr[-500:]
    assert "fetch_models damaged" in done.stdout


@pytest.mark.skipif(not has_espeak(), reason="espeak-ng is not installed")
def test_of_a_few_phrases_each_is_recognised_and_nothing_is_made_of_another_sentence(vosk_model):
    phrases = ("멈춰", "정지", "안녕하세요")
    recogniser = make_recogniser("vosk", vosk_model, "ko", phrases=phrases)
    for said, understood in (
        ("멈춰", "멈춰"),
        ("정지", "정지"),
        ("안녕하세요", "안녕하세요"),
        ("오른손을 흔들어 주세요", ""),
    ):
        feed(recogniser, np.concatenate([synthetic_voice(said, "ko"), np.zeros(8000, np.float32)]))
        assert recogniser.finish().text == understood, said
    recogniser.close()
