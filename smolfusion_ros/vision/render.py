"""Drawn scenes: a stand-in camera picture whose truth is known.

The demonstration, the tests and the training need people who enter, smile and wave, without a camera and without
a video file. ``specs`` says what is in a picture, ``drawing`` and ``figure`` how it looks; here it becomes a frame.
"""

import random
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.vision.canvas import UNITS, Canvas
from smolfusion_ros.vision.drawing import draw_object, draw_room
from smolfusion_ros.vision.figure import Figure
from smolfusion_ros.vision.specs import LightSpec, PersonSpec, SceneSpec

Frame = NDArray[np.uint8]

# What full warmth, light from one side and a vignette do at most, as shares of the light.
_WARMTH = 0.12
_SIDE = 0.35
_CORNERS = 0.45


def render_scene(spec: SceneSpec, width: int = 640, height: int = 480, seed: int = 0) -> Frame:
    """Draw a scene as HxWx3 uint8 BGR; ``seed`` decides the noise alone."""
    frame = render_background(spec, width, height)
    for person in sorted(spec.persons, key=lambda each: each.head_width):
        frame = draw_person(frame, person)
    return add_noise(blurred(lit(frame, spec.light), spec.blur), spec.noise_sigma, seed)


def lit(frame: Frame, light: LightSpec) -> Frame:
    """Show a frame (HxWx3 uint8 BGR) under a light."""
    if light == LightSpec():
        return frame
    height, width = frame.shape[:2]
    tint = np.array([1 - _WARMTH * light.warmth, 1.0, 1 + _WARMTH * light.warmth], np.float32)
    field = _light_field(round(light.from_side, 2), round(light.vignette, 2), width, height)
    return np.asarray(cv2.multiply(frame, field * (tint * light.brightness), dtype=cv2.CV_8U), dtype=np.uint8)


@lru_cache(maxsize=64)
def _light_field(from_side: float, vignette: float, width: int, height: int) -> NDArray[np.float32]:
    across = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :, None]
    down = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None, None]
    field = (1 + _SIDE * from_side * across) * (1 - _CORNERS * vignette * (across**2 + down**2) / 2)
    return np.asarray(field, np.float32)


def blurred(frame: Frame, sigma: float) -> Frame:
    """Blur a frame by a Gaussian of ``sigma`` 256ths of its width and height."""
    if sigma <= 0:
        return frame
    sigmas = sigma * frame.shape[1] / UNITS, sigma * frame.shape[0] / UNITS
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), sigmas[0], sigmaY=sigmas[1]), dtype=np.uint8)


def add_noise(frame: Frame, sigma: float, seed: int) -> Frame:
    """Add Gaussian sensor noise of ``sigma`` grey levels, the same for the same seed."""
    if sigma <= 0:
        return frame
    noise = np.random.default_rng(seed).standard_normal(frame.shape, dtype=np.float32)
    return np.asarray(cv2.add(frame, (noise * sigma).astype(np.int16), dtype=cv2.CV_8U), dtype=np.uint8)


def render_background(spec: SceneSpec, width: int = 640, height: int = 480) -> Frame:
    """Draw the room and the things in it, without people: what stays the same from frame to frame."""
    if width < 32 or height < 32:
        raise ConfigurationError(f"picture is {width}x{height}: use at least 32x32")
    image = Image.new("RGB", (2 * width, 2 * height))
    canvas = Canvas(image)
    draw_room(canvas, random.Random(spec.room))
    for index, thing in enumerate(spec.objects):
        draw_object(canvas, thing, random.Random(1000 * spec.room + index))
    smooth = cv2.resize(np.asarray(image), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2BGR), dtype=np.uint8)


def draw_person(background: Frame, person: PersonSpec | None) -> Frame:
    """Give a copy of a background (HxWx3 uint8 BGR) with the person drawn in."""
    if person is None:
        return np.array(background, dtype=np.uint8)
    image = Image.fromarray(background)
    Figure(Canvas(image, bgr=True), person).draw()
    return np.array(image, dtype=np.uint8)
