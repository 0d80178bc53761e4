"""How old a scene is: as old as its frame, unless a frame at rest confirms it."""

import pytest
from clock import Clock
from smolfusion_ros.msg import MotionState, Person, Scene

from smolfusion_ros.nodes._messages import time_message
from smolfusion_ros.nodes._sight import Sight

SECOND = 1_000_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sight(clock: Clock) -> Sight:
    return Sight(lambda: int(clock.now_s * SECOND), lambda: clock.now_s)


def scene(stamp_s: float) -> Scene:
    message = Scene(compact="person left", persons=[Person()])
    message.header.stamp = time_message(int(stamp_s * SECOND))
    return message


def motion(stamp_s: float, forwarded: int, *, active: bool = False) -> MotionState:
    message = MotionState(frames_forwarded=forwarded, active=active)
    message.header.stamp = time_message(int(stamp_s * SECOND))
    return message


def age_s(sight: Sight) -> float:
    return sight.context().situation.scene_age_s


def test_without_a_scene_nobody_is_seen(sight: Sight) -> None:
    assert not sight.context().situation.person_seen
    assert age_s(sight) == float("inf")


def test_a_scene_that_comes_late_is_as_old_as_its_frame(sight: Sight) -> None:
    sight.on_scene(scene(400.0))
    assert age_s(sight) == pytest.approx(600.0)


def test_a_person_who_stands_still_does_not_age(sight: Sight, clock: Clock) -> None:
    sight.on_motion(motion(1000.0, 1))
    sight.on_scene(scene(1000.0))
    clock.now_s = 1020.0
    assert age_s(sight) == pytest.approx(20.0)
    sight.on_motion(motion(1020.0, 1))
    assert age_s(sight) == pytest.approx(0.0)
    assert sight.context().line.endswith("person left")


def test_motion_confirms_nothing(sight: Sight, clock: Clock) -> None:
    sight.on_motion(motion(1000.0, 1))
    sight.on_scene(scene(1000.0))
    clock.now_s = 1005.0
    sight.on_motion(motion(1005.0, 1, active=True))
    assert age_s(sight) == pytest.approx(5.0)


def test_a_rest_after_a_change_confirms_only_a_scene_that_shows_it(sight: Sight, clock: Clock) -> None:
    sight.on_motion(motion(1000.0, 1))
    sight.on_scene(scene(1000.0))
    sight.on_motion(motion(1003.0, 1, active=True))
    sight.on_motion(motion(1004.0, 2))
    clock.now_s = 1010.0
    sight.on_motion(motion(1010.0, 2))
    assert age_s(sight) == pytest.approx(10.0)
    sight.on_scene(scene(1004.0))
    clock.now_s = 1011.0
    sight.on_motion(motion(1011.0, 2))
    assert age_s(sight) == pytest.approx(0.0)


def test_after_a_restart_an_old_scene_is_not_confirmed_before_the_next_keyframe(sight: Sight, clock: Clock) -> None:
    sight.on_scene(scene(990.0))
    sight.on_motion(motion(1000.0, 17))
    clock.now_s = 1001.0
    sight.on_motion(motion(1001.0, 17))
    assert age_s(sight) == pytest.approx(11.0)
