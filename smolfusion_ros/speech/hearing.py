"""What an ear tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smolfusion_ros.speech.recognition import Transcript


@dataclass(frozen=True)
class SpeechStarted:
    """Somebody began to speak, at ``time_s`` on the clock that ``hear`` was given; told about 0.1 s later."""

    time_s: float


@dataclass(frozen=True)
class Partial:
    """What is understood of the utterance so far."""

    text: str


@dataclass(frozen=True)
class Heard:
    """An utterance.

    Args:
        transcript: its text is not empty, and without the wake word.
        start_s, end_s: of the speech, on the clock that ``hear`` was given.
        engine_s: what the engine took for the text after the last sample was there; it may have begun before it was
            certain that the utterance was over.
    """

    transcript: Transcript
    start_s: float
    end_s: float
    engine_s: float


@dataclass(frozen=True)
class Woken:
    """The wake word was said alone."""

    time_s: float


@dataclass(frozen=True)
class Unheard:
    """Speech that became no utterance, or an engine that fails, and why."""

    reason: str


EarEvent = SpeechStarted | Partial | Heard | Woken | Unheard
OnEvent = Callable[[EarEvent], None]
