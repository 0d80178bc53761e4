"""A keyframe with what was seen in it drawn over it, for people to look at."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from smolfusion_ros.errors import FrameError
from smolfusion_ros.vision.scene import Person, Roi, SceneDescription, compact_line, told

Frame = NDArray[np.uint8]
Bgr = tuple[int, int, int]

ENGAGED: Bgr = (80, 200, 80)
NOT_ENGAGED: Bgr = (0, 165, 255)
MOTION: Bgr = (255, 140, 0)
_INK: Bgr = (255, 255, 255)
_PAPER: Bgr = (40, 40, 40)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# The text's height is this share of the picture's; below this size it cannot be read.
_TEXT_SHARE, _LEAST_SCALE = 1 / 900, 0.4


def annotate(frame: Frame, scene: SceneDescription, motion_roi: Roi | None = None) -> Frame:
    """Draw a scene over its frame, into a copy.

    Each person whose face was found gets a box (green: addresses the robot, orange: not) and words; the part of the
    picture that moved a thin blue one; the line that the language model gets stands at the bottom.

    Args:
        frame: HxWx3 uint8 BGR.
        motion_roi: (x, y, width, height) in the frame's pixels; None: not known, or nothing moved.

    Raises:
        FrameError: it is no such frame.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
        raise FrameError(f"frame is {frame.shape} {frame.dtype}: HxWx3 uint8 BGR is needed")
    drawn: Frame = frame.copy()
    if motion_roi is not None:
        _box(drawn, motion_roi, MOTION, 1)
    for person in scene.persons:
        if person.roi is not None:
            colour = ENGAGED if person.engaged else NOT_ENGAGED
            _box(drawn, person.roi, colour, 2)
            x, y, _, height = person.roi
            _label(drawn, words_of(person), x, y, y + height, colour)
    _caption(drawn, f"{compact_line(scene)}  ({scene.source})")
    return drawn


def words_of(person: Person) -> str:
    """What is known of a person, as it stands beside the box."""
    track = f"#{person.track_id}" if person.track_id else ""
    return told(track, person.position, person.expression, person.gesture, person.clothing)


def _box(frame: Frame, roi: Roi, colour: Bgr, width_px: int) -> None:
    x, y, width, height = roi
    cv2.rectangle(frame, (x, y), (x + width - 1, y + height - 1), colour, width_px)


def _label(frame: Frame, text: str, x: int, top: int, bottom: int, colour: Bgr) -> None:
    """Above the box, or below it where there is no room; within the picture as far as it fits."""
    if not text:
        return
    width, height = _size(frame, text)
    y = top - height if top >= height else min(bottom, frame.shape[0] - height)
    _text(frame, text, max(0, min(x, frame.shape[1] - width)), y, colour)


def _caption(frame: Frame, text: str) -> None:
    """At the bottom, in as many lines as it takes, over a darkened strip."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _size(frame, longer)[0] > frame.shape[1]:
            lines.append(word)
        else:
            lines[-1] = longer
    height = _size(frame, text)[1]
    strip = frame[max(0, frame.shape[0] - height * len(lines)) :]
    strip //= 3
    for number, line in enumerate(reversed(lines), 1):
        _text(frame, line, 0, frame.shape[0] - height * number, None)


def _text(frame: Frame, text: str, x: int, y: int, paper: Bgr | None) -> None:
    """Text whose upper left corner is (x, y), on paper of a colour."""
    width, height = _size(frame, text)
    if paper is not None:
        cv2.rectangle(frame, (x, y), (x + width - 1, y + height - 1), paper, cv2.FILLED)
    margin = height // 4
    ink = _INK if paper is None else _PAPER
    cv2.putText(frame, text, (x + margin, y + height - margin), _FONT, _scale(frame), ink, 1, cv2.LINE_AA)


def _size(frame: Frame, text: str) -> tuple[int, int]:
    """Width and height in pixels of text with its margin."""
    (width, height), baseline = cv2.getTextSize(text, _FONT, _scale(frame), 1)
    return width + height, height + baseline + 2


def _scale(frame: Frame) -> float:
    return max(_LEAST_SCALE, float(frame.shape[0]) * _TEXT_SHARE)
