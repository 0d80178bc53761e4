"""The gate's counters become a rate and a share, whatever happens to the gate."""

import pytest
from clock import Clock

from smolfusion_ros.metrics.frame_counts import FrameCounts


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def frames(clock: Clock) -> FrameCounts:
    return FrameCounts(window_s=60.0, now_s=clock)


def run(
    frames: FrameCounts, clock: Clock, seen: int, forwarded: int, seconds: int, *, every: int = 10
) -> tuple[int, int]:
    """The counters of a gate at 30 Hz that forwards one frame of ``every``, told once a second."""
    for _ in range(seconds):
        clock.now_s += 1.0
        seen += 30
        forwarded += 30 // every
        frames.update(seen, forwarded)
    return seen, forwarded


def test_nothing_is_known_before_the_first_frame(frames: FrameCounts) -> None:
    assert (frames.silent_s, frames.rate_hz, frames.skipped_fraction) == (None, 0.0, 0.0)


def test_one_look_at_the_counters_tells_no_rate(frames: FrameCounts) -> None:
    frames.update(1000, 10)
    assert (frames.silent_s, frames.rate_hz, frames.skipped_fraction) == (0.0, 0.0, 0.0)


def test_rate_and_share_come_from_differences(frames: FrameCounts, clock: Clock) -> None:
    run(frames, clock, 100_000, 90_000, 10)
    clock.now_s += 0.9
    assert frames.rate_hz == pytest.approx(30.0)
    assert frames.skipped_fraction == pytest.approx(0.9)
    assert frames.silent_s == pytest.approx(0.9)


def test_a_restarted_gate_counts_from_zero_and_takes_nothing_back(frames: FrameCounts, clock: Clock) -> None:
    run(frames, clock, 100_000, 10_000, 10)
    run(frames, clock, 0, 0, 10)
    assert frames.rate_hz == pytest.approx(30.0)
    assert frames.skipped_fraction == pytest.approx(0.9)


def test_frames_that_stop_have_no_rate(frames: FrameCounts, clock: Clock) -> None:
    run(frames, clock, 0, 0, 10)
    clock.now_s += 6.0
    assert frames.rate_hz == 0.0
    assert frames.silent_s == pytest.approx(6.0)


def test_frames_that_come_back_have_one_at_once(frames: FrameCounts, clock: Clock) -> None:
    counts = run(frames, clock, 0, 0, 10)
    clock.now_s += 100.0
    run(frames, clock, *counts, 2)
    assert frames.rate_hz == pytest.approx(30.0)


def test_what_is_older_than_the_window_does_not_count(frames: FrameCounts, clock: Clock) -> None:
    counts = run(frames, clock, 0, 0, 30, every=1)
    assert frames.skipped_fraction == 0.0
    run(frames, clock, *counts, 61, every=30)
    assert frames.skipped_fraction == pytest.approx(29 / 30)


def test_more_forwarded_than_seen_is_no_negative_share(frames: FrameCounts, clock: Clock) -> None:
    frames.update(0, 0)
    clock.now_s += 1.0
    frames.update(1, 50)
    assert frames.skipped_fraction == 0.0
