"""What the dialogue knows of the scene: the newest one, and when it was last confirmed."""

from __future__ import annotations

from datetime import datetime
from time import monotonic

from smolfusion_ros.dialogue.policy import Situation
from smolfusion_ros.dialogue.turn import SceneContext
from smolfusion_ros.msg import MotionState, Scene
from smolfusion_ros.nodes._messages import stamp_ns


class Sight:
    """Written by the ROS thread, read by the I/O loop; each value is replaced whole."""

    def __init__(self) -> None:
        self.scene: Scene | None = None
        self._confirmed_s = -float("inf")

    def on_scene(self, scene: Scene) -> None:
        self.scene = scene
        self._confirmed_s = monotonic()

    def on_motion(self, motion: MotionState) -> None:
        """A picture at rest confirms the scene: a person who stands still does not age."""
        if self.scene is not None and not motion.active and not motion.camera_moving:
            self._confirmed_s = monotonic()

    def context(self) -> SceneContext:
        """The scene line, stamped with the clock time of its frame, and what commands are judged by."""
        scene = self.scene
        if scene is None:
            return SceneContext()
        stamp = stamp_ns(scene.header.stamp)
        clock = datetime.fromtimestamp(stamp * 1e-9).strftime("%H:%M:%S")
        situation = Situation(person_seen=bool(scene.persons), scene_age_s=monotonic() - self._confirmed_s)
        return SceneContext(f"{clock} {scene.compact}", situation, stamp)
