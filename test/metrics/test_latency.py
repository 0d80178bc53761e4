"""Percentiles of what lately happened, in bounded memory."""

from math import inf, nan

import numpy as np
import pytest
from clock import Clock

from smolfusion_ros.metrics.latency import LatencyWindows, StageSummary


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_stage_without_durations_has_no_summary(clock: Clock) -> None:
    windows = LatencyWindows(now_s=clock)
    assert windows.summary("dialogue.total") is None
    assert windows.summaries() == []


def test_one_duration_is_every_percentile(clock: Clock) -> None:
    windows = LatencyWindows(now_s=clock)
    windows.add("perception.vlm", 0.25)
    assert windows.summaries() == [StageSummary("perception.vlm", 1, 250.0, 250.0, 250.0)]


def test_percentiles_lie_between_the_nearest_ranks(clock: Clock) -> None:
    windows = LatencyWindows(now_s=clock)
    for duration_ms in range(101):  # 0 to 100 ms: the p-th percentile is p
        windows.add("a", duration_ms * 1e-3)
    found = windows.summary("a")
    assert (found.count, found.p50_ms, found.p95_ms, found.p99_ms) == (101, *map(pytest.approx, (50.0, 95.0, 99.0)))
    windows.add("b", 0.1)
    windows.add("b", 0.2)
    assert windows.summary("b").p95_ms == pytest.approx(195.0)


def test_the_order_of_arrival_does_not_matter(clock: Clock) -> None:
    windows, durations_s = LatencyWindows(now_s=clock), np.random.default_rng(0).exponential(1.0, 500)
    for each_s in durations_s:
        windows.add("a", float(each_s))
    assert windows.summary("a").p99_ms == pytest.approx(1e3 * np.percentile(np.sort(durations_s), 99))


def test_old_durations_leave_the_window(clock: Clock) -> None:
    windows = LatencyWindows(max_age_s=60.0, now_s=clock)
    windows.add("a", 9.0)
    clock.now_s += 59.0
    windows.add("a", 1.0)
    assert windows.summary("a").count == 2
    clock.now_s += 2.0
    assert windows.summary("a") == StageSummary("a", 1, 1000.0, 1000.0, 1000.0)
    clock.now_s += 60.0
    assert windows.summaries() == []


def test_a_burst_pushes_the_oldest_out(clock: Clock) -> None:
    windows = LatencyWindows(max_samples=100, now_s=clock)
    for _ in range(1000):
        windows.add("a", 5.0)
    for _ in range(100):
        windows.add("a", 1.0)
    assert windows.summary("a") == StageSummary("a", 100, 1000.0, 1000.0, 1000.0)


def test_of_too_many_stages_the_one_longest_unused_goes(clock: Clock) -> None:
    windows = LatencyWindows(max_stages=3, now_s=clock)
    for stage in ("a", "b", "c", "a", "d"):
        windows.add(stage, 1.0)
    assert [each.name for each in windows.summaries()] == ["a", "c", "d"]
    assert windows.summary("a").count == 2


@pytest.mark.parametrize("nonsense", [-0.001, nan, inf, -inf])
def test_what_a_clock_that_was_set_yields_does_not_count(clock: Clock, nonsense: float) -> None:
    windows = LatencyWindows(now_s=clock)
    windows.add("a", nonsense)
    assert windows.summary("a") is None
    windows.add("a", 1.0)
    windows.add("a", nonsense)
    assert windows.summary("a").count == 1
