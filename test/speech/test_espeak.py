"""espeak-ng itself: hostile texts are words to it, it dies when told to, and its failures say what to do."""

import os
import shutil
import signal
import stat
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.espeak import SAMPLE_RATE, EspeakSpeech, EspeakVoice
from smolfusion_ros.speech.synthesis import make_voice

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
LONG = "This is a sentence that goes on for a good while. " * 40


def sound_of(text: str, language: str = "en") -> bytes:
    return b"".join(EspeakVoice().speak(text, language))


def seconds_of(text: str, language: str = "en") -> float:
    return len(sound_of(text, language)) / 2 / SAMPLE_RATE


def processes() -> list[str]:
    found = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "comm="], capture_output=True, text=True)
    return [name for name in found.stdout.split() if "espeak" in name]


def fake(tmp_path: Path, script: str) -> str:
    path = tmp_path / "espeak-ng"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@needs_espeak
def test_a_sentence_is_sound_in_small_pieces() -> None:
    pieces = list(EspeakVoice().speak("Hello there, my friend.", "en"))
    assert all(0 < len(piece) <= 0.04 * SAMPLE_RATE * 2 and len(piece) % 2 == 0 for piece in pieces)
    samples = np.frombuffer(b"".join(pieces), np.int16)
    assert 1.0 < len(samples) / SAMPLE_RATE < 3.0
    assert np.abs(samples).max() > 3000
    assert processes() == []


@needs_espeak
@pytest.mark.parametrize(
    "text", ["", " ", "a", "-w /etc/passwd", "--help", "; touch x", "<speak>", "\0", "\ud800", "\n\n"]
)
def test_no_text_is_a_command(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert seconds_of(text) < 4.0
    assert list(tmp_path.iterdir()) == []


@needs_espeak
def test_codes_for_the_engine_are_only_text() -> None:
    assert sound_of("[[h@l'oU]]") == sound_of("[ [h@l'oU]]") != sound_of("hello")
    assert sound_of("one \x01400S two") == sound_of("one  400S two")


@needs_espeak
def test_korean_has_a_voice_of_its_own() -> None:
    assert seconds_of("안녕하세요, 반갑습니다.", "ko") > 1.0
    assert sound_of("안녕하세요", "ko") != sound_of("안녕하세요", "en")
    assert sound_of("안녕하세요", "ko-KR") == sound_of("안녕하세요", "ko")


@needs_espeak
def test_two_thousand_characters_are_spoken_whole() -> None:
    assert seconds_of(LONG[:2000]) > 60.0


@needs_espeak
def test_the_first_piece_comes_before_the_last_is_made() -> None:
    speech = EspeakVoice().speak(LONG, "en")
    next(speech)
    assert processes(), "it waits for the reader"
    speech.close()
    assert processes() == []
    assert list(speech) == []


@needs_espeak
def test_speed_changes_the_length() -> None:
    slow, fast = (EspeakVoice(words_per_minute=each) for each in (100, 300))
    assert len(b"".join(slow.speak(LONG[:200], "en"))) > 1.5 * len(b"".join(fast.speak(LONG[:200], "en")))


@needs_espeak
def test_a_killed_process_is_an_error_and_not_an_end() -> None:
    speech = EspeakVoice().speak(LONG, "en")
    next(speech)
    assert isinstance(speech, EspeakSpeech)
    os.kill(speech._process.pid, signal.SIGKILL)
    with pytest.raises(SpeechError, match="killed by signal 9"):
        list(speech)
    assert list(speech) == []


@needs_espeak
def test_a_language_without_a_voice_is_named_by_the_engine() -> None:
    with pytest.raises(SpeechError, match="voice does not exist"):
        list(EspeakVoice().speak("hello", "xx"))


@pytest.mark.parametrize("language", ["", "-w/tmp/x", "en us", "../en", "en;ls"])
@needs_espeak
def test_what_is_no_language_is_refused(language: str) -> None:
    with pytest.raises(SpeechError, match="no language tag"):
        EspeakVoice().speak("hello", language)


def test_without_espeak_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpeechError, match="apt install espeak-ng"):
        EspeakVoice(executable="espeak-that-is-not-there")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SpeechError, match="apt install espeak-ng"):
        make_voice("espeak")


def test_espeak_that_vanishes_between_texts_is_named(tmp_path: Path) -> None:
    executable = fake(tmp_path, "exit 0")
    voice = EspeakVoice(executable=executable)
    Path(executable).unlink()
    with pytest.raises(SpeechError, match="apt install espeak-ng"):
        voice.speak("hello", "en")


def test_a_process_that_hangs_is_killed_at_the_deadline(tmp_path: Path) -> None:
    speech = EspeakVoice(executable=fake(tmp_path, "exec sleep 60"), deadline_s=0.3).speak("hello", "en")
    begin_s = time.monotonic()
    with pytest.raises(SpeechError, match=r"no sound for 0\.3 s"):
        next(speech)
    assert time.monotonic() - begin_s < 5.0
    assert speech._process.returncode == -signal.SIGKILL


def test_closing_ends_a_reader_that_waits(tmp_path: Path) -> None:
    speech = EspeakVoice(executable=fake(tmp_path, "exec sleep 60"), deadline_s=30.0).speak("hello", "en")
    heard: list[list[bytes]] = []
    reader = threading.Thread(target=lambda: heard.append(list(speech)))
    reader.start()
    time.sleep(0.1)
    speech.close()
    reader.join(5.0)
    assert heard == [[]]


@pytest.mark.parametrize(
    ("script", "words"),
    [("echo no such thing >&2; exit 3", "status 3: no such thing"), ("head -c 9000 /dev/zero", "no WAV file")],
)
def test_a_failure_is_told_in_the_engines_words(tmp_path: Path, script: str, words: str) -> None:
    with pytest.raises(SpeechError, match=words):
        list(EspeakVoice(executable=fake(tmp_path, script)).speak("hello", "en"))


def test_a_text_that_no_pipe_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match="too long"):
        EspeakVoice(executable=fake(tmp_path, "cat > /dev/null")).speak("x" * 70_000, "en")


@pytest.mark.parametrize(("words_per_minute", "pitch"), [(79, 50), (451, 50), (165, -1), (165, 100)])
def test_values_out_of_range_are_named(words_per_minute: int, pitch: int) -> None:
    with pytest.raises(SpeechError, match="must be"):
        EspeakVoice(words_per_minute=words_per_minute, pitch=pitch, executable="sh")


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(SpeechError, match="'festival'; one of espeak, piper"):
        make_voice("festival")
