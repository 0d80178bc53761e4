"""``scene/image/compressed``: the keyframe with the scene drawn over it, made only while somebody looks."""

from __future__ import annotations

import asyncio

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage

from smolfusion_ros.msg import MotionState
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._asyncio import IoLoop
from smolfusion_ros.nodes._messages import roi_of, stamp_ns
from smolfusion_ros.nodes._polled import PolledSubscription
from smolfusion_ros.nodes._steady import steady_timer
from smolfusion_ros.vision.annotate import annotate
from smolfusion_ros.vision.frames import compressed_to_bgr
from smolfusion_ros.vision.scene import Roi, SceneDescription
from smolfusion_ros.vision.workers import encode_jpeg

# Somebody who begins to look sees the newest scene after so long at the latest.
LOOK_S = 1.0
QUALITY = 85
# A scene comes some time after its frame's motion.
MOTIONS = QoSProfile(depth=128, reliability=ReliabilityPolicy.BEST_EFFORT)


class AnnotatedImage:
    """Draws the newest scene, off the callback thread and off the I/O loop.

    A motion's region is in pixels of the camera's frame, and nothing tells how large that is. It is drawn where the
    regions so far fit into the keyframe, which is then as large as the frame.
    """

    def __init__(self, node: Node, io: IoLoop) -> None:
        self._node = node
        self._io = io
        self._publisher = node.create_publisher(CompressedImage, "scene/image/compressed", _qos.LATCHED)
        self._newest: tuple[SceneDescription, CompressedImage] | None = None
        self._drawn: tuple[SceneDescription, CompressedImage] | None = None
        self._drawing = asyncio.Lock()
        self._motion: PolledSubscription[MotionState] | None = None
        self._rois: dict[int, Roi] = {}
        self._reach = (0, 0)
        steady_timer(node, LOOK_S, self._look)

    @property
    def is_watched(self) -> bool:
        return bool(self._publisher.get_subscription_count() > 0)

    def show(self, scene: SceneDescription, keyframe: CompressedImage) -> None:
        """On the I/O loop: there is a new scene."""
        self._newest = scene, keyframe
        if self.is_watched:
            self._io.start(self._draw())

    def _look(self) -> None:
        if not self.is_watched:
            return
        if self._motion is None:  # from the first look on: nobody who does not look pays for it
            self._motion = PolledSubscription(self._node, MotionState, "motion", MOTIONS)
        self._io.submit(self._draw())

    async def _draw(self) -> None:
        async with self._drawing:
            newest = self._newest
            if newest is None or newest is self._drawn:
                return
            self._drawn = newest
            scene, keyframe = newest
            image = CompressedImage(header=keyframe.header, format="jpeg")
            image.data.frombytes(await asyncio.to_thread(self._jpeg, scene, keyframe))
            self._publisher.publish(image)

    def _jpeg(self, scene: SceneDescription, keyframe: CompressedImage) -> bytes:
        frame = compressed_to_bgr(keyframe.data)
        height, width = frame.shape[:2]
        roi = self._roi_of(stamp_ns(keyframe.header.stamp))
        if self._reach[0] > width or self._reach[1] > height:
            roi = None
        return encode_jpeg(annotate(frame, scene, roi), max(width, height), QUALITY)

    def _roi_of(self, stamp: int) -> Roi | None:
        if self._motion is None:
            return None
        for motion in self._motion.take():
            roi = roi_of(motion.roi)
            if roi is not None:
                self._rois[stamp_ns(motion.header.stamp)] = roi
                x, y, width, height = roi
                self._reach = max(self._reach[0], x + width), max(self._reach[1], y + height)
        while len(self._rois) > MOTIONS.depth:
            del self._rois[next(iter(self._rois))]
        return self._rois.get(stamp)
