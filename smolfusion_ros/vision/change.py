"""What differs between two pictures of one camera: noise, light and shaking taken out."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]

_GRID = (8, 6)
_CELL_SHARE = 5  # of 255: a cell counts as textured or changed from 2 % of its pixels on
_EDGE_LEVELS = 12
# Grey levels between dark and bright below which a gain cannot be told from an offset.
_MIN_CONTRAST = 8.0
# A camera that shakes moves edges by up to this kernel's reach; what lies within it is not compared then.
_REACH = np.ones((3, 3), np.uint8)


class Change(NamedTuple):
    """What changed: HxW uint8 mask of 0 and 255, its share of the picture, and the mean change in grey levels."""

    mask: Frame
    fraction: float
    score: float


def shrunk(frame: Frame, width_px: int) -> Frame:
    """A frame (HxWx3 BGR or HxW grey, uint8) in grey and no wider than ``width_px``, its noise averaged away."""
    grey = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    height, width = grey.shape[:2]
    if width > width_px:
        small_height = max(1, round(height * width_px / width))
        # OpenCV halves five times as fast as it shrinks in one step.
        while grey.shape[1] > 3 * width_px and grey.shape[0] % 2 == grey.shape[1] % 2 == 0:
            grey = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        grey = cv2.resize(grey, (width_px, small_height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.blur(grey, (5, 5)), dtype=np.uint8)


def compared(small: Frame, reference: NDArray[Any], threshold: float, *, shaking: bool = False) -> Change:
    """What differs from a reference of the same size by more than ``threshold`` grey levels.

    Args:
        reference: HxW, of any type.
        shaking: what edges do that move by a pixel is no difference.
    """
    gain, offset = _light(small, reference, threshold / 2)
    expected = cv2.convertScaleAbs(reference, alpha=gain, beta=offset)
    difference = beyond = cv2.absdiff(small, expected)
    if shaking:
        brighter = cv2.subtract(small, cv2.dilate(expected, _REACH))
        beyond = cv2.max(brighter, cv2.subtract(cv2.erode(expected, _REACH), small))
    _, mask = cv2.threshold(beyond, threshold, 255, cv2.THRESH_BINARY)
    fraction = cv2.countNonZero(mask) / mask.size
    return Change(np.asarray(mask, dtype=np.uint8), fraction, float(cv2.mean(difference)[0]))


def is_everywhere(change: Change, before: Frame) -> bool:
    """Tell a moving camera from a moving thing: nearly all textured cells change, from side to side."""
    edges = cv2.morphologyEx(before, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    _, edges = cv2.threshold(edges, _EDGE_LEVELS, 255, cv2.THRESH_BINARY)
    textured = cv2.resize(edges, _GRID, interpolation=cv2.INTER_AREA) >= _CELL_SHARE
    changed = cv2.resize(change.mask, _GRID, interpolation=cv2.INTER_AREA) >= _CELL_SHARE
    both = textured & changed
    wide = np.flatnonzero(textured.any(axis=0))
    moved = np.flatnonzero(both.any(axis=0))
    if moved.size == 0 or moved[0] > wide[0] + 1 or moved[-1] < wide[-1] - 1:
        return False
    return bool(moved[-1] - moved[0] >= _GRID[0] // 2 and both.sum() >= 0.6 * textured.sum())


def _light(small: Frame, reference: NDArray[Any], tolerance: float) -> tuple[float, float]:
    """Fit the change of light as gain and offset: Tukey's resistant line over every 25th pixel.

    Medians of the darker and the brighter half leave out what moves, up to a half of each. Where something
    larger moves, no change of light at all may explain more of the picture, and is then preferred.
    """
    before = reference[2::5, 2::5].ravel().astype(np.float32)
    if before.size < 8:
        return 1.0, 0.0
    difference = small[2::5, 2::5].ravel() - before
    order = np.argsort(before)
    half = before.size // 2
    dark, bright = order[:half], order[half:]
    dark_level, bright_level = float(before[dark[half // 2]]), float(before[bright[half // 2]])
    dark_change, bright_change = _median(difference[dark]), _median(difference[bright])
    slope = 0.0
    if bright_level - dark_level >= _MIN_CONTRAST:
        slope = min(1.0, max(-0.5, (bright_change - dark_change) / (bright_level - dark_level)))
    offset = (dark_change + bright_change - slope * (dark_level + bright_level)) / 2
    unexplained = np.count_nonzero(np.abs(difference - slope * before - offset) > tolerance)
    if np.count_nonzero(np.abs(difference) > tolerance) <= unexplained:
        return 1.0, 0.0
    return 1.0 + slope, offset


def _median(values: NDArray[np.float32]) -> float:
    return float(np.partition(values, values.size // 2)[values.size // 2])
