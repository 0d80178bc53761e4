"""The video source as a node: what a source does wrong must neither end nor stop it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

from smolfusion_ros.errors import FrameError
from smolfusion_ros.nodes import _qos, video_source
from smolfusion_ros.nodes.video_source import CLOSE_S, VideoSourceNode

DOMAIN = 96
RATE_HZ = 30.0
FRAME = np.full((48, 64, 3), 90, np.uint8)


class Source:
    """Frames, or whatever else ``trouble`` makes of a read."""

    fps = RATE_HZ

    def __init__(self) -> None:
        self.trouble: Callable[[], object] | None = None
        self.times_s: list[float] = []
        self.closed = 0

    def read(self, time_s: float | None = None) -> np.ndarray | None:
        self.times_s.append(time_s)
        return FRAME if self.trouble is None else self.trouble()

    def close(self) -> None:
        self.closed += 1


class Observer(Node):
    def __init__(self) -> None:
        super().__init__("observer")
        self.images: list[Image] = []
        self.status: DiagnosticStatus | None = None
        self.create_subscription(Image, "image", self.images.append, _qos.SENSOR)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.status = message.status[0]

    def says(self, level: bytes, word: str) -> bool:
        return self.status is not None and self.status.level == level and word in self.status.message


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    made = Source()
    monkeypatch.setattr(video_source, "open_source", lambda *_, **__: made)
    return made


@pytest.fixture
def observer() -> Iterator[Observer]:
    rclpy.init(domain_id=DOMAIN)
    yield Observer()
    rclpy.try_shutdown()


@pytest.fixture
def node(source: Source, observer: Observer) -> Iterator[VideoSourceNode]:
    made = VideoSourceNode()
    executor = SingleThreadedExecutor()
    executor.add_node(made)
    executor.add_node(observer)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    wait_until(lambda: observer.images, "an image")
    yield made
    made.close()
    rclpy.try_shutdown()
    thread.join(5.0)


def wait_until(true: Callable[[], object], what: str, timeout_s: float = 6.0) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.01)


def test_frames_come_at_the_rate_stamped_and_the_end_closes_the_source(
    node: VideoSourceNode, source: Source, observer: Observer
) -> None:
    known, begun = len(observer.images), time.monotonic()
    wait_until(lambda: len(observer.images) >= known + 30, "30 images")
    assert 0.8 < time.monotonic() - begun < 1.5
    image = observer.images[-1]
    assert (image.width, image.height, image.encoding, image.header.frame_id) == (64, 48, "bgr8", "camera")
    assert abs(time.time() - image.header.stamp.sec) < 3
    wait_until(lambda: observer.says(DiagnosticStatus.OK, "playing"), "good health")
    node.close()
    assert source.closed == 1


def test_a_lost_source_is_told_of_and_goes_on_when_it_is_back(
    node: VideoSourceNode, source: Source, observer: Observer
) -> None:
    def lost() -> None:
        raise FrameError("camera /dev/video0 gives no picture")

    source.trouble = lost
    wait_until(lambda: observer.says(DiagnosticStatus.ERROR, "gives no picture"), "the loss")
    known = len(observer.images)
    source.trouble = None
    wait_until(lambda: len(observer.images) > known, "an image after the loss", 1.0)
    wait_until(lambda: observer.says(DiagnosticStatus.OK, "playing"), "good health")


def test_an_unexpected_error_does_not_end_the_video(node: VideoSourceNode, source: Source, observer: Observer) -> None:
    source.trouble = lambda: 1 // 0
    wait_until(lambda: observer.says(DiagnosticStatus.ERROR, "ZeroDivisionError"), "the error")
    source.trouble = None
    known = len(observer.images)
    wait_until(lambda: len(observer.images) > known, "an image after the error", 1.0)


def test_a_read_that_hangs_is_told_of_and_does_not_keep_the_node_from_ending(
    node: VideoSourceNode, source: Source, observer: Observer
) -> None:
    release = threading.Event()
    source.trouble = lambda: release.wait(60.0) and FRAME
    wait_until(lambda: observer.says(DiagnosticStatus.ERROR, "hangs"), "the hanging read")
    begun = time.monotonic()
    node.close()
    took_s = time.monotonic() - begun
    print(f"closed after {took_s:.2f} s")
    assert took_s < CLOSE_S + 0.5
    known = len(observer.images)
    release.set()
    time.sleep(0.2)
    assert len(observer.images) == known, "nothing is published after the end"
    assert source.closed == 1


def test_a_slow_read_is_not_made_up_for_in_a_burst(node: VideoSourceNode, source: Source) -> None:
    slow = iter([True])

    def read_slowly_once() -> np.ndarray:
        if next(slow, False):
            time.sleep(1.5)
        return FRAME

    source.trouble = read_slowly_once
    time.sleep(0.1)
    known = len(source.times_s)
    wait_until(lambda: len(source.times_s) > known, "the end of the slow read")
    time.sleep(1.0)
    assert 25 <= len(source.times_s) - known <= 35
    assert np.diff(source.times_s).min() >= 0.0


def test_the_end_of_the_video_is_the_end(node: VideoSourceNode, source: Source, observer: Observer) -> None:
    source.trouble = lambda: None
    wait_until(lambda: observer.says(DiagnosticStatus.OK, "over"), "the end")
    reads = len(source.times_s)
    time.sleep(0.3)
    assert (len(source.times_s), source.closed) == (reads, 1)


def test_a_jump_of_the_nodes_clock_neither_stops_nor_hurries_the_video(
    node: VideoSourceNode, source: Source, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = node.get_clock()

    class Jumped:
        def now(self) -> object:
            return real.now() - rclpy.duration.Duration(seconds=3600)

    monkeypatch.setattr(node, "get_clock", Jumped)
    begun_s = source.times_s[-1]
    known = len(observer.images)
    time.sleep(1.0)
    assert 25 <= len(observer.images) - known <= 33
    assert 0.8 < source.times_s[-1] - begun_s < 1.2
    assert time.time() - observer.images[-1].header.stamp.sec > 3500
