"""What /diagnostics says of a camera that runs, stops, sends nonsense, or has another clock."""

import pytest
from clock import Clock

from smolfusion_ros.nodes._camera import CameraWatch
from smolfusion_ros.nodes._diagnostics import ERROR, OK, WARN, Status

TIMEOUT_S = 2.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def camera(clock: Clock) -> CameraWatch:
    return CameraWatch(clock)


def show(camera: CameraWatch, clock: Clock, frames: int = 60, rate_hz: float = 30.0, behind_s: float = 0.01) -> None:
    for _ in range(frames):
        clock.now_s += 1.0 / rate_hz
        camera.on_frame(640, 480, "bgr8", behind_s)


def status(camera: CameraWatch, publishers: int = 1) -> Status:
    return camera.status("/smolfusion/image", publishers, 0.75, TIMEOUT_S)


def test_a_running_camera_is_well_and_described(camera: CameraWatch, clock: Clock) -> None:
    show(camera, clock)
    clock.now_s += 0.02
    found = status(camera)
    assert (found.level, found.summary) == (OK, "30.0 fps 640x480 bgr8")
    assert found.values["rate (fps)"] == pytest.approx(30.0)
    assert found.values["skipped (%)"] == pytest.approx(75.0)
    assert found.values["age of the last frame (s)"] == pytest.approx(0.02)


def test_a_camera_has_its_time_to_begin(camera: CameraWatch, clock: Clock) -> None:
    clock.now_s += 1.0
    assert status(camera, publishers=0).level == OK


def test_a_camera_that_never_came_is_told_of_with_its_topic(camera: CameraWatch, clock: Clock) -> None:
    clock.now_s += 7.0
    found = status(camera, publishers=0)
    assert (found.level, found.summary) == (WARN, "no frame for 7 s: nobody publishes /smolfusion/image")


def test_a_camera_that_stopped_is_told_of_and_is_well_again_when_it_returns(camera: CameraWatch, clock: Clock) -> None:
    show(camera, clock)
    clock.now_s += 5.0
    found = status(camera)
    assert (found.level, found.summary) == (WARN, "no frame for 5 s")
    assert found.values["rate (fps)"] == 0.0
    show(camera, clock, 31)
    assert (status(camera).level, status(camera).summary) == (OK, "30.0 fps 640x480 bgr8")


def test_refused_frames_are_an_error_with_the_reason_until_they_end(camera: CameraWatch, clock: Clock) -> None:
    show(camera, clock)
    camera.on_refused("image step is 3")
    found = status(camera)
    assert (found.level, found.summary) == (ERROR, "frames are refused: image step is 3")
    assert (found.values["refused"], found.values["last refusal"]) == (1, "image step is 3")
    show(camera, clock, 30)
    assert status(camera).level == ERROR
    show(camera, clock, 60)
    assert status(camera).level == OK


def test_a_camera_that_sends_only_nonsense_and_then_stops_has_stopped(camera: CameraWatch, clock: Clock) -> None:
    camera.on_refused("image has no data")
    clock.now_s += 3.0
    assert (status(camera).level, status(camera).summary) == (WARN, "no frame for 3 s")


@pytest.mark.parametrize("behind_s", [3600.0, -3600.0, 1.5, 1.7e9])
def test_another_clock_is_told_of_while_the_frames_have_it(camera: CameraWatch, clock: Clock, behind_s: float) -> None:
    show(camera, clock, behind_s=behind_s)
    found = status(camera)
    assert found.level == WARN
    assert found.summary == (f"camera clock differs by {behind_s:.1f} s: check use_sim_time or time synchronisation")
    show(camera, clock, 1, behind_s=0.3)
    assert status(camera).level == OK
