"""What every recogniser does, and which there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.sound import Samples

ENGINES = ("whisper", "vosk")


@dataclass(frozen=True)
class Transcript:
    """What was understood.

    Args:
        text: as the engine writes it, without space around; "" where there is no speech to be understood.
        language: BCP 47, such as "en" or "ko".
        confidence: 0 to 1; Whisper's is the geometric mean of its tokens' probabilities, Vosk's the mean of its words'.
    """

    text: str
    language: str
    confidence: float


class Recogniser(Protocol):
    """Turns one utterance after the other into text; used by one thread. Engines raise SpeechError where they fail.

    Attributes:
        streaming: whether the work is done while samples are fed, so that ``finish`` is quick.
    """

    streaming: bool

    def begin(self) -> None:
        """Start an utterance; what was fed before is forgotten."""
        ...

    def feed(self, samples: Samples) -> None:
        """The next samples of the utterance, at 16 kHz, any number."""
        ...

    def partial(self) -> str:
        """What is understood so far; "" where the engine does not tell."""
        ...

    def finish(self) -> Transcript:
        """The whole utterance's text."""
        ...

    def close(self) -> None:
        """Give the model back."""
        ...


def fetch_hint(model: str | Path) -> str:
    """What to do about a model directory that is missing or damaged."""
    return f"run: ros2 run smolfusion_ros fetch_models {Path(model).name or '<model>'}, or give another path"


def require_files(engine: str, model: str | Path, names: tuple[str, ...]) -> Path:
    """The model's directory, with each of ``names`` in it and not empty.

    Raises:
        SpeechError: a file or the directory is missing or empty.
    """
    directory = Path(model).expanduser()
    if not directory.is_dir():
        raise SpeechError(f"there is no {engine} model in {str(directory)!r}: {fetch_hint(directory)}")
    for name in names:
        if not (directory / name).is_file() or not (directory / name).stat().st_size:
            raise SpeechError(f"the {engine} model {directory} has no {name}: {fetch_hint(directory)}")
    return directory


def make_recogniser(
    engine: str,
    model: str | Path,
    language: str = "en",
    threads: int = 1,
    context: str = "",
    phrases: Sequence[str] = (),
) -> Recogniser:
    """Load a recogniser; takes a second or so.

    Args:
        engine: one of ``ENGINES``.
        model: directory of a faster-whisper (CTranslate2) or a Vosk model.
        language: what is spoken; "" lets a multilingual Whisper find out. Vosk's models know one each.
        threads: 1 to 16, for Whisper; Vosk uses one.
        context: what people say to this robot; Whisper expects more of the same.
        phrases: only these are recognised, by Vosk; everything if there are none.

    Raises:
        SpeechError: unknown engine, its package is not installed, or the model is missing or damaged.
    """
    if engine not in ENGINES:
        raise SpeechError(f"engine is {engine!r}: use one of {', '.join(ENGINES)}")
    if not 1 <= threads <= 16:
        raise SpeechError(f"threads is {threads}: use 1 to 16")
    if engine == "vosk":
        from smolfusion_ros.speech.vosk import VoskRecogniser

        return VoskRecogniser(model, language, phrases)
    from smolfusion_ros.speech.whisper import WhisperRecogniser

    return WhisperRecogniser(model, language, threads, context=context)
