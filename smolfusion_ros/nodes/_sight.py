"""What the dialogue knows of the scene: the newest one, and when it was last confirmed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from time import monotonic

from smolfusion_ros.dialogue.policy import Situation
from smolfusion_ros.dialogue.turn import SceneContext
from smolfusion_ros.msg import MotionState, Scene
from smolfusion_ros.nodes._messages import stamp_ns


class Sight:
    """Written by the ROS thread, read by the I/O loop; each value is replaced whole.

    Args:
        now_ns: the clock that frames are stamped with, nanoseconds.
        steady_s: a steady clock, seconds.
    """

    def __init__(self, now_ns: Callable[[], int], steady_s: Callable[[], float] = monotonic) -> None:
        self.scene: Scene | None = None
        self._now_ns = now_ns
        self._steady_s = steady_s
        self._confirmed_s = -float("inf")
        self._forwarded: int | None = None
        self._changed_ns = 0

    def on_scene(self, scene: Scene) -> None:
        """A scene is as old as its frame, however late it comes."""
        age_s = max(0.0, (self._now_ns() - stamp_ns(scene.header.stamp)) * 1e-9)
        self._confirmed_s = self._steady_s() - age_s
        self.scene = scene

    def on_motion(self, motion: MotionState) -> None:
        """A frame at rest confirms the scene if nothing has changed since the scene's own frame.

        So a person who stands still does not age, and one who has left is not seen for ever when perception hangs.
        """
        stamp = stamp_ns(motion.header.stamp)
        if motion.frames_forwarded != self._forwarded:
            self._forwarded, self._changed_ns = motion.frames_forwarded, stamp
        if motion.active or motion.camera_moving:
            self._changed_ns = max(self._changed_ns, stamp)
        elif self.scene is not None and stamp_ns(self.scene.header.stamp) >= self._changed_ns:
            self._confirmed_s = self._steady_s()

    def context(self) -> SceneContext:
        """The scene line, stamped with the clock time of its frame, and what commands are judged by."""
        scene = self.scene
        if scene is None:
            return SceneContext()
        stamp = stamp_ns(scene.header.stamp)
        clock = datetime.fromtimestamp(stamp * 1e-9).strftime("%H:%M:%S")
        situation = Situation(person_seen=bool(scene.persons), scene_age_s=self._steady_s() - self._confirmed_s)
        return SceneContext(f"{clock} {scene.compact}", situation, stamp)
