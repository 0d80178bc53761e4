"""A scene ages unless a picture at rest confirms it; the gate is looked at once a second."""

import pytest
from clock import Clock

from smolfusion_ros.metrics.scene_age import SceneAge

SECOND = 1_000_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def age(clock: Clock) -> SceneAge:
    return SceneAge(clock)


def scene(age: SceneAge, clock: Clock, frame_s: float) -> None:
    age.on_scene(int(frame_s * SECOND), clock.now_s - frame_s)


def motion(age: SceneAge, clock: Clock, forwarded: int, *, at_rest: bool = True) -> None:
    age.on_motion(int(clock.now_s * SECOND), forwarded, at_rest=at_rest)


def test_without_a_scene_there_is_no_age(age: SceneAge, clock: Clock) -> None:
    motion(age, clock, 1)
    assert age.age_s is None


def test_a_scene_that_comes_late_is_as_old_as_its_frame(age: SceneAge, clock: Clock) -> None:
    scene(age, clock, 400.0)
    assert age.age_s == pytest.approx(600.0)


def test_a_frame_from_the_future_is_new(age: SceneAge, clock: Clock) -> None:
    scene(age, clock, 4600.0)
    assert age.age_s == 0.0


def test_rest_confirms_the_scene_of_the_last_keyframe(age: SceneAge, clock: Clock) -> None:
    motion(age, clock, 1)
    clock.now_s += 1.0
    scene(age, clock, 999.8)  # forwarded before the gate was first looked at
    for _ in range(60):
        clock.now_s += 1.0
        motion(age, clock, 1)
    assert age.age_s == 0.0


def test_a_keyframe_between_two_looks_may_be_the_scenes_own(age: SceneAge, clock: Clock) -> None:
    motion(age, clock, 1)
    clock.now_s += 1.0
    motion(age, clock, 2)
    scene(age, clock, 1000.4)
    clock.now_s += 5.0
    motion(age, clock, 2)
    assert age.age_s == 0.0


def test_a_scene_ages_while_something_moves(age: SceneAge, clock: Clock) -> None:
    scene(age, clock, 1000.0)
    for _ in range(5):
        clock.now_s += 1.0
        motion(age, clock, 1, at_rest=False)
    assert age.age_s == pytest.approx(5.0)


def test_a_keyframe_that_perception_never_answers_leaves_the_scene_ageing(age: SceneAge, clock: Clock) -> None:
    motion(age, clock, 1)
    scene(age, clock, 1000.0)
    for forwarded in (1, 1, 2, 2, 2):
        clock.now_s += 1.0
        motion(age, clock, forwarded)
    assert age.age_s == pytest.approx(3.0)
    scene(age, clock, 1002.7)
    clock.now_s += 1.0
    motion(age, clock, 2)
    assert age.age_s == 0.0


def test_a_scene_ages_when_frames_stop(age: SceneAge, clock: Clock) -> None:
    scene(age, clock, 1000.0)
    motion(age, clock, 1)
    clock.now_s += 30.0
    assert age.age_s == pytest.approx(30.0)


def test_a_clock_that_is_set_back_is_got_over_with_the_next_keyframes(age: SceneAge, clock: Clock) -> None:
    age.on_motion(5000 * SECOND, 1, at_rest=False)
    age.on_motion(1000 * SECOND, 2, at_rest=True)
    age.on_motion(1001 * SECOND, 3, at_rest=True)
    scene(age, clock, 1000.0)
    clock.now_s += 10.0
    age.on_motion(1010 * SECOND, 3, at_rest=True)
    assert age.age_s == 0.0
