"""A way covered by time alone: the speeds add up to it, within the limits."""

import itertools

import pytest

from smolfusion_ros.client.motion import Ramp
from smolfusion_ros.errors import ConfigurationError

STEP_S = 1e-4


def covered(ramp: Ramp) -> float:
    return sum(ramp.speed_at((index + 0.5) * STEP_S) for index in range(int(ramp.duration_s / STEP_S) + 2)) * STEP_S


@pytest.mark.parametrize("amount", [0.01, 0.15, 0.5, 3.14159])
def test_speeds_add_up_to_the_way(amount: float) -> None:
    assert covered(Ramp(amount, 0.3, 0.6)) == pytest.approx(amount, rel=1e-3)


def test_a_long_way_is_gone_at_top_speed_and_a_short_one_below_it() -> None:
    assert Ramp(1.0, 0.3, 0.6).peak_speed == 0.3
    short = Ramp(0.01, 0.3, 0.6)
    assert 0.0 < short.peak_speed < 0.3
    assert short.duration_s == pytest.approx(2 * short.peak_speed / 0.6)


def test_speed_and_acceleration_stay_within_their_limits_and_it_stands_before_and_after() -> None:
    ramp = Ramp(0.5, 0.3, 0.6)
    times_s = [index * 0.01 for index in range(-10, 400)]
    speeds = [ramp.speed_at(each_s) for each_s in times_s]
    assert max(speeds) <= 0.3
    assert max(abs(b - a) for a, b in itertools.pairwise(speeds)) <= 0.6 * 0.01 + 1e-9
    assert speeds[0] == speeds[-1] == ramp.speed_at(ramp.duration_s) == 0.0


def test_nothing_to_cover_takes_no_time() -> None:
    assert (Ramp(0.0, 0.3, 0.6).duration_s, Ramp(0.0, 0.3, 0.6).speed_at(0.0)) == (0.0, 0.0)


@pytest.mark.parametrize("fields", [(-0.1, 0.3, 0.6), (float("nan"), 0.3, 0.6), (1.0, 0.0, 0.6), (1.0, 0.3, -1.0)])
def test_what_makes_no_motion_is_refused(fields: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigurationError, match="use a number"):
        Ramp(*fields)
