"""Decides which camera frames are worth a look by the vision-language model.

A robot mostly looks at a still room. The gate compares each frame, grey and small, with an adapting
background and forwards a keyframe when something moves, when it has come to rest, and now and then
regardless. Noise is averaged away by the downscaling, changes of the light are fitted and taken out, and a
turning camera is told apart from a moving person by where the picture changes: everywhere it has texture,
or in one place.
"""

import math
from collections import deque
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

import cv2
import numpy as np

from smolfusion_ros.errors import ConfigurationError, FrameError
from smolfusion_ros.vision.change import Change, Frame, compared, is_everywhere, shrunk

Roi = tuple[int, int, int, int]

MIN_SIDE_PX = 16
# The age of the frame that "is it moving right now" is measured against.
_RECENT_S = 0.15
# After a longer pause between two frames nothing is known of what moved meanwhile.
_PAUSE_S = 1.0
# A camera that shook so long ago may do it again: one that walks.
_SHAKING_S = 2.0


def _number(default: float, low: float, high: float, description: str) -> Any:
    return field(default=default, metadata={"description": description, "min": low, "max": high})


@dataclass(frozen=True)
class GateConfig:
    """What opens the motion gate; every field carries its range and description as metadata.

    Raises ConfigurationError for a value out of its range.
    """

    analysis_width_px: int = _number(160, 32, 640, "Width frames are shrunk to before they are compared, pixels")
    pixel_threshold: float = _number(12.0, 2.0, 100.0, "Change that makes a pixel count, grey levels of 255")
    min_changed_fraction: float = _number(0.002, 0.0001, 0.5, "Share of changed pixels that counts as motion")
    camera_changed_fraction: float = _number(
        0.6, 0.1, 1.0, "Share of changed pixels from which the camera itself must be moving"
    )
    confirm_s: float = _number(0.05, 0.0, 1.0, "Motion must last this long to open the gate, seconds")
    still_min_s: float = _number(0.3, 0.0, 10.0, "Stillness that makes a scene settled, seconds")
    analysis_interval_s: float = _number(0.5, 0.0, 60.0, "Shortest time between two keyframes of motion, seconds")
    refresh_interval_s: float = _number(
        30.0, 0.0, 3600.0, "Longest time without any keyframe, seconds; 0 never forces one"
    )
    background_tau_s: float = _number(2.0, 0.1, 600.0, "Time constant of the adapting background, seconds")

    def __post_init__(self) -> None:
        for each in fields(GateConfig):
            value = getattr(self, each.name)
            if not each.metadata["min"] <= value <= each.metadata["max"]:
                raise ConfigurationError(
                    f"{each.name} is {value}: use {each.metadata['min']} to {each.metadata['max']} "
                    f"({each.metadata['description']})"
                )


@dataclass(frozen=True)
class GateDecision:
    """What the gate says about one frame.

    ``reason`` is '' (not forwarded), 'first', 'motion', 'settled' or 'refresh'. ``score`` is the mean
    change of a pixel in grey levels (0-255), ``changed_fraction`` the share of pixels that changed,
    ``roi`` their box (x, y, width, height) in pixels of the full frame.
    """

    forward: bool
    reason: str
    score: float
    changed_fraction: float
    roi: Roi | None
    active: bool
    camera_moving: bool


class _State(Enum):
    IDLE = "idle"
    ACTIVE = "active"
    PANNING = "panning"


class MotionGate:
    """Takes every frame of one camera, in order; not to be shared between threads.

    A camera that pauses and comes back to another picture opens the gate at once, as another resolution does.
    """

    def __init__(self, config: GateConfig | None = None) -> None:
        self._config = config or GateConfig()
        self.frames_seen = 0
        self.frames_forwarded = 0
        self._last_time_s: float | None = None
        # Counts the time between frames; a clock that is set back adds none.
        self._clock_s = 0.0
        self._frame_size = (0, 0)
        self._forwarded_s = 0.0
        self._first_forwarded_s = -math.inf
        self._motion_forwarded_s = -math.inf
        self._pending_s: float | None = None
        self._shaken_s = -math.inf
        self._recent: deque[tuple[float, Frame]] = deque()
        self._reset(np.zeros((1, 1), np.uint8))

    @property
    def config(self) -> GateConfig:
        """The configuration in use."""
        return self._config

    def reconfigure(self, config: GateConfig) -> None:
        """Use other settings from the next frame on; what was learned of the scene stays where it can."""
        if config.analysis_width_px != self._config.analysis_width_px:
            self._frame_size = (0, 0)
        self._config = config

    def update(self, frame: Frame, time_s: float, full_size: tuple[int, int] | None = None) -> GateDecision:
        """Judge a frame (HxWx3 uint8 BGR or HxW uint8 grey) taken at ``time_s`` (seconds, any origin).

        ``full_size`` is (width, height) in pixels of the whole frame where a smaller one is judged in its place.
        Raises FrameError if it is no such array, or has less than 16 pixels a side.
        """
        if frame.dtype != np.uint8 or frame.ndim not in (2, 3) or frame.size == 0:
            raise FrameError(f"frame is {frame.shape} {frame.dtype}: HxWx3 or HxW uint8 is needed")
        height, width = frame.shape[:2]
        if min(height, width) < MIN_SIDE_PX:
            raise FrameError(f"frame is {width}x{height}: nothing is seen in less than {MIN_SIDE_PX} pixels a side")
        elapsed_s = 0.0 if self._last_time_s is None else max(0.0, time_s - self._last_time_s)
        self._last_time_s = time_s
        self._clock_s += elapsed_s
        self.frames_seen += 1
        small = shrunk(frame, self._config.analysis_width_px)
        size = full_size or (width, height)
        if size != self._frame_size:
            self._frame_size = size
            self._reset(small)
            return self._decide(self._first(), Change(small, 0.0, 0.0))
        if elapsed_s > _PAUSE_S:
            self._recent = deque([(self._clock_s, small)])
            self._moved_s = self._pending_s = -math.inf

        change, now = self._changes(small)
        reason = self._step(small, change, now)
        cv2.accumulateWeighted(small, self._background, 1.0 - float(np.exp(-elapsed_s / self._config.background_tau_s)))
        self._recent.append((self._clock_s, small))
        while len(self._recent) > 1 and self._clock_s - self._recent[1][0] >= _RECENT_S:
            self._recent.popleft()
        since_s = self._clock_s - self._forwarded_s
        if not reason and 0 < self._config.refresh_interval_s <= since_s:
            reason = "refresh"
        return self._decide(reason, change)

    def _changes(self, small: Frame) -> tuple[Change, Change]:
        """What differs from the background, and from a moment ago; more is forgiven while the camera shakes."""
        before, threshold = self._recent[0][1], self._config.pixel_threshold
        now = compared(small, before, threshold)
        shaking = self._clock_s - self._shaken_s < _SHAKING_S
        if self._is_camera(now):
            if not shaking:  # or turns: that is seen in a moment
                self._pan()
            self._shaken_s, shaking = self._clock_s, True
        if not shaking:
            return compared(small, self._background, threshold), now
        now = compared(small, before, threshold, shaking=True)
        if self._is_camera(now):
            self._pan()
        return compared(small, self._background, threshold, shaking=True), now

    def _is_camera(self, now: Change) -> bool:
        if now.fraction >= self._config.camera_changed_fraction:
            return True
        return now.fraction >= self._config.min_changed_fraction and is_everywhere(now, self._recent[0][1])

    def _pan(self) -> None:
        self._state, self._moved_s, self._pending_s = _State.PANNING, self._clock_s, None

    def _step(self, small: Frame, change: Change, now: Change) -> str:
        """Move between the states; gives the reason to forward this frame, or ''."""
        config, clock = self._config, self._clock_s
        least = config.min_changed_fraction
        if self._state is _State.PANNING:
            return self._settle(small) if clock - self._moved_s >= config.still_min_s else ""
        if self._state is _State.ACTIVE:
            if now.fraction >= least:
                self._moved_s = clock
            elif clock - self._moved_s >= config.still_min_s:
                return self._settle(small)
        elif change.fraction < least:
            self._pending_s = None
            return ""
        else:
            self._pending_s = clock if self._pending_s is None else self._pending_s
            if clock - self._pending_s < config.confirm_s:
                return ""
            self._state, self._moved_s = _State.ACTIVE, clock
        if clock - self._motion_forwarded_s < config.analysis_interval_s:
            return ""
        self._motion_forwarded_s = clock
        return "motion"

    def _first(self) -> str:
        """Forward the first frame of a size; where the size changes all the time, no more often than motion."""
        if self._clock_s - self._first_forwarded_s < self._config.analysis_interval_s:
            self._state = _State.ACTIVE
            return ""
        self._first_forwarded_s = self._clock_s
        return "first"

    def _settle(self, small: Frame) -> str:
        self._reset(small)
        return "settled"

    def _reset(self, small: Frame) -> None:
        self._state = _State.IDLE
        self._moved_s = self._clock_s
        self._pending_s = None
        self._background = small.astype(np.float32)
        self._recent = deque([(self._clock_s, small)])

    def _decide(self, reason: str, change: Change) -> GateDecision:
        if reason:
            self.frames_forwarded += 1
            self._forwarded_s = self._clock_s
        return GateDecision(
            forward=bool(reason),
            reason=reason,
            score=change.score,
            changed_fraction=change.fraction,
            roi=self._roi(change) if change.fraction >= self._config.min_changed_fraction else None,
            active=self._state is _State.ACTIVE,
            camera_moving=self._state is _State.PANNING,
        )

    def _roi(self, change: Change) -> Roi:
        core = cv2.erode(change.mask, np.ones((3, 3), np.uint8))
        x, y, width, height = cv2.boundingRect(core if cv2.countNonZero(core) else change.mask)
        rows, columns = change.mask.shape
        scale_x, scale_y = self._frame_size[0] / columns, self._frame_size[1] / rows
        # The blur and the erosion each move an edge by a pixel or two.
        left, top = max(0, x - 2), max(0, y - 2)
        right, bottom = min(columns, x + width + 2), min(rows, y + height + 2)
        return (
            int(left * scale_x),
            int(top * scale_y),
            int((right - left) * scale_x),
            int((bottom - top) * scale_y),
        )
