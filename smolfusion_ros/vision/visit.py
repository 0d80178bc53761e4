"""A scripted visit: someone enters, stands, smiles, waves, looks sad and leaves again. Half a minute, in a loop."""

import math
import random
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from smolfusion_ros.vision.render import draw_person, render_background
from smolfusion_ros.vision.specs import HAIRS, SKINS, ObjectSpec, PersonSpec, SceneSpec

Frame = NDArray[np.uint8]

SCRIPT = {
    "empty": 0.0,
    "enters": 3.0,
    "stands": 4.5,
    "smiles": 8.0,
    "waves": 12.0,
    "rests": 17.0,
    "saddens": 20.0,
    "leaves": 24.0,
    "gone": 25.5,
}
"""What happens from which second on, in order."""

# A fixed choice, so that a seed stays the same visit when more can be drawn.
_COLOURS = ("red", "green", "blue", "yellow", "purple", "white", "black")
_LABELS = ("cup", "bottle", "ball", "book", "box", "plant")
_WAVES_PER_S = 1.4
_OUTSIDE = 0.45
_NOISE_MARGIN = 32


class Visit:
    """The scripted scene as frames and as truth; the same seed gives the same visit to the last pixel."""

    fps = 30.0
    duration_s = 30.0

    def __init__(
        self,
        width: int = 640,
        height: int = 480,
        seed: int = 0,
        noise_sigma: float = 2.0,
        still: bool = False,
    ) -> None:
        """Lay out the room; ``still`` leaves the visitor out, so that nothing ever moves."""
        dice = random.Random(seed)
        columns = [0, 1, 2]
        dice.shuffle(columns)
        self._still = still
        self._stand_x = (columns[0] + 0.5) / 3
        self._from_x = -_OUTSIDE if self._stand_x < 0.4 or (self._stand_x < 0.6 and dice.random() < 0.5) else 1.45
        self._person = PersonSpec(
            shirt=dice.choice(_COLOURS),
            skin=dice.randrange(len(SKINS)),
            hair=dice.randrange(len(HAIRS)),
            style=dice.randrange(3),
        )
        labels = dice.sample(_LABELS, 2)
        things = tuple(
            ObjectSpec(label, dice.choice(_COLOURS), (column + 0.5) / 3, dice.uniform(0.8, 0.92))
            for label, column in sorted(zip(labels, columns[1:], strict=True), key=lambda pair: pair[1])
        )
        self._room = SceneSpec((), things, room=seed, noise_sigma=noise_sigma)
        self._background = render_background(self._room, width, height)
        # Drawing fresh noise takes longer than a frame lasts; a window onto one field moves about instead.
        shape = (height + _NOISE_MARGIN, width + _NOISE_MARGIN, 3)
        field = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
        self._noise = np.round(field * noise_sigma).astype(np.int16) if noise_sigma > 0 else None

    def moment_at(self, time_s: float) -> str:
        """Name the step of the script at a time (seconds; the visit repeats)."""
        if self._still:
            return "empty"
        time_s %= self.duration_s
        return next(name for name, start_s in reversed(SCRIPT.items()) if start_s <= time_s)

    def truth_at(self, time_s: float) -> SceneSpec:
        """Tell who and what is in the picture at a time (seconds; the visit repeats)."""
        moment, time_s = self.moment_at(time_s), time_s % self.duration_s
        if moment in ("empty", "gone"):
            return self._room
        x, expression = self._stand_x, "neutral"
        if moment == "enters":
            x = _between(self._from_x, self._stand_x, _share(time_s, "enters", "stands"))
        elif moment == "leaves":
            x = _between(self._stand_x, self._from_x, _share(time_s, "leaves", "gone"))
        elif moment in ("smiles", "waves"):
            expression = "smiling"
        elif moment == "saddens":
            expression = "sad"
        phase = 2 * math.pi * _WAVES_PER_S * (time_s - SCRIPT["waves"])
        gesture = "waving" if moment == "waves" else "none"
        person = replace(self._person, x=x, expression=expression, gesture=gesture, wave_phase=phase)
        return replace(self._room, persons=(person,))

    def frame_at(self, time_s: float) -> Frame:
        """Draw the picture at a time as HxWx3 uint8 BGR."""
        frame = draw_person(self._background, next(iter(self.truth_at(time_s).persons), None))
        if self._noise is None:
            return frame
        dice = random.Random(round(time_s % self.duration_s * self.fps))
        top, left = dice.randrange(_NOISE_MARGIN), dice.randrange(_NOISE_MARGIN)
        window = self._noise[top : top + frame.shape[0], left : left + frame.shape[1]]
        return np.asarray(cv2.add(frame, window, dtype=cv2.CV_8U), dtype=np.uint8)


def _share(time_s: float, start: str, end: str) -> float:
    return (time_s - SCRIPT[start]) / (SCRIPT[end] - SCRIPT[start])


def _between(start: float, end: float, share: float) -> float:
    """Go from ``start`` to ``end`` with a gentle start and stop."""
    return start + (end - start) * (3 - 2 * share) * share * share
