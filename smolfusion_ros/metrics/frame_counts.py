"""How many frames the motion gate sees and forwards, from counters that begin again at 0 when it is restarted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

_RATE_S = 5.0


class _Counts(NamedTuple):
    at_s: float
    seen: int
    forwarded: int


class FrameCounts:
    """Reads the gate's counters now and then.

    Args:
        window_s: span of ``skipped_fraction``.
        now_s: a steady clock, seconds.
    """

    def __init__(self, *, window_s: float = 300.0, now_s: Callable[[], float] = monotonic) -> None:
        self._window_s = window_s
        self._now_s = now_s
        self._told = (0, 0)
        self._totals: deque[_Counts] = deque()

    def update(self, seen: int, forwarded: int) -> None:
        """Take the counters as the gate tells them; smaller ones than before are those of a new gate."""
        now_s = self._now_s()
        if self._totals:
            seen_before, forwarded_before = (0, 0) if seen < self._told[0] else self._told
            newest = self._totals[-1]
            total = _Counts(
                now_s,
                newest.seen + seen - seen_before,
                newest.forwarded + max(0, forwarded - forwarded_before),
            )
        else:
            total = _Counts(now_s, 0, 0)
        self._told = seen, forwarded
        self._totals.append(total)
        while self._totals[0].at_s < now_s - self._window_s:
            self._totals.popleft()

    @property
    def silent_s(self) -> float | None:
        """Seconds since the counters were last told; None: never."""
        return self._now_s() - self._totals[-1].at_s if self._totals else None

    @property
    def rate_hz(self) -> float:
        """Frames per second that the gate saw in the last 5 s told; 0 if it has been silent for as long."""
        silent_s = self.silent_s
        if silent_s is None or silent_s > _RATE_S:
            return 0.0
        newest = self._totals[-1]
        oldest = next(each for each in self._totals if each.at_s >= newest.at_s - _RATE_S)
        elapsed_s = newest.at_s - oldest.at_s
        return (newest.seen - oldest.seen) / elapsed_s if elapsed_s > 0.0 else 0.0

    @property
    def skipped_fraction(self) -> float:
        """Frames that were not forwarded of those seen in the window, 0 to 1; 0 where none was seen."""
        if not self._totals:
            return 0.0
        seen = self._totals[-1].seen - self._totals[0].seen
        forwarded = self._totals[-1].forwarded - self._totals[0].forwarded
        return max(0.0, 1.0 - forwarded / seen) if seen else 0.0
