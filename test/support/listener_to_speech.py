"""Who listens to a mouth: a reader that plays pieces as they come, and a notebook of events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from smolfusion_ros.speech.mouth_events import Event

Kind = TypeVar("Kind")


class Reader:
    """Plays each piece when it comes, or behind what it plays. Times are steady seconds."""

    def __init__(self, sample_rate: int = 22050) -> None:
        self.sample_rate = sample_rate
        self.pieces: list[bytes] = []
        self.came_s: list[float] = []
        self.gaps_s: list[float] = []  # silences between pieces
        self.silent_s = 0.0  # when what has come is played

    def __call__(self, piece: bytes) -> None:
        now_s = time.monotonic()
        if self.pieces:
            self.gaps_s.append(max(0.0, now_s - self.silent_s))
        self.pieces.append(piece)
        self.came_s.append(now_s)
        self.silent_s = max(self.silent_s, now_s) + len(piece) / 2 / self.sample_rate

    @property
    def sound(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def seconds(self) -> float:
        return len(self.sound) / 2 / self.sample_rate


class Notebook:
    """Writes down events with the steady time of each."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.times_s: list[float] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self.times_s.append(time.monotonic())
            self._changed.notify_all()

    def wait_for(self, kind: type[Kind], turn_id: str = "", count: int = 1, timeout_s: float = 30.0) -> Kind:
        """The last of so many events of a kind, of one turn if it is named."""

        def found() -> list[Kind]:
            return [each for each in self.events if isinstance(each, kind) and turn_id in ("", each.turn_id)]

        self.wait_until(lambda: len(found()) >= count, timeout_s)
        return found()[count - 1]

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, timeout_s), self.events

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [each for each in self.events if isinstance(each, kind)]
