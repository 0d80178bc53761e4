"""A camera for the tests, run as a process: ``<scene> <frames>`` lines in, frames on ``image`` out.

When the frames of a line are out (or SIGUSR1 came), their stamps go to stdout as one line of nanoseconds.
"""

from __future__ import annotations

import array
import math
import signal
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from smolfusion_ros.vision.render import draw_person, render_background
from smolfusion_ros.vision.specs import ObjectSpec, PersonSpec, SceneSpec

Frame = NDArray[np.uint8]

ROOM = SceneSpec(objects=(ObjectSpec("ball", "red", 1 / 6),), room=3)
RIGHT_X = 5 / 6
RATE_HZ = 30.0
LOOP = 30
_WAVES_PER_LOOP = 2


def nobody(_index: int) -> PersonSpec | None:
    return None


def waving(index: int) -> PersonSpec:
    """A person on the right of the picture who waves."""
    phase = 2 * math.pi * _WAVES_PER_LOOP * index / LOOP
    return PersonSpec(x=RIGHT_X, expression="smiling", gesture="waving", shirt="green", wave_phase=phase)


def standing(_index: int) -> PersonSpec:
    return PersonSpec(x=RIGHT_X, expression="neutral", shirt="green")


def entering(index: int) -> PersonSpec:
    """A person who walks in from outside, to the place where ``standing`` has him."""
    share = index / (LOOP - 1)
    return PersonSpec(x=1.45 + (RIGHT_X - 1.45) * share, expression="neutral", shirt="green")


# Each is a loop of LOOP frames.
SCENES: dict[str, Callable[[int], PersonSpec | None]] = {
    each.__name__: each for each in (nobody, waving, standing, entering)
}


def drawn(scene: str) -> list[Frame]:
    """The frames of a scene, HxWx3 uint8 BGR, with sensor noise that differs from frame to frame."""
    background = render_background(ROOM)
    height, width = background.shape[:2]
    # Fresh noise takes longer to make than a frame lasts: windows onto one field.
    field = np.random.default_rng(0).normal(0.0, ROOM.noise_sigma, (height + LOOP, width + LOOP, 3)).astype(np.int16)
    frames = []
    for index in range(LOOP):
        window = field[index : index + height, 7 * index % LOOP :][:, :width]
        frames.append(cv2.add(draw_person(background, SCENES[scene](index)), window, dtype=cv2.CV_8U))
    return frames


def main() -> None:
    import rclpy
    from rclpy.node import Node
    from sensor_msgs.msg import Image

    from smolfusion_ros.nodes import _qos

    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGUSR1, stop)
    scenes = {name: [array.array("B", frame.tobytes()) for frame in drawn(name)] for name in SCENES}
    rclpy.init()
    node = Node("camera")
    publisher = node.create_publisher(Image, "image", _qos.SENSOR)
    while publisher.get_subscription_count() == 0:
        time.sleep(0.01)
    time.sleep(0.2)  # the reader must have found this writer too
    print("ready", flush=True)
    for line in sys.stdin:
        name, count = line.split()
        stamps, stopped, due = [], False, time.monotonic()
        for index in range(int(count)):
            if stopped:
                break
            image = Image(height=480, width=640, encoding="bgr8", step=3 * 640)
            image.data = scenes[name][index % LOOP]
            now = node.get_clock().now()
            image.header.stamp = now.to_msg()
            image.header.frame_id = "camera"
            publisher.publish(image)
            stamps.append(now.nanoseconds)
            due += 1.0 / RATE_HZ
            time.sleep(max(0.0, due - time.monotonic()))
        print(*stamps, flush=True)


if __name__ == "__main__":
    main()
