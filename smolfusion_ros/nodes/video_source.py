"""A video file, a camera device or rendered scenes as ``image``, for demos, tests and robots without a driver."""

from __future__ import annotations

import array
import threading
from dataclasses import dataclass
from time import monotonic

from rclpy.node import Node
from sensor_msgs.msg import Image

from smolfusion_ros.errors import ConfigurationError, FrameError
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._diagnostics import ERROR, OK, Diagnostics, Status
from smolfusion_ros.nodes._log import Repeats
from smolfusion_ros.nodes._parameters import Parameters, parameter
from smolfusion_ros.nodes._run import run
from smolfusion_ros.vision.sources import Frame, open_source

# A source that gives nothing for longer hangs, and is told of.
HANGS_S = 2.0
# How long the end of the node waits for a read that blocks.
CLOSE_S = 1.0


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
    """Publishes ``image`` (bgr8).

    Reading and publishing have a thread of their own: a device may block for seconds, and must then stop neither the
    node's services nor its end.
    """

    def __init__(self) -> None:
        super().__init__("video_source")
        self._config = Parameters(self, VideoConfig())
        config = self._config.value
        self._source = open_source(config.source, width=config.width_px, height=config.height_px, loop=config.loop)
        rate_hz = config.rate_hz or self._source.fps
        if rate_hz <= 0:
            raise ConfigurationError(f"{config.source} does not tell its frame rate: set rate_hz")
        self._period_s = 1.0 / rate_hz
        self._image = self.create_publisher(Image, "image", _qos.SENSOR)
        self._log = Repeats(self.get_logger())
        self._frames = 0
        self._newest_s = monotonic()
        self._trouble = ""
        self._is_over = False
        Diagnostics(self).add("source", self._status)
        self._closing = threading.Event()
        self._player = threading.Thread(target=self._play, name="video", daemon=True)
        self._player.start()

    def close(self) -> None:
        self._closing.set()
        self._player.join(CLOSE_S)

    def _play(self) -> None:
        begun_s = due_s = monotonic()
        while not (self._is_over or self._closing.wait(max(0.0, due_s - monotonic()))):
            try:
                self._step(monotonic() - begun_s)
            except Exception as error:  # one frame's trouble must not end the video
                self._trouble = str(error) if isinstance(error, FrameError) else f"{type(error).__name__}: {error}"
                self._log.error(self._trouble)
            # What came late is not made up for.
            due_s = max(due_s + self._period_s, monotonic())
        self._source.close()

    def _step(self, time_s: float) -> None:
        frame = self._source.read(time_s)
        if frame is None:
            self._is_over = True
            self.get_logger().info("the video is over")
        elif not self._closing.is_set():
            self._publish(frame)
            self._frames, self._newest_s, self._trouble = self._frames + 1, monotonic(), ""

    def _publish(self, frame: Frame) -> None:
        height, width = frame.shape[:2]
        image = Image(height=height, width=width, encoding="bgr8", step=3 * width)
        image.data = array.array("B", frame.tobytes())  # an array is taken over without a check of every byte
        image.header.stamp = self.get_clock().now().to_msg()
        image.header.frame_id = self._config.value.frame_id
        self._image.publish(image)

    def _status(self) -> Status:
        silent_s = monotonic() - self._newest_s
        source = self._config.value.source
        values = {"source": source, "frames": self._frames, "age of the last frame (s)": silent_s}
        if self._is_over:
            return Status(OK, "the video is over", values)
        if self._trouble:
            return Status(ERROR, self._trouble, values)
        if silent_s > HANGS_S + self._period_s:
            return Status(ERROR, f"no frame for {silent_s:.0f} s: the source hangs", values)
        return Status(OK, f"playing {source}", values)


def main() -> int:
    return run(VideoSourceNode)


if __name__ == "__main__":
    raise SystemExit(main())
