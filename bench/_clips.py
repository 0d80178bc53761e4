"""Clips whose truth is known, to see what opens a motion gate: what happens when, and when nothing does.

A clip is clean; :func:`seen` shows it as a camera would, with noise, flicker, changing exposure, compression or shake.
The same seed gives the same frames to the last pixel. All are 640x480 BGR at 30 frames a second.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from smolfusion_ros.vision.render import draw_person, render_background
from smolfusion_ros.vision.specs import HeldSpec, ObjectSpec, PersonSpec, SceneSpec
from smolfusion_ros.vision.visit import SCRIPT, Visit

Frame = NDArray[np.uint8]

FPS = 30.0
WIDTH, HEIGHT = SIZE = 640, 480
# An event can be seen from the frame on in which so many pixels differ by so many levels from before it.
VISIBLE_SHARE, VISIBLE_LEVELS = 0.01, 40
# A stretch counts as still so long after the last motion; a gate may tell once more that all has settled.
_REST_S = 1.0
_EVENTS = {"enters": "entry", "waves": "waving", "leaves": "exit"}
_PAN_REST_S = 2.0
_STILL_SIZE = 1920, 960
_MAINS_HZ = 50.05
_READOUT_S = 0.025
_NOISE_MARGIN = 32


class Span(NamedTuple):
    """From one time to another, seconds; the end is not part of it."""

    begins_s: float
    ends_s: float

    def __contains__(self, time_s: object) -> bool:
        return isinstance(time_s, float) and self.begins_s - 1e-6 <= time_s < self.ends_s - 1e-6


@dataclass(frozen=True)
class Event:
    """Something begins to move: when, and from when on it can be seen (seconds)."""

    name: str
    begins_s: float
    visible_s: float


@dataclass(frozen=True)
class Clip:
    """Clean frames and their labels.

    Attributes:
        frame_at: gives the frame of a time in seconds, HxWx3 uint8 BGR; not to be written to.
        events: what must be told of.
        still: stretches in which nothing happens.
        playing: stretches of real footage, in which something moves all the time.
        pans: the camera turns.
    """

    name: str
    duration_s: float
    frame_at: Callable[[float], Frame]
    events: tuple[Event, ...] = ()
    still: tuple[Span, ...] = ()
    playing: tuple[Span, ...] = ()
    pans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Camera:
    """How a camera shows a clip.

    Attributes:
        noise_sigma: of Gaussian sensor noise, grey levels.
        flicker: grey levels up and down under lamps on 50 Hz mains.
        bands: the rolling shutter turns the flicker into bands that run over the picture.
        slow_gain: the exposure wanders down by this share and back within 20 seconds.
        sudden_gain: the exposure jumps down or back by this share in the middle of every still stretch.
        jpeg_quality: percent; 0: not compressed.
        shake_px: every frame is shifted by up to so many pixels both ways.
    """

    name: str
    noise_sigma: float = 2.0
    flicker: float = 0.0
    bands: bool = False
    slow_gain: float = 0.0
    sudden_gain: float = 0.0
    jpeg_quality: int = 0
    shake_px: int = 0


CAMERAS = (
    Camera("noise 2"),
    Camera("noise 7", noise_sigma=7.0),
    Camera("flicker", flicker=3.0),
    Camera("flicker in bands", flicker=3.0, bands=True),
    Camera("slow exposure", slow_gain=0.3),
    Camera("sudden exposure", sudden_gain=0.2),
    Camera("JPEG 40", jpeg_quality=40),
    Camera("shake", shake_px=2),
)
"""Under which clips with events are shown; pans under those of ``PAN_CAMERAS`` alone."""
PAN_CAMERAS = tuple(each for each in CAMERAS if each.name in ("noise 2", "noise 7", "slow exposure", "JPEG 40"))


def visit_clip(seed: int, name: str = "", background: Frame | None = None) -> Clip:
    """The scripted visit in its own room, or pasted into a picture of 640x480."""
    visit = Visit(WIDTH, HEIGHT, seed=seed, noise_sigma=0.0)
    room = visit.frame_at(0.0) if background is None else background

    @lru_cache(maxsize=1)  # who stands still is drawn once
    def drawn(person: PersonSpec | None) -> Frame:
        return draw_person(room, person)

    def frame_at(time_s: float) -> Frame:
        return drawn(next(iter(visit.truth_at(time_s).persons), None))

    changes = [*SCRIPT.values(), visit.duration_s]
    moving = ("enters", "waves", "leaves")
    still = [
        Span(begins_s + (0.0 if step == "empty" else _REST_S), ends_s)
        for (step, begins_s), ends_s in zip(SCRIPT.items(), changes[1:], strict=True)
        if step not in moving
    ]
    events = tuple(_event(event, SCRIPT[step], frame_at) for step, event in _EVENTS.items())
    return Clip(name or f"visit {seed}", visit.duration_s, frame_at, events, _without_start(still))


def footage_clip(name: str, frames: Sequence[Frame], hold_s: float = 2.0) -> Clip:
    """Real footage that stands still for a while, plays, and stands still again."""
    played_s = hold_s + len(frames) / FPS
    duration_s = played_s + _REST_S + hold_s

    def frame_at(time_s: float) -> Frame:
        return frames[min(len(frames) - 1, max(0, round((time_s - hold_s) * FPS)))]

    still = [Span(0.0, hold_s), Span(played_s + _REST_S, duration_s)]
    return Clip(
        name,
        duration_s,
        frame_at,
        (_event("footage begins", hold_s, frame_at),),
        _without_start(still),
        (Span(hold_s + _REST_S, played_s),),
    )


def pan_clip(name: str, still: Frame) -> Clip:
    """A window moves over a larger picture (1920x960), gently to begin and end, and rests two seconds after each pan.

    480 pixels to the right and back at 120, 300 and 600 pixels a second in the mean, then 240 down and up at 200.
    """
    pans, path, time_s, position = [], [], _PAN_REST_S, (720, 120)
    for shift, duration_s in [((480, 0), 4.0), ((480, 0), 1.6), ((480, 0), 0.8), ((0, 240), 1.2)]:
        for sign in (1, -1):
            target = position[0] + sign * shift[0], position[1] + sign * shift[1]
            pans.append(Span(time_s, time_s + duration_s))
            path.append((position, target))
            position = target
            time_s += duration_s + _PAN_REST_S

    def frame_at(at_s: float) -> Frame:
        begun = [index for index, pan in enumerate(pans) if pan.begins_s <= at_s]
        x, y = path[0][0]
        if begun:
            pan, (start, end) = pans[begun[-1]], path[begun[-1]]
            share = min(1.0, (at_s - pan.begins_s) / (pan.ends_s - pan.begins_s))
            gone = (3 - 2 * share) * share * share
            x, y = (round(a + (b - a) * gone) for a, b in zip(start, end, strict=True))
        return still[y : y + HEIGHT, x : x + WIDTH]

    rests = [Span(0.0, _PAN_REST_S)]
    rests += [Span(pan.ends_s + _REST_S, pan.ends_s + _PAN_REST_S) for pan in pans]
    return Clip(name, time_s, frame_at, still=_without_start(rests), pans=tuple(pans))


def wide_room(seed: int) -> Frame:
    """A drawn room of 1920x960 with a person and things in it, to pan over."""
    things = (
        ObjectSpec("plant", "green", 0.42, 0.9),
        ObjectSpec("chair", "brown", 0.72, 0.9),
        ObjectSpec("lamp", "yellow", 0.88, 0.85),
    )
    person = PersonSpec(x=0.6, shirt="red", holding=HeldSpec("cup", "white"), head_width=0.08, chin_y=0.45)
    return draw_person(render_background(SceneSpec((), things, room=seed), *_STILL_SIZE), person)


def widened(frame: Frame) -> Frame:
    """A picture scaled and cut to 1920x960, to pan over."""
    return _filled(frame, *_STILL_SIZE)


def framed(frame: Frame) -> Frame:
    """A picture scaled and cut to 640x480."""
    return _filled(frame, WIDTH, HEIGHT)


def seen(clip: Clip, camera: Camera, seed: int = 0) -> Iterator[tuple[float, Frame]]:
    """A clip as a camera shows it: times in seconds and frames, 480x640x3 uint8 BGR."""
    dice = random.Random(f"{clip.name}, {camera.name}, {seed}")
    noise = _noise_field(camera.noise_sigma, seed)
    rows_s = np.arange(HEIGHT) / HEIGHT * _READOUT_S if camera.bands else np.zeros(HEIGHT)
    jumps_s = [(span.begins_s + span.ends_s) / 2 for span in clip.still] if camera.sudden_gain else []
    for index in range(round(clip.duration_s * FPS)):
        time_s = index / FPS
        frame = _shaken(clip.frame_at(time_s), camera.shake_px, dice)
        gain = 1.0 - camera.slow_gain * (1 - np.cos(2 * np.pi * time_s / 20)) / 2
        gain *= 1.0 - camera.sudden_gain * _down(time_s, jumps_s)
        if gain < 1.0:
            frame = np.asarray(cv2.convertScaleAbs(frame, alpha=float(gain)), np.uint8)
        # Fresh noise takes longer to draw than a gate to judge it: a window onto one field moves about.
        top, left = dice.randrange(_NOISE_MARGIN), dice.randrange(_NOISE_MARGIN)
        added = noise[top : top + HEIGHT, left : left + WIDTH]
        if camera.flicker:
            light = camera.flicker * np.sin(4 * np.pi * _MAINS_HZ * (time_s + rows_s))
            added = added + np.round(light).astype(np.int16)[:, None, None]
        frame = np.asarray(cv2.add(frame, added, dtype=cv2.CV_8U), np.uint8)
        if camera.jpeg_quality:
            _, encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, camera.jpeg_quality])
            frame = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
        yield time_s, frame


def _event(name: str, begins_s: float, frame_at: Callable[[float], Frame]) -> Event:
    """Label an event; one that is never to be seen counts from its beginning."""
    first = round(begins_s * FPS)
    before = frame_at((first - 1) / FPS)
    for index in range(first, first + 3 * round(FPS)):
        blue, green, red = cv2.split(cv2.absdiff(frame_at(index / FPS), before))
        largest = cv2.max(cv2.max(blue, green), red)
        if cv2.countNonZero(cv2.compare(largest, VISIBLE_LEVELS, cv2.CMP_GT)) > VISIBLE_SHARE * largest.size:
            return Event(name, begins_s, index / FPS)
    return Event(name, begins_s, begins_s)


def _without_start(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Every gate forwards the first frame; what follows within half a second is getting to know the scene."""
    return tuple(Span(max(0.5, begins_s), ends_s) for begins_s, ends_s in spans)


def _down(time_s: float, jumps_s: Sequence[float]) -> float:
    """How far the exposure is down, 0 to 1; a jump takes a tenth of a second, as automatic exposure does."""
    level = 0.0
    for number, jump_s in enumerate(jumps_s):
        done = min(1.0, max(0.0, (time_s - jump_s) / 0.1))
        level += done if number % 2 == 0 else -done
    return level


def _shaken(frame: Frame, shake_px: int, dice: random.Random) -> Frame:
    if not shake_px:
        return frame
    padded = cv2.copyMakeBorder(frame, shake_px, shake_px, shake_px, shake_px, cv2.BORDER_REPLICATE)
    left, top = dice.randint(0, 2 * shake_px), dice.randint(0, 2 * shake_px)
    return np.asarray(padded[top : top + HEIGHT, left : left + WIDTH], np.uint8)


@lru_cache(maxsize=4)
def _noise_field(sigma: float, seed: int) -> NDArray[np.int16]:
    shape = HEIGHT + _NOISE_MARGIN, WIDTH + _NOISE_MARGIN, 3
    field = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return np.round(field * sigma).astype(np.int16)


def _filled(frame: Frame, width: int, height: int) -> Frame:
    scale = max(width / frame.shape[1], height / frame.shape[0])
    size = max(width, round(frame.shape[1] * scale)), max(height, round(frame.shape[0] * scale))
    scaled = cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width], np.uint8)
