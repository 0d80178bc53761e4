"""A drawn scene as the camera sends it, and as llama.cpp shows it to the tower."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smolfusion_ros.vision.render import render_scene
from smolfusion_ros.vision.specs import SceneSpec
from training.vision.scenes import random_scene

Frame = NDArray[np.uint8]

CAMERA = (640, 480)
# llama.cpp smooths what it shrinks, so a smaller drawing looks nearly the same and takes a quarter of the time.
_QUICK = (320, 240)
_FULL_SHARE = 0.25
_JPEG_SHARE = 0.5
_MARGIN = 32


def scene(seed: int, index: int) -> SceneSpec:
    """The scene of that number; each number has its own."""
    return random_scene(Random(f"scene {seed} {index}"))


def tile(spec: SceneSpec, side: int, random: Random) -> Frame:
    """A scene as the tower sees it, side x side x 3 uint8 RGB, about half of them by way of a JPEG."""
    size = CAMERA if random.random() < _FULL_SHARE else _QUICK
    frame = render_scene(replace(spec, noise_sigma=0.0), *size)
    frame = _noisy(frame, spec.noise_sigma, random)
    if random.random() < _JPEG_SHARE:
        _, encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, random.randint(70, 95)])
        frame = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return squeezed(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8), side)


def squeezed(rgb: Frame, side: int) -> Frame:
    """What llama.cpp's idefics3 preprocessing makes of a picture, for its one tile and for the overview.

    First the longest edge becomes ``side`` pixels, then the shorter one is stretched; both with Pillow's Lanczos
    filter, to which llama.cpp keeps bit by bit.
    """
    height, width = rgb.shape[:2]
    if (height, width) == (side, side):
        return rgb
    scale = side / max(height, width)
    image = Image.fromarray(rgb).resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS)
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS), np.uint8)


def _noisy(frame: Frame, sigma: float, random: Random) -> Frame:
    """Noise from a window onto one field: fresh noise takes as long as all the rest."""
    height, width = frame.shape[:2]
    top, left = random.randrange(_MARGIN), random.randrange(_MARGIN)
    window = _field(height, width)[top : top + height, left : left + width]
    noise = (window * sigma).astype(np.int16)
    return np.asarray(cv2.add(frame, noise, dtype=cv2.CV_8U), np.uint8)


@lru_cache(maxsize=4)
def _field(height: int, width: int) -> NDArray[np.float32]:
    shape = (height + _MARGIN, width + _MARGIN, 3)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
