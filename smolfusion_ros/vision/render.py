"""Drawn scenes: a stand-in camera picture whose truth is known.

The demonstration and the tests need a person who enters, smiles and waves, without a camera and without a
video file. ``specs`` says what is in a picture, ``drawing`` how it looks; here it becomes a frame.
"""

import random

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.vision.drawing import Canvas, Figure, draw_object, draw_room
from smolfusion_ros.vision.specs import PersonSpec, SceneSpec

Frame = NDArray[np.uint8]


def render_scene(spec: SceneSpec, width: int = 640, height: int = 480, seed: int = 0) -> Frame:
    """Draw a scene as HxWx3 uint8 BGR; ``seed`` decides the noise alone."""
    return add_noise(draw_person(render_background(spec, width, height), spec.person), spec.noise_sigma, seed)


def add_noise(frame: Frame, sigma: float, seed: int) -> Frame:
    """Add Gaussian sensor noise of ``sigma`` grey levels, the same for the same seed."""
    if sigma <= 0:
        return frame
    noise = np.random.default_rng(seed).normal(0.0, sigma, frame.shape).astype(np.float32)
    return np.asarray(cv2.add(frame, noise.astype(np.int16), dtype=cv2.CV_8U), dtype=np.uint8)


def render_background(spec: SceneSpec, width: int = 640, height: int = 480) -> Frame:
    """Draw the room and the things in it, without the person: what stays the same from frame to frame."""
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
