"""What could open a keyframe instead of the motion gate, behind one face: plain differencing and background models.

Each plain way forwards no more often than the gate does, which is to its advantage where nothing happens.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from smolfusion_ros.vision.gate import GateConfig, MotionGate

Frame = NDArray[np.uint8]

# Mean change of a pixel between two frames that counts as motion in the usual recipe, grey levels.
MEAN_DIFFERENCE = 3.5
_CONFIG = GateConfig()


class Judged(NamedTuple):
    """Whether a frame becomes a keyframe, and whether the camera is said to turn."""

    forward: bool
    camera_moving: bool


class Gate(Protocol):
    """Takes frames (HxWx3 uint8 BGR) in order, with their times in seconds."""

    def judge(self, frame: Frame, time_s: float) -> Judged: ...


class Ours:
    """The package's motion gate."""

    def __init__(self) -> None:
        self._gate = MotionGate()

    def judge(self, frame: Frame, time_s: float) -> Judged:
        decision = self._gate.update(frame, time_s)
        return Judged(decision.forward, decision.camera_moving)


class Plain:
    """Forwards the first frame, and every one in which something moves, ``analysis_interval_s`` apart."""

    def __init__(self, moves: Callable[[Frame], bool]) -> None:
        self._moves = moves
        self._forwarded_s = -math.inf

    def judge(self, frame: Frame, time_s: float) -> Judged:
        moves = self._moves(frame) or self._forwarded_s == -math.inf
        forward = moves and time_s - self._forwarded_s >= _CONFIG.analysis_interval_s - 1e-6
        if forward:
            self._forwarded_s = time_s
        return Judged(forward, False)


class MeanDifference:
    """The usual recipe: the mean difference of two grey frames of full size."""

    def __init__(self) -> None:
        self._before: Frame | None = None

    def __call__(self, frame: Frame) -> bool:
        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)
        before, self._before = self._before, grey
        return before is not None and cv2.mean(cv2.absdiff(grey, before))[0] > MEAN_DIFFERENCE


class ShareDifference:
    """The gate's thresholds without its ideas: the share of changed pixels between two frames, grey and small."""

    def __init__(self) -> None:
        self._before: Frame | None = None

    def __call__(self, frame: Frame) -> bool:
        grey = shrunk(frame)
        before, self._before = self._before, grey
        if before is None:
            return False
        changed = np.count_nonzero(cv2.absdiff(grey, before) > _CONFIG.pixel_threshold)
        return changed >= _CONFIG.min_changed_fraction * grey.size


class Subtracted:
    """The share of foreground that one of OpenCV's background models finds."""

    def __init__(
        self,
        model: cv2.BackgroundSubtractor,
        prepare: Callable[[Frame], Frame] = lambda frame: frame,
    ) -> None:
        self._model, self._prepare = model, prepare

    def __call__(self, frame: Frame) -> bool:
        foreground = self._model.apply(self._prepare(frame))
        return cv2.countNonZero(foreground) >= _CONFIG.min_changed_fraction * foreground.size


def shrunk(frame: Frame) -> Frame:
    """A frame as the gate compares it: grey, 160 pixels wide, blurred."""
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    width = _CONFIG.analysis_width_px
    small = cv2.resize(grey, (width, round(grey.shape[0] * width / grey.shape[1])), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.blur(small, (5, 5)), np.uint8)


GATES: dict[str, Callable[[], Gate]] = {
    "motion gate": Ours,
    "mean difference": lambda: Plain(MeanDifference()),
    "share, small": lambda: Plain(ShareDifference()),
    "MOG2": lambda: Plain(Subtracted(cv2.createBackgroundSubtractorMOG2(detectShadows=False))),
    "KNN": lambda: Plain(Subtracted(cv2.createBackgroundSubtractorKNN(detectShadows=False))),
    "MOG2, small": lambda: Plain(Subtracted(cv2.createBackgroundSubtractorMOG2(detectShadows=False), shrunk)),
    "KNN, small": lambda: Plain(Subtracted(cv2.createBackgroundSubtractorKNN(detectShadows=False), shrunk)),
}
"""Every way by name."""
