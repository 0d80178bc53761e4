"""The newest picture of the camera, and nothing older: whoever looks too late has missed it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """An encoded picture. ``stamp``: seconds since 1970 by the robot's clock; ``number`` counts from 1."""

    data: bytes
    media_type: str
    stamp: float
    number: int

    @property
    def etag(self) -> str:
        """Changes with every picture."""
        return f'"{self.number}-{self.stamp:.6f}"'


class Camera:
    """A mailbox of one, for any number of readers; used on one loop only."""

    def __init__(self) -> None:
        self.newest: Frame | None = None
        self._number = 0
        self._changed = asyncio.Event()
        self._closed = False

    def show(self, data: bytes, media_type: str, stamp: float) -> None:
        """Put a picture in the place of the one before."""
        self._number += 1
        self.newest = Frame(data, media_type, stamp, self._number)
        self._wake()

    async def newer_than(self, number: int) -> Frame | None:
        """The newest picture as soon as there is one after ``number``; None when the camera was closed."""
        while not self._closed:
            if self.newest is not None and self.newest.number > number:
                return self.newest
            await self._changed.wait()
        return None

    def close(self) -> None:
        """Let all readers go."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
