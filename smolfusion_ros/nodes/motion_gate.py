"""Camera frames in, keyframes out: only when something changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from smolfusion_ros.errors import BusyError, ConfigurationError, FrameError
from smolfusion_ros.msg import MotionState
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._messages import motion_message, seconds
from smolfusion_ros.nodes._parameters import Parameters, parameter
from smolfusion_ros.nodes._run import run
from smolfusion_ros.vision.frames import Frame, compressed_to_bgr, image_to_bgr, image_to_luma
from smolfusion_ros.vision.gate import GateConfig, MotionGate
from smolfusion_ros.vision.workers import EncoderPool


@dataclass(frozen=True)
class KeyframeConfig:
    """Parameters of the camera and the keyframes; those of the gate are ``GateConfig``'s."""

    image_transport: str = parameter("raw", "What arrives on `image`: raw or compressed", read_only=True)
    keyframe_max_side_px: int = parameter(
        640, "Longest side of a keyframe, pixels; larger frames are scaled down", minimum=64, maximum=4096
    )
    jpeg_quality: int = parameter(85, "JPEG quality of keyframes, percent", minimum=10, maximum=100)

    def __post_init__(self) -> None:
        if self.image_transport not in ("raw", "compressed"):
            raise ConfigurationError(f"image_transport {self.image_transport!r} is neither raw nor compressed")


class MotionGateNode(Node):
    """``image`` to ``motion`` and ``keyframe/compressed``."""

    def __init__(self) -> None:
        super().__init__("motion_gate")
        self._config = Parameters(self, KeyframeConfig())
        self._gate_config = Parameters(self, GateConfig(), on_change=lambda config: self._gate.reconfigure(config))
        self._gate = MotionGate(self._gate_config.value)
        self._encoder = EncoderPool(threads=1, queue_size=1)
        self._motion = self.create_publisher(MotionState, "motion", _qos.SENSOR)
        self._keyframe = self.create_publisher(CompressedImage, "keyframe/compressed", _qos.KEYFRAME)
        if self._config.value.image_transport == "raw":
            self.create_subscription(Image, "image", self._on_image, _qos.SENSOR)
        else:
            self.create_subscription(CompressedImage, "image/compressed", self._on_compressed, _qos.SENSOR)

    def close(self) -> None:
        self._encoder.close()

    def _on_image(self, image: Image) -> None:
        # Only keyframes need colour.
        self._judge(image, lambda: image_to_luma(image), lambda: image_to_bgr(image))

    def _on_compressed(self, image: CompressedImage) -> None:
        decoded = cache(lambda: compressed_to_bgr(image.data))
        self._judge(image, decoded, decoded)

    def _judge(
        self, image: Image | CompressedImage, analysed: Callable[[], Frame], coloured: Callable[[], Frame]
    ) -> None:
        try:
            decision = self._gate.update(analysed(), seconds(image.header.stamp))
            if decision.forward:
                self._forward(coloured(), image.header)
        except FrameError as error:
            self.get_logger().error(f"frame dropped: {error}", throttle_duration_sec=5.0)
            return
        motion = motion_message(decision, self._gate.frames_seen, self._gate.frames_forwarded)
        motion.header = image.header
        self._motion.publish(motion)

    def _forward(self, frame: Frame, header: Header) -> None:
        config = self._config.value
        try:
            encoding = self._encoder.encode(frame, config.keyframe_max_side_px, config.jpeg_quality)
        except BusyError as error:
            self.get_logger().warning(f"keyframe dropped: {error}", throttle_duration_sec=5.0)
            return
        encoding.add_done_callback(lambda done: self._publish(done.result(), header))

    def _publish(self, jpeg: bytes, header: Header) -> None:
        keyframe = CompressedImage(header=header, format="jpeg")
        keyframe.data.frombytes(jpeg)
        self._keyframe.publish(keyframe)


def main() -> int:
    return run(MotionGateNode)


if __name__ == "__main__":
    raise SystemExit(main())
