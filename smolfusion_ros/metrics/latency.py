"""How long each stage takes: percentiles over a bounded window of durations."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from time import monotonic

import numpy as np

_PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class StageSummary:
    """The distribution of one stage's durations over the window, milliseconds."""

    name: str
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class LatencyWindows:
    """The newest durations of every stage.

    Percentiles are interpolated linearly between the two nearest ranks (type 7 of Hyndman and Fan, 1996; NumPy's
    default): with few samples p99 is close to the longest, and one sample is all three.

    Args:
        max_age_s: durations told longer ago than this do not count.
        max_samples: durations kept per stage; the oldest go.
        max_stages: stages kept; the one that was longest without a new duration goes.
        now_s: a steady clock, seconds.
    """

    def __init__(
        self,
        *,
        max_age_s: float = 300.0,
        max_samples: int = 1000,
        max_stages: int = 64,
        now_s: Callable[[], float] = monotonic,
    ) -> None:
        self._max_age_s = max_age_s
        self._max_samples = max_samples
        self._max_stages = max_stages
        self._now_s = now_s
        self._stages: dict[str, deque[tuple[float, float]]] = {}

    def add(self, stage: str, duration_s: float) -> None:
        """Count a duration, seconds; one that is negative or not finite tells of a clock, not of the stage."""
        if not isfinite(duration_s) or duration_s < 0.0:
            return
        samples = self._stages.pop(stage, None) or deque(maxlen=self._max_samples)
        samples.append((self._now_s(), duration_s))
        self._stages[stage] = samples  # the end of the dict: the newest
        if len(self._stages) > self._max_stages:
            del self._stages[next(iter(self._stages))]

    def summary(self, stage: str) -> StageSummary | None:
        """One stage's distribution, None where the window holds none of its durations."""
        samples = self._stages.get(stage)
        if samples is None:
            return None
        oldest_s = self._now_s() - self._max_age_s
        while samples and samples[0][0] < oldest_s:
            samples.popleft()
        if not samples:
            del self._stages[stage]
            return None
        percentiles_s = np.percentile([duration_s for _, duration_s in samples], _PERCENTILES)
        return StageSummary(stage, len(samples), *(1e3 * float(each_s) for each_s in percentiles_s))

    def summaries(self) -> list[StageSummary]:
        """All stages that the window holds durations of, by name."""
        found = (self.summary(stage) for stage in sorted(self._stages))
        return [each for each in found if each is not None]
