"""A video file, a camera device or rendered scenes as ``image``, for demos, tests and robots without a driver."""

from __future__ import annotations

import array
from dataclasses import dataclass

from rclpy.node import Node
from sensor_msgs.msg import Image

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._parameters import Parameters, parameter
from smolfusion_ros.nodes._run import run
from smolfusion_ros.vision.sources import open_source


@dataclass(frozen=True)
class VideoConfig:
    """Parameters of the source."""

    source: str = parameter(
        "rendered:visit", "rendered:visit, rendered:still, a video file, or a camera device", read_only=True
    )
    rate_hz: float = parameter(
        30.0, "Frames a second; 0: the source's own rate", minimum=0.0, maximum=240.0, read_only=True
    )
    width_px: int = parameter(
        640, "Width of rendered scenes and cameras, pixels", minimum=32, maximum=7680, read_only=True
    )
    height_px: int = parameter(
        480, "Height of rendered scenes and cameras, pixels", minimum=32, maximum=4320, read_only=True
    )
    loop: bool = parameter(True, "Start again at the end", read_only=True)
    frame_id: str = parameter("camera", "Frame id of the images")


class VideoSourceNode(Node):
    """Publishes ``image`` (bgr8)."""

    def __init__(self) -> None:
        super().__init__("video_source")
        config = Parameters(self, VideoConfig())
        self._config = config.value
        self._source = open_source(
            self._config.source,
            width=self._config.width_px,
            height=self._config.height_px,
            loop=self._config.loop,
        )
        rate_hz = self._config.rate_hz or self._source.fps
        if rate_hz <= 0:
            raise ConfigurationError(f"{self._config.source} does not tell its frame rate: set rate_hz")
        self._image = self.create_publisher(Image, "image", _qos.SENSOR)
        self._begun_ns = self.get_clock().now().nanoseconds
        self._timer = self.create_timer(1.0 / rate_hz, self._on_timer)

    def close(self) -> None:
        self._source.close()

    def _on_timer(self) -> None:
        now = self.get_clock().now()
        frame = self._source.read((now.nanoseconds - self._begun_ns) * 1e-9)
        if frame is None:
            self.get_logger().info("the video is over")
            self._timer.cancel()
            return
        height, width = frame.shape[:2]
        image = Image(height=height, width=width, encoding="bgr8", step=3 * width)
        image.data = array.array("B", frame.tobytes())  # an array is taken over without a check of every byte
        image.header.stamp = now.to_msg()
        image.header.frame_id = self._config.frame_id
        self._image.publish(image)


def main() -> int:
    return run(VideoSourceNode)


if __name__ == "__main__":
    raise SystemExit(main())
