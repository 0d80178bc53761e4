"""What a mouth tells of its speaking."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Started:
    """A turn's first sound. ``time_s``: steady time (time.monotonic) when it is audible, up to 0.1 s from now."""

    turn_id: str
    time_s: float


@dataclass(frozen=True)
class Spoken:
    """A clause has been heard. ``text``: all that has been heard of the turn."""

    turn_id: str
    text: str


@dataclass(frozen=True)
class Ended:
    """The last of a turn; nothing more of it is spoken.

    Attributes:
        text: the clauses heard whole and the words heard of the one that was interrupted.
        interrupted: it ended before all that was to be said had been.
        reason: why it was interrupted; empty otherwise.
    """

    turn_id: str
    text: str
    interrupted: bool
    reason: str = ""


@dataclass(frozen=True)
class Dropped:
    """``text`` of a turn is not spoken because too much waits."""

    turn_id: str
    text: str
    reason: str


@dataclass(frozen=True)
class Failed:
    """The voice or the sound device failed; the rest of the clause at work is not spoken, the next one is tried."""

    turn_id: str
    reason: str


Event = Started | Spoken | Ended | Dropped | Failed
