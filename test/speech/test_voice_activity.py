"""Silero's real network on real voices and on noises."""

import time
from pathlib import Path

import faster_whisper
import numpy as np
import pytest
from speech_sounds import at_level, white_noise

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.voice_activity import WINDOW, VoiceActivity


def windows(samples: np.ndarray) -> list[np.ndarray]:
    return [samples[at : at + WINDOW] for at in range(0, samples.size - WINDOW + 1, WINDOW)]


@pytest.fixture(scope="module")
def vad(vad_model):
    return VoiceActivity(vad_model)


@pytest.fixture(autouse=True)
def forget(vad):
    vad.reset()


@pytest.mark.parametrize("dbfs", [-20, -35, -50])
def test_a_voice_is_told_from_noise_at_any_usual_level(vad, recording, dbfs):
    voice = at_level(recording("amiable").samples, dbfs)
    told = [vad.probability(window) for window in windows(voice)]
    assert np.mean(np.array(told) > 0.5) > 0.6
    vad.reset()
    assert max(vad.probability(window) for window in windows(white_noise(3, dbfs))) < 0.5


def test_after_a_reset_the_same_sound_gives_the_same_answers(vad, recording):
    voice = windows(recording("forward").samples)[:40]
    first = [vad.probability(window) for window in voice]
    assert first != [vad.probability(window) for window in voice]
    vad.reset()
    assert first == [vad.probability(window) for window in voice]


def test_silence_costs_next_to_nothing_and_a_room_less_than_a_twentieth_of_a_core(vad):
    def cpu_share(samples: np.ndarray) -> float:
        begun = time.process_time()
        for window in windows(samples):
            vad.probability(window)
        return (time.process_time() - begun) / (samples.size / 16000)

    assert cpu_share(np.zeros(60 * 16000, np.float32)) < 0.005
    assert cpu_share(white_noise(20, -60)) < 0.05


def test_speech_after_a_long_silence_is_heard_at_once(vad, recording):
    for _ in range(1000):
        assert vad.probability(np.zeros(WINDOW, np.float32)) == 0.0
    told = [vad.probability(window) for window in windows(recording("amiable").samples)[:40]]
    assert max(told) > 0.9


def test_a_window_of_another_length_is_refused(vad):
    with pytest.raises(SpeechError, match="511"):
        vad.probability(np.zeros(WINDOW - 1, np.float32))


def test_a_missing_or_damaged_model_says_what_to_do(tmp_path, vad_model):
    with pytest.raises(SpeechError, match="fetch_models"):
        VoiceActivity(tmp_path / "none.onnx")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(vad_model.read_bytes()[:100000])
    with pytest.raises(SpeechError, match=r"cut\.onnx.*fetch_models"):
        VoiceActivity(cut)


def test_another_network_is_no_voice_activity_model():
    other = Path(faster_whisper.__path__[0]) / "assets" / "silero_vad_v6.onnx"
    with pytest.raises(SpeechError, match="no Silero VAD"):
        VoiceActivity(other)
