"""Piper as far as it goes without a voice: the real package on a file that hums, and what its failures say."""

import builtins
from pathlib import Path
from typing import Any

import pytest
from humming_voice import FRAMES_PER_CHARACTER, SAMPLE_RATE, write_humming_voice

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.synthesis import Voice, make_voice


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    pytest.importorskip("piper", reason="piper-tts is not installed")
    return make_voice("piper", write_humming_voice(tmp_path_factory.mktemp("voice") / "hum.onnx"))


def test_a_text_is_sound_in_small_pieces(voice: Voice) -> None:
    assert voice.sample_rate == SAMPLE_RATE
    pieces = list(voice.speak("Hello there.", "en"))
    assert all(0 < len(piece) <= 0.04 * SAMPLE_RATE * 2 and len(piece) % 2 == 0 for piece in pieces)
    assert sum(map(len, pieces)) // 2 >= len("Hello there.") * FRAMES_PER_CHARACTER
    assert any(any(piece) for piece in pieces)


def test_closing_ends_the_sound(voice: Voice) -> None:
    speech = voice.speak("Hello there, this would go on.", "en")
    next(speech)
    speech.close()
    assert list(speech) == []


def test_codes_for_the_engine_are_only_text(voice: Voice) -> None:
    assert list(voice.speak("[[ab]]", "en")) == list(voice.speak("[ [ab]]", "en"))


def test_without_the_package_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "piper":
            raise ImportError("No module named 'piper'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SpeechError, match="pip install 'piper-tts"):
        make_voice("piper", write_humming_voice(tmp_path / "hum.onnx"))


def test_a_missing_file_is_named(voice: Voice, tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match=r"none\.onnx is not there"):
        make_voice("piper", tmp_path / "none.onnx")
    model = write_humming_voice(tmp_path / "hum.onnx")
    (tmp_path / "hum.onnx.json").unlink()
    with pytest.raises(SpeechError, match=r"hum\.onnx\.json is not there"):
        make_voice("piper", model)
    with pytest.raises(SpeechError, match=r"path of an \.onnx file"):
        make_voice("piper")


@pytest.mark.parametrize("damaged", ["hum.onnx", "hum.onnx.json"])
def test_a_damaged_file_is_named(voice: Voice, tmp_path: Path, damaged: str) -> None:
    model = write_humming_voice(tmp_path / "hum.onnx")
    (tmp_path / damaged).write_text("{}")
    with pytest.raises(SpeechError, match=r"hum\.onnx is no Piper voice"):
        make_voice("piper", model)


@pytest.mark.parametrize("wrong", [{"words_per_minute": 10}, {"threads": 0}])
def test_values_out_of_range_are_named(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(SpeechError, match="must be"):
        make_voice("piper", tmp_path / "hum.onnx", **wrong)
