"""Camera frames in, keyframes out: only when something changed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic

import cv2
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from smolfusion_ros.errors import BusyError, ConfigurationError, FrameError
from smolfusion_ros.msg import MotionState
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._camera import CameraWatch
from smolfusion_ros.nodes._diagnostics import Diagnostics, Status
from smolfusion_ros.nodes._log import Repeats
from smolfusion_ros.nodes._malloc import keep_freed_memory
from smolfusion_ros.nodes._messages import motion_message, stamp_ns
from smolfusion_ros.nodes._parameters import Parameters, parameter
from smolfusion_ros.nodes._run import run
from smolfusion_ros.vision.frames import (
    Frame,
    compressed_size,
    compressed_to_bgr,
    compressed_to_luma,
    image_to_bgr,
    image_to_luma,
    is_jpeg,
    reduction,
)
from smolfusion_ros.vision.gate import GateConfig, MotionGate
from smolfusion_ros.vision.workers import EncoderPool


@dataclass(frozen=True)
class MotionGateConfig(GateConfig):
    """Parameters of the node: the gate's own, the camera's and the keyframes'."""

    image_transport: str = parameter("raw", "What arrives on `image`: raw or compressed", read_only=True)
    keyframe_max_side_px: int = parameter(
        640, "Longest side of a keyframe, pixels; larger frames are scaled down", minimum=64, maximum=4096
    )
    jpeg_quality: int = parameter(85, "JPEG quality of keyframes, percent", minimum=10, maximum=100)
    camera_timeout_s: float = parameter(
        2.0, "A camera that is silent for longer is told of in /diagnostics, seconds", minimum=0.1, maximum=3600.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_transport not in ("raw", "compressed"):
            raise ConfigurationError(f"image_transport {self.image_transport!r} is neither raw nor compressed")


class MotionGateNode(Node):
    """``image`` to ``motion`` and ``keyframe/compressed``."""

    def __init__(self) -> None:
        super().__init__("motion_gate")
        self._config = Parameters(self, MotionGateConfig(), on_change=lambda config: self._gate.reconfigure(config))
        self._gate = MotionGate(self._config.value)
        self._encoder = EncoderPool(threads=1, queue_size=1)
        self._log = Repeats(self.get_logger())
        self._motion = self.create_publisher(MotionState, "motion", _qos.SENSOR)
        self._keyframe = self.create_publisher(CompressedImage, "keyframe/compressed", _qos.KEYFRAME)
        if self._config.value.image_transport == "raw":
            self._images = self.create_subscription(Image, "image", self._on_image, _qos.SENSOR)
        else:
            self._images = self.create_subscription(
                CompressedImage, "image/compressed", self._on_compressed, _qos.SENSOR
            )
        self._camera = CameraWatch()
        Diagnostics(self).add("camera", self._camera_status)

    def close(self) -> None:
        self._encoder.close()

    def _on_image(self, image: Image) -> None:
        self._judge(image, image.encoding, lambda: (image_to_luma(image), None), lambda: image_to_bgr(image))

    def _on_compressed(self, image: CompressedImage) -> None:
        # No larger than needed: a JPEG that is reduced in decoding takes a fraction of the time.
        config, data = self._config.value, bytes(image.data)

        def analysed() -> tuple[Frame, tuple[int, int]]:
            size = compressed_size(data)
            return compressed_to_luma(data, reduction(size[0], config.analysis_width_px)), size

        def coloured() -> Frame:
            return compressed_to_bgr(data, reduction(max(compressed_size(data)), config.keyframe_max_side_px))

        self._judge(image, image.format, analysed, coloured)

    def _judge(
        self,
        image: Image | CompressedImage,
        encoding: str,
        analysed: Callable[[], tuple[Frame, tuple[int, int] | None]],
        coloured: Callable[[], Frame],
    ) -> None:
        # Cameras' clocks jump, stand still, or are not set: stamps name frames, the steady clock tells durations.
        arrived_s, arrived_ns = monotonic(), self.get_clock().now().nanoseconds
        try:
            frame, full_size = analysed()
            decision = self._gate.update(frame, arrived_s, full_size)
            if decision.forward:
                self._forward(image, full_size, coloured)
        except FrameError as error:
            self._refuse(str(error))
            return
        except Exception as error:  # one frame's trouble must not blind the robot
            self._refuse(f"{type(error).__name__}: {error}")
            return
        behind_s = (arrived_ns - stamp_ns(image.header.stamp)) * 1e-9
        size = full_size or frame.shape[1::-1]
        self._camera.on_frame(*size, encoding, behind_s)
        motion = motion_message(decision, size, self._gate.frames_seen, self._gate.frames_forwarded)
        motion.header = image.header
        self._motion.publish(motion)

    def _refuse(self, reason: str) -> None:
        self._camera.on_refused(reason)
        self._log.error(f"frame dropped: {reason}")

    def _forward(
        self, image: Image | CompressedImage, size: tuple[int, int] | None, coloured: Callable[[], Frame]
    ) -> None:
        config = self._config.value
        if size is not None and max(size) <= config.keyframe_max_side_px and is_jpeg(image.data):
            self._keyframe.publish(CompressedImage(header=image.header, format="jpeg", data=image.data))
            return
        try:
            encoding = self._encoder.encode(coloured, config.keyframe_max_side_px, config.jpeg_quality)
        except BusyError as error:
            self._log.warning(f"keyframe dropped: {error}")
            return
        encoding.add_done_callback(lambda done: self._publish(done, image.header))

    def _publish(self, encoding: Future[bytes], header: Header) -> None:
        """In the encoder's thread; rcl allows publishing from any."""
        if encoding.cancelled():
            return
        if (error := encoding.exception()) is not None:
            self._log.error(f"keyframe dropped: {error}")
            return
        keyframe = CompressedImage(header=header, format="jpeg")
        keyframe.data.frombytes(encoding.result())
        self._keyframe.publish(keyframe)

    def _camera_status(self) -> Status:
        topic = self._images.topic_name
        skipped = 1.0 - self._gate.frames_forwarded / max(1, self._gate.frames_seen)
        return self._camera.status(topic, self.count_publishers(topic), skipped, self._config.value.camera_timeout_s)


def main() -> int:
    keep_freed_memory()
    cv2.setNumThreads(1)  # small pictures gain nothing by more, and the other cores are the models'
    return run(MotionGateNode)


if __name__ == "__main__":
    raise SystemExit(main())
