"""How old a scene is: as old as its frame, unless a frame at rest confirms it."""

import pytest
from clock import Clock
from smolfusion_ros.msg import MotionState, Person, Scene

from smolfusion_ros.nodes._messages import time_message
from smolfusion_ros.nodes._sight import Sight

SECOND = 1_000_000_000


@pytest.fixture
def clock() -> Clock:
    """The steady clock; ``WALL`` is the one that jumps."""
    return Clock()


@pytest.fixture
def wall() -> Clock:
    return Clock()


@pytest.fixture
def sight(clock: Clock, wall: Clock) -> Sight:
    return Sight(lambda: int(wall.now_s * SECOND), clock)


class Gate:
    """Motion as the gate tells it: counts its frames."""

    def __init__(self, sight: Sight, clock: Clock) -> None:
        self._sight, self._clock = sight, clock
        self.seen = self.forwarded = 0

    def show(self, stamp_s: float, *, keyframe: bool = False, active: bool = False, panning: bool = False) -> None:
        self.seen += 1
        self.forwarded += keyframe
        message = MotionState(
            frames_seen=self.seen, frames_forwarded=self.forwarded, active=active, camera_moving=panning
        )
        message.header.stamp = time_message(round(stamp_s * SECOND))
        self._sight.on_motion(message)

    def rest(self, stamp_s: float, seconds: float, fps: int = 10) -> float:
        """Frames at rest from a stamp on; the last one's stamp."""
        for _ in range(round(seconds * fps)):
            self._clock.now_s += 1 / fps
            stamp_s += 1 / fps
            self.show(stamp_s)
        return stamp_s

    def start_anew(self) -> None:
        self.seen = self.forwarded = 0


@pytest.fixture
def gate(sight: Sight, clock: Clock) -> Gate:
    return Gate(sight, clock)


def scene(stamp_s: float, compact: str = "person left") -> Scene:
    message = Scene(compact=compact, persons=[Person()] if "person" in compact else [])
    message.header.stamp = time_message(round(stamp_s * SECOND))
    return message


def age_s(sight: Sight) -> float:
    return sight.context().situation.scene_age_s


def test_without_a_scene_nobody_is_seen(sight: Sight) -> None:
    assert sight.scene is None
    assert not sight.context().situation.person_seen
    assert age_s(sight) == float("inf")


def test_a_scene_that_comes_late_is_as_old_as_its_frame(sight: Sight) -> None:
    sight.on_scene(scene(400.0))
    assert age_s(sight) == pytest.approx(600.0)


def test_a_person_who_stands_still_does_not_age(sight: Sight, gate: Gate, clock: Clock) -> None:
    gate.show(1000.0, keyframe=True)
    sight.on_scene(scene(1000.0))
    clock.now_s += 20.0
    assert age_s(sight) == pytest.approx(20.0)
    gate.show(1020.0)
    assert age_s(sight) == pytest.approx(0.0)
    assert sight.context().line.endswith("person left")


@pytest.mark.parametrize("how", ["active", "panning"])
def test_motion_confirms_nothing(sight: Sight, gate: Gate, clock: Clock, how: str) -> None:
    gate.show(1000.0, keyframe=True)
    sight.on_scene(scene(1000.0))
    clock.now_s += 5.0
    gate.show(1005.0, **{how: True})
    assert age_s(sight) == pytest.approx(5.0)


def test_a_rest_after_a_change_confirms_only_a_scene_that_shows_it(sight: Sight, gate: Gate, clock: Clock) -> None:
    gate.show(1000.0, keyframe=True)
    sight.on_scene(scene(1000.0))
    gate.show(1003.0, active=True)
    clock.now_s = 1004.0
    gate.show(1004.0, keyframe=True)
    gate.rest(1004.0, 6.0)
    assert age_s(sight) == pytest.approx(10.0)
    sight.on_scene(scene(1004.0))
    assert age_s(sight) == pytest.approx(6.0)
    gate.show(1011.0)
    assert age_s(sight) == pytest.approx(0.0)


def test_a_keyframe_of_something_that_moves_is_not_confirmed(sight: Sight, gate: Gate) -> None:
    gate.show(1000.0, keyframe=True, active=True)
    sight.on_scene(scene(1000.0))
    gate.rest(1000.0, 3.0)
    assert age_s(sight) == pytest.approx(3.0)


def test_a_scene_that_comes_after_the_next_keyframe_is_not_confirmed(sight: Sight, gate: Gate) -> None:
    gate.show(1000.0, keyframe=True)
    gate.show(1000.5, keyframe=True)
    sight.on_scene(scene(1000.0))
    gate.rest(1000.5, 4.0)
    assert age_s(sight) == pytest.approx(4.0)
    sight.on_scene(scene(1000.5))
    gate.rest(1004.5, 0.1)
    assert age_s(sight) == pytest.approx(0.0)


def test_after_a_restart_an_old_scene_is_not_confirmed_before_the_next_keyframe(sight: Sight, gate: Gate) -> None:
    gate.seen, gate.forwarded = 500, 17
    sight.on_scene(scene(990.0))
    gate.rest(1000.0, 1.0)
    assert age_s(sight) == pytest.approx(11.0)


def test_a_gate_that_has_started_anew_does_not_confirm_what_was_seen_before(sight: Sight, gate: Gate) -> None:
    gate.show(1000.0, keyframe=True)
    sight.on_scene(scene(1000.0))
    stamp_s = gate.rest(1000.0, 5.0)
    assert age_s(sight) == pytest.approx(0.0)
    gate.start_anew()
    gate.forwarded = 1  # its first keyframe's motion was not heard
    gate.rest(stamp_s, 4.0)
    assert age_s(sight) == pytest.approx(4.0)
    gate.show(2000.0, keyframe=True)
    sight.on_scene(scene(2000.0))
    gate.rest(2000.0, 1.0)
    assert age_s(sight) == pytest.approx(0.0)


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0, -0.05])
def test_after_a_jump_of_the_frames_clock_scenes_are_confirmed_as_before(
    sight: Sight, gate: Gate, jump_s: float
) -> None:
    gate.show(1e6, keyframe=True)
    sight.on_scene(scene(1e6))
    stamp_s = gate.rest(1e6, 3.0) + jump_s
    assert age_s(sight) == pytest.approx(0.0)
    gate.rest(stamp_s, 3.0)
    assert age_s(sight) == pytest.approx(0.0), "nothing has moved, whatever the stamps say"
    gate.show(stamp_s + 4.0, active=True)
    gate.show(stamp_s + 5.0, keyframe=True)
    gate.rest(stamp_s + 5.0, 2.0)
    assert age_s(sight) == pytest.approx(2.0), "the scene from before the jump is not confirmed"
    sight.on_scene(scene(stamp_s + 5.0))
    gate.rest(stamp_s + 7.0, 1.0)
    assert age_s(sight) == pytest.approx(0.0)


def test_a_bag_played_again_is_seen_as_the_first_time(sight: Sight, gate: Gate, clock: Clock) -> None:
    gate.show(49.9)
    for _ in range(3):
        gate.show(50.0, keyframe=True)
        clock.now_s += 0.4
        sight.on_scene(scene(50.0, "person left"))
        assert age_s(sight) == pytest.approx(0.4)
        stamp_s = gate.rest(50.4, 5.0)
        assert age_s(sight) == pytest.approx(0.0)
        gate.show(stamp_s, keyframe=True, active=True)
        gate.show(stamp_s + 1.0, keyframe=True)
        gate.rest(stamp_s + 1.0, 3.0)
        assert age_s(sight) == pytest.approx(3.0)
        sight.on_scene(scene(stamp_s + 1.0, "nobody"))
        gate.rest(stamp_s + 4.0, 1.0)
        assert age_s(sight) == pytest.approx(0.0)


@pytest.mark.parametrize("stamp_s", [0.0, 1000.0, 1e6])
def test_stamps_that_stand_still_confirm_nothing(sight: Sight, gate: Gate, clock: Clock, stamp_s: float) -> None:
    def frozen(seconds: int) -> None:
        for _ in range(seconds * 10):
            clock.now_s += 0.1
            gate.show(stamp_s)

    gate.show(stamp_s, keyframe=True)
    sight.on_scene(scene(stamp_s))
    frozen(3)
    assert age_s(sight) >= 3.0 - 1e-6
    gate.show(stamp_s, keyframe=True)  # the person leaves; perception is still busy with the frame before
    sight.on_scene(scene(stamp_s))
    frozen(3)
    assert age_s(sight) >= 3.0 - 1e-6
    gate.show(stamp_s + 1.0, keyframe=True)
    sight.on_scene(scene(stamp_s + 1.0, "nobody"))
    gate.rest(stamp_s + 1.0, 1.0)
    assert age_s(sight) == pytest.approx(0.0), "as soon as stamps name frames again, scenes are confirmed"


def test_stamps_that_have_stopped_make_a_scene_as_old_as_the_first_frame_of_that_name(
    sight: Sight, gate: Gate, clock: Clock
) -> None:
    gate.show(5000.0)
    gate.show(6000.0, keyframe=True)
    clock.now_s += 7.0
    gate.show(6000.0, keyframe=True)
    sight.on_scene(scene(6000.0))
    assert age_s(sight) == pytest.approx(7.0)


def test_a_keyframe_whose_name_came_before_is_remembered_as_a_new_one(sight: Sight, gate: Gate, clock: Clock) -> None:
    gate.show(0.0)
    for index in (*range(1, 60), 1, *range(60, 110)):
        gate.show(float(index), keyframe=True)
    clock.now_s += 3.0
    sight.on_scene(scene(1.0))
    assert age_s(sight) == pytest.approx(3.0)


def test_a_scene_latched_from_before_is_not_confirmed_by_stamps_that_stand_still(
    sight: Sight, gate: Gate, clock: Clock
) -> None:
    gate.seen, gate.forwarded = 500, 17
    gate.show(900.0)
    sight.on_scene(scene(900.0))
    for _ in range(5):
        clock.now_s += 1.0
        gate.show(900.0)
    assert age_s(sight) == pytest.approx(105.0)


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_a_jump_of_the_nodes_clock_between_frame_and_scene_does_not_matter(
    sight: Sight, gate: Gate, clock: Clock, wall: Clock, jump_s: float
) -> None:
    gate.show(999.9)
    gate.show(1000.0, keyframe=True)
    clock.now_s += 2.0
    wall.now_s += 2.0 + jump_s
    sight.on_scene(scene(1000.0))
    assert age_s(sight) == pytest.approx(2.0)


def test_a_scene_from_the_future_is_new_and_then_ages(sight: Sight, clock: Clock) -> None:
    sight.on_scene(scene(5000.0))
    assert age_s(sight) == pytest.approx(0.0)
    clock.now_s += 30.0
    assert age_s(sight) == pytest.approx(30.0)


def test_a_scene_of_the_year_1970_is_just_old(sight: Sight, wall: Clock) -> None:
    wall.now_s = 1.8e9
    sight.on_scene(scene(0.0))
    assert age_s(sight) == pytest.approx(1.8e9)
    assert sight.context().line.endswith("person left")


def test_what_is_remembered_of_keyframes_is_bounded(sight: Sight, gate: Gate) -> None:
    for index in range(10_000):
        gate.show(float(index), keyframe=True)
    assert len(sight._keyframes_s) <= 64
