"""What the dialogue knows of the scene: the newest one, and when it was last confirmed.

Clocks jump, bags are played again, cameras stamp wrongly. So all durations come from the steady clock, order is that
of arrival, and a stamp is only a frame's name. Whatever is in doubt makes a scene old, never new.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from smolfusion_ros.dialogue.policy import Situation
from smolfusion_ros.dialogue.turn import SceneContext
from smolfusion_ros.msg import MotionState, Scene
from smolfusion_ros.nodes._messages import stamp_ns

# Keyframes whose scene may still come.
_REMEMBERED_KEYFRAMES = 64


@dataclass(frozen=True)
class _Seen:
    """A scene and when, on the steady clock, it was last known to hold."""

    scene: Scene
    confirmed_s: float


class Sight:
    """Written by the ROS thread, read by the I/O loop; each value is replaced whole.

    Args:
        now_ns: the clock that frames are stamped with, nanoseconds.
        steady_s: a steady clock, seconds.
    """

    def __init__(self, now_ns: Callable[[], int], steady_s: Callable[[], float] = monotonic) -> None:
        self._now_ns = now_ns
        self._steady_s = steady_s
        self._seen: _Seen | None = None
        # The newest motion: its frame's name, and its counters.
        self._newest: int | None = None
        self._frames_seen = 0
        self._forwarded: int | None = None
        # When each keyframe's motion came, on the steady clock, by name.
        self._keyframes_s: OrderedDict[int, float] = OrderedDict()
        # The newest keyframe's name as long as nothing has moved since, and whether the scene shows that frame.
        self._resting: int | None = None
        self._shows_rest = False

    @property
    def scene(self) -> Scene | None:
        """The newest scene."""
        return self._seen.scene if self._seen is not None else None

    def on_scene(self, scene: Scene) -> None:
        """A scene is as old as its frame, however late it comes."""
        name = stamp_ns(scene.header.stamp)
        arrived_s = self._keyframes_s.get(name)
        if arrived_s is None:  # from before this node started, or its motion was lost: the clock is all there is
            arrived_s = self._steady_s() - max(0.0, (self._now_ns() - name) * 1e-9)
        self._shows_rest = name == self._resting
        self._seen = _Seen(scene, arrived_s)

    def on_motion(self, motion: MotionState) -> None:
        """A frame at rest confirms the scene if nothing has changed since the scene's own frame.

        So a person who stands still does not age, and one who has left is not seen for ever when perception hangs.
        """
        name, now = stamp_ns(motion.header.stamp), self._steady_s()
        # A stamp that stands still names no frame, and a gate that has started anew does not know what went before.
        named, anew = name != self._newest, motion.frames_seen < self._frames_seen
        is_keyframe, moving = motion.frames_forwarded != self._forwarded, motion.active or motion.camera_moving
        if is_keyframe and named and self._forwarded is not None:
            self._remember(name, now)
        if is_keyframe or moving or anew or not named:
            self._resting = name if is_keyframe and named and not moving else None
            self._shows_rest = False
        self._newest, self._frames_seen, self._forwarded = name, motion.frames_seen, motion.frames_forwarded
        if self._shows_rest and self._seen is not None:
            self._seen = _Seen(self._seen.scene, now)

    def context(self) -> SceneContext:
        """The scene line, stamped with the clock time of its frame, and what commands are judged by."""
        seen = self._seen
        if seen is None:
            return SceneContext()
        stamp = stamp_ns(seen.scene.header.stamp)
        clock = datetime.fromtimestamp(stamp * 1e-9).strftime("%H:%M:%S")
        situation = Situation(person_seen=bool(seen.scene.persons), scene_age_s=self._steady_s() - seen.confirmed_s)
        return SceneContext(f"{clock} {seen.scene.compact}", situation, stamp)

    def _remember(self, name: int, now: float) -> None:
        self._keyframes_s.pop(name, None)
        self._keyframes_s[name] = now
        while len(self._keyframes_s) > _REMEMBERED_KEYFRAMES:
            self._keyframes_s.popitem(last=False)
