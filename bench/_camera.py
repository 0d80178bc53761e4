"""A camera for a bench, as a process: drawn frames in a loop at 30 a second, raw or compressed, of any size.

The frames are drawn before the first is sent, so that the machine's other work is the receiver's.
"""

from __future__ import annotations

import argparse
import array
import signal
import threading
import time

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image

from smolfusion_ros.nodes import _qos
from smolfusion_ros.vision.sources import Frame, open_source
from smolfusion_ros.vision.workers import encode_jpeg

JPEG_QUALITY = 85


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="rendered:visit")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--transport", choices=("raw", "compressed"), default="raw")
    parser.add_argument("--begin", type=float, default=0.0, help="of the loop in the source, seconds")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of the loop")
    parser.add_argument("--namespace", default="/bench")
    arguments = parser.parse_args()
    source = open_source(arguments.source, width=arguments.width, height=arguments.height)
    is_raw = arguments.transport == "raw"
    begin = round(arguments.begin * source.fps)
    numbers = range(begin, begin + round(arguments.seconds * source.fps))
    frames = [source.read(number / source.fps) for number in numbers]
    messages = [_raw(frame) if is_raw else _compressed(frame) for frame in frames if frame is not None]
    del frames
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node("camera", namespace=arguments.namespace)
    kind, topic = (Image, "image") if is_raw else (CompressedImage, "image/compressed")
    publisher = node.create_publisher(kind, topic, _qos.SENSOR)
    print("ready", flush=True)
    due_s, index = time.monotonic(), 0
    while not stopped.wait(max(0.0, due_s - time.monotonic())):
        message = messages[index % len(messages)]
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
        index += 1
        # What came late is not made up for.
        due_s = max(due_s + 1.0 / source.fps, time.monotonic())
    rclpy.try_shutdown()


def _raw(frame: Frame) -> Image:
    height, width = frame.shape[:2]
    image = Image(height=height, width=width, encoding="bgr8", step=3 * width)
    image.data = array.array("B", frame.tobytes())
    image.header.frame_id = "camera"
    return image


def _compressed(frame: Frame) -> CompressedImage:
    image = CompressedImage(format="jpeg")
    image.data = array.array("B", encode_jpeg(frame, max(frame.shape[:2]), JPEG_QUALITY))
    image.header.frame_id = "camera"
    return image


if __name__ == "__main__":
    main()
