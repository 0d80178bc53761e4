"""A voice: what any engine that turns text into sound looks like to the mouth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from smolfusion_ros.errors import SpeechError

ENGINES = ("espeak", "piper")
# Sound is handed on in pieces this long: short enough to stop within, long enough to cost little.
PIECE_S = 0.02
BYTES_PER_FRAME = 2


class Speech(Protocol):
    """The sound of one text, while it is made: S16LE mono in pieces of at most 40 ms."""

    def __iter__(self) -> Iterator[bytes]: ...

    def __next__(self) -> bytes:
        """The next piece as soon as it is there.

        Raises:
            SpeechError: the engine failed or missed its deadline; the sound ends here.
            StopIteration: the text is spoken, or `close` was called.
        """
        ...

    def close(self) -> None:
        """Stop the work; may be called more than once, and from another thread while one waits for a piece."""
        ...


class Voice(Protocol):
    """A speech synthesiser; used by one thread at a time."""

    @property
    def sample_rate(self) -> int:
        """Frames per second of what it speaks."""
        ...

    def speak(self, text: str, language: str) -> Speech:
        """Begin to speak a text in a language (BCP 47); returns before the sound is there.

        Raises:
            SpeechError: the engine cannot be started or does not know the language; says what to do.
        """
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


def make_voice(
    engine: str, model: Path | None = None, *, words_per_minute: int = 165, pitch: int = 50, threads: int = 1
) -> Voice:
    """A voice by the name of its engine.

    Args:
        engine: "espeak" (all languages, 20 ms, sounds like a machine) or "piper" (natural, one language a model).
        model: Piper's voice, an .onnx file with its .onnx.json beside it; espeak needs none.
        words_per_minute: 80–450.
        pitch: 0–99, of espeak.
        threads: of Piper's model.

    Raises:
        SpeechError: the engine is unknown or not installed, its model is missing, or a value out of range.
    """
    # Neither engine is loaded for the other's sake.
    if engine == "espeak":
        from smolfusion_ros.speech.espeak import EspeakVoice

        return EspeakVoice(words_per_minute=words_per_minute, pitch=pitch)
    if engine == "piper":
        from smolfusion_ros.speech.piper import PiperVoice

        if model is None:
            raise SpeechError("piper needs a voice: give the path of an .onnx file")
        return PiperVoice(model, words_per_minute=words_per_minute, threads=threads)
    raise SpeechError(f"there is no speech engine {engine!r}; one of {', '.join(ENGINES)}")


def piece_size(sample_rate: int) -> int:
    """Bytes of one piece, whole frames."""
    return max(1, int(sample_rate * PIECE_S)) * BYTES_PER_FRAME
