"""Sound on its way from where it comes to the ear, in a thread of its own: no source may wait for what it costs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

# Pieces that may wait; a microphone gives 31 a second.
CAPACITY = 128
CLOSE_S = 2.0


@dataclass(frozen=True)
class Sound:
    """A piece of sound.

    Attributes:
        end_s: ROS time of its last sample, seconds.
    """

    data: bytes
    sample_rate: int
    channels: int
    sample_format: str
    end_s: float


class SoundQueue:
    """Hands sound to a function, in order.

    Attributes:
        lost: pieces that found the queue full.
    """

    def __init__(self, take: Callable[[Sound], None]) -> None:
        self._take = take
        self._waiting: queue.Queue[Sound | None] = queue.Queue(CAPACITY)
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name="sound", daemon=True)
        self._thread.start()

    def put(self, sound: Sound) -> None:
        """From any thread; what finds no room is lost, and counted."""
        try:
            self._waiting.put_nowait(sound)
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """What waits is not handed on any more."""
        self._take = lambda _sound: None
        try:
            self._waiting.put(None, timeout=CLOSE_S)
        except queue.Full:
            return
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while (sound := self._waiting.get()) is not None:
            self._take(sound)
