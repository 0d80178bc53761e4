"""The annotated picture: made for who looks, with the newest scene for who comes late, and for nobody else."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage
from smolfusion_ros.msg import MotionState

from smolfusion_ros.nodes import _annotated, _qos
from smolfusion_ros.nodes._annotated import AnnotatedImage
from smolfusion_ros.nodes._asyncio import IoLoop
from smolfusion_ros.nodes._messages import roi_message, stamp_ns, time_message
from smolfusion_ros.vision.frames import compressed_to_bgr
from smolfusion_ros.vision.scene import Person, SceneDescription

DOMAIN_ID = 81
WAIT_S = 10.0
SECOND = 1_000_000_000
TOPIC = "scene/image/compressed"


class Watch:
    """The node under test, and one that looks at it and plays the motion gate."""

    def __init__(self) -> None:
        rclpy.init(args=["--ros-args", "-r", f"__ns:=/annotated{os.getpid()}"], domain_id=DOMAIN_ID)
        self.node, self.viewer = Node("perception"), Node("viewer")
        self.executor = SingleThreadedExecutor()
        for node in (self.node, self.viewer):
            self.executor.add_node(node)
        self.io = IoLoop(self.node)
        self.annotated = AnnotatedImage(self.node, self.io)
        self.motions = self.viewer.create_publisher(MotionState, "motion", _qos.SENSOR)
        self.images: list[CompressedImage] = []

    def close(self) -> None:
        self.io.close()
        self.executor.shutdown()
        for node in (self.node, self.viewer):
            node.destroy_node()
        rclpy.shutdown()

    def begin_to_look(self) -> None:
        self.viewer.create_subscription(CompressedImage, TOPIC, self.images.append, 1)

    def show(self, number: int, *persons: Person) -> None:
        """A scene of a grey keyframe whose stamp is so many seconds."""
        encoded = cv2.imencode(".jpg", np.full((240, 320, 3), 128, np.uint8))[1]
        keyframe = CompressedImage(format="jpeg")
        keyframe.header.stamp = time_message(number * SECOND)
        keyframe.data.frombytes(encoded.tobytes())
        self.io.call_soon(self.annotated.show, SceneDescription(persons=persons), keyframe)

    def until(self, true: Callable[[], Any]) -> Any:
        end = time.monotonic() + WAIT_S
        while not (found := true()):
            assert time.monotonic() < end
            self.executor.spin_once(timeout_sec=0.02)
        return found

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def numbers(self) -> list[int]:
        return [stamp_ns(image.header.stamp) // SECOND for image in self.images]


@pytest.fixture
def watch() -> Iterator[Watch]:
    made = Watch()
    yield made
    made.close()


def test_nothing_is_drawn_and_no_motion_heard_while_nobody_looks(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[object] = []
    monkeypatch.setattr(_annotated, "annotate", lambda *given: drawn.append(given))
    for number in range(3):
        watch.show(number)
    watch.spin(1.5)
    assert drawn == []
    assert watch.motions.get_subscription_count() == 0


def test_who_begins_to_look_sees_the_newest_scene_and_then_every_one(watch: Watch) -> None:
    watch.show(1)
    watch.show(2, Person("left", roi=(50, 60, 40, 50), engaged=True))
    watch.begin_to_look()
    watch.until(lambda: watch.images)
    frame = compressed_to_bgr(watch.images[0].data)
    assert frame.shape == (240, 320, 3)
    assert frame[85, 50, 1] > frame[85, 50, 0] + 60  # the green edge of the box
    assert watch.images[0].format == "jpeg"
    watch.show(3)
    watch.until(lambda: watch.numbers() == [2, 3])


def test_a_second_look_at_the_same_keyframe_is_drawn_too(watch: Watch) -> None:
    watch.begin_to_look()
    watch.until(lambda: watch.annotated.is_watched)
    watch.show(1)
    watch.until(lambda: len(watch.images) == 1)
    watch.show(1, Person("left"))
    watch.until(lambda: len(watch.images) == 2)


def test_the_region_that_moved_is_that_of_the_same_frame(watch: Watch) -> None:
    watch.begin_to_look()
    watch.until(lambda: watch.motions.get_subscription_count() > 0)
    for number in (1, 2, 3):
        motion = MotionState(roi=roi_message((100 * number - 90, 100, 60, 60)))
        motion.header.stamp = time_message(number * SECOND)
        watch.motions.publish(motion)
        watch.spin(0.05)
    watch.show(2)
    frame = compressed_to_bgr(watch.until(lambda: watch.images)[0].data).astype(int)
    blueness = frame[130, :, 0] - frame[130, :, 2]
    assert blueness[110] > 60
    assert abs(blueness[10]) < 20
    assert abs(blueness[210]) < 20


def test_regions_of_a_larger_frame_are_not_drawn_into_the_keyframe(watch: Watch) -> None:
    watch.begin_to_look()
    watch.until(lambda: watch.motions.get_subscription_count() > 0)
    for number, x in ((1, 900), (2, 100)):
        motion = MotionState(roi=roi_message((x, 100, 60, 60)))
        motion.header.stamp = time_message(number * SECOND)
        watch.motions.publish(motion)
        watch.spin(0.05)
    watch.show(2)
    frame = compressed_to_bgr(watch.until(lambda: watch.images)[0].data).astype(int)
    assert abs(frame[130, 100, 0] - frame[130, 100, 2]) < 20
