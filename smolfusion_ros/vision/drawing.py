"""How a rendered scene is drawn: rooms, things and people in units of a 256th of the picture.

llama.cpp squeezes any picture into the tiny SmolVLM's square tile, so everything is laid out in a square and
stretched to the picture; the shapes follow the pictures that model was trained on.
"""

import math
import random

from PIL import Image, ImageDraw

from smolfusion_ros.vision.specs import COLOURS, HAIRS, SKINS, Colour, ObjectSpec, PersonSpec

Point = tuple[float, float]

UNITS = 256.0
_LIPS: Colour = (160, 50, 54)


class Canvas:
    """Draws in units of a 256th of the picture, whatever its shape."""

    def __init__(self, image: Image.Image, bgr: bool = False) -> None:
        self._draw = ImageDraw.Draw(image)
        self._scale = image.width / UNITS, image.height / UNITS
        self._bgr = bgr

    def _box(self, x0: float, y0: float, x1: float, y1: float) -> list[float]:
        sx, sy = self._scale
        return [x0 * sx, y0 * sy, x1 * sx, y1 * sy]

    def _pen(self, width: float) -> int:
        return max(1, round(width * (self._scale[0] + self._scale[1]) / 2))

    def _ink(self, colour: Colour) -> Colour:
        return (colour[2], colour[1], colour[0]) if self._bgr else colour

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, radius: float = 0.0) -> None:
        corner = radius * self._scale[1]
        self._draw.rounded_rectangle(self._box(x0, y0, x1, y1), corner, fill=self._ink(colour))

    def ellipse(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        self._draw.ellipse(self._box(x0, y0, x1, y1), fill=self._ink(colour))

    def polygon(self, points: list[Point], colour: Colour) -> None:
        sx, sy = self._scale
        self._draw.polygon([(x * sx, y * sy) for x, y in points], fill=self._ink(colour))

    def line(self, points: list[Point], colour: Colour, width: float) -> None:
        sx, sy = self._scale
        scaled = [(x * sx, y * sy) for x, y in points]
        self._draw.line(scaled, fill=self._ink(colour), width=self._pen(width), joint="curve")

    def arc(self, box: tuple[float, float, float, float], angles: Point, colour: Colour, width: float) -> None:
        self._draw.arc(self._box(*box), *angles, fill=self._ink(colour), width=self._pen(width))

    def pie(self, box: tuple[float, float, float, float], angles: Point, colour: Colour) -> None:
        self._draw.pieslice(self._box(*box), *angles, fill=self._ink(colour))


def draw_room(canvas: Canvas, dice: random.Random) -> None:
    wall = (dice.randint(150, 225), dice.randint(150, 225), dice.randint(150, 225))
    floor = (dice.randint(80, 170), dice.randint(80, 170), dice.randint(80, 170))
    horizon = UNITS * dice.uniform(0.6, 0.75)
    canvas.box(0, 0, UNITS, horizon, wall)
    canvas.box(0, horizon, UNITS, UNITS, floor)
    for _ in range(dice.randint(1, 3)):
        x, y = dice.uniform(0, 200), dice.uniform(0, horizon - 90)
        tint = _mix(wall, (dice.randint(0, 255), dice.randint(0, 255), dice.randint(0, 255)), 0.25)
        canvas.box(x, y, x + dice.uniform(20, 90), y + dice.uniform(20, 80), tint)
    for _ in range(2):
        y = dice.uniform(horizon + 4, UNITS)
        canvas.line([(0, y), (UNITS, y + dice.uniform(-12, 12))], _shade(floor, 0.85), 2)


def draw_object(canvas: Canvas, thing: ObjectSpec, dice: random.Random) -> None:
    x, y, s = thing.x * UNITS, thing.y * UNITS, thing.size * UNITS
    colour = COLOURS[thing.colour]
    dark, light = _shade(colour, 0.62), _shade(colour, 1.25, 12)
    if thing.label == "cup":
        half, tall = 0.275 * s, 0.6 * s
        handle = (x + half - 0.12 * s, y - 0.8 * tall, x + half + 0.22 * s, y - 0.2 * tall)
        canvas.arc(handle, (0, 360), dark, 0.07 * s)
        corners = [(x - half, y - tall), (x + half, y - tall), (x + 0.8 * half, y), (x - 0.8 * half, y)]
        canvas.polygon(corners, colour)
        canvas.ellipse(x - half, y - tall - 0.07 * s, x + half, y - tall + 0.07 * s, dark)
    elif thing.label == "bottle":
        half = 0.17 * s
        canvas.box(x - half, y - 0.75 * s, x + half, y, colour, 0.06 * s)
        canvas.box(x - 0.4 * half, y - 1.1 * s, x + 0.4 * half, y - 0.7 * s, colour)
        canvas.box(x - 0.48 * half, y - 1.18 * s, x + 0.48 * half, y - 1.06 * s, dark)
        canvas.box(x - half, y - 0.5 * s, x + half, y - 0.25 * s, light)
    elif thing.label == "ball":
        r = 0.36 * s
        canvas.ellipse(x - r, y - 2 * r, x + r, y, colour)
        canvas.ellipse(x - 0.5 * r, y - 1.7 * r, x - 0.05 * r, y - 1.25 * r, light)
        canvas.arc((x - r, y - 2 * r, x + r, y), (20, 130), dark, 0.05 * s)
    elif thing.label == "book":
        half, tall = 0.31 * s, 0.85 * s
        canvas.box(x - half, y - tall, x + half, y, colour)
        canvas.box(x - half, y - tall, x - 0.72 * half, y, dark)
        canvas.box(x + 0.84 * half, y - 0.97 * tall, x + half, y - 0.03 * tall, (240, 235, 220))
        canvas.box(x - 0.36 * half, y - 0.8 * tall, x + 0.6 * half, y - 0.66 * tall, light)
    elif thing.label == "box":
        half, tall, depth = 0.4 * s, 0.55 * s, 0.2 * s
        back = y - tall - depth
        lid = [(x - half, y - tall), (x - half + depth, back), (x + half + depth, back), (x + half, y - tall)]
        side = [(x + half, y - tall), (x + half + depth, back), (x + half + depth, y - depth), (x + half, y)]
        canvas.polygon(lid, light)
        canvas.polygon(side, dark)
        canvas.box(x - half, y - tall, x + half, y, colour)
        canvas.box(x - 0.12 * half, y - tall, x + 0.12 * half, y, dark)
    else:
        half, rim = 0.21 * s, y - 0.38 * s
        canvas.polygon([(x - half, rim), (x + half, rim), (x + 0.68 * half, y), (x - 0.68 * half, y)], colour)
        for leaf in range(7):
            angle, length = math.radians(23 * leaf - 160 + dice.uniform(-8, 8)), s * dice.uniform(0.5, 0.75)
            tip = x + 0.7 * length * math.cos(angle), rim + length * math.sin(angle)
            canvas.line([(x, rim + 0.02 * s), tip], (45, 130, 50), 0.09 * s)
            r = 0.08 * s
            canvas.ellipse(tip[0] - r, tip[1] - r, tip[0] + r, tip[1] + r, (60, 150, 60))


class Figure:
    """A person as head and shoulders; measures are multiples of the head's width."""

    def __init__(self, canvas: Canvas, person: PersonSpec) -> None:
        self._canvas, self._person = canvas, person
        self._x, self._chin = person.x * UNITS, person.chin_y * UNITS
        self._s = person.head_width * UNITS
        self._half_width, self._half_height = 0.5 * self._s, 0.64 * self._s
        self._middle = self._chin - self._half_height
        self._skin, self._hair = SKINS[person.skin % len(SKINS)], HAIRS[person.hair % len(HAIRS)]
        self._shadow, self._shirt = _shade(self._skin, 0.75), COLOURS[person.shirt]

    def draw(self) -> None:
        self._body()
        if self._person.waving:
            self._waving_arm()
        self._head()
        self._face()
        self._mouth()

    def _body(self) -> None:
        x, chin, s = self._x, self._chin, self._s
        self._canvas.box(x - 0.17 * s, chin - 0.12 * s, x + 0.17 * s, chin + 0.3 * s, self._shadow)
        self._canvas.box(x - 0.95 * s, chin + 0.16 * s, x + 0.95 * s, chin + 4 * s, self._shirt, 0.35 * s)
        seam: list[Point] = [(x - 0.55 * s, chin + 0.9 * s), (x - 0.55 * s, chin + 4 * s)]
        self._canvas.line(seam, _shade(self._shirt, 0.8), 2)

    def _waving_arm(self) -> None:
        x, chin, s = self._x, self._chin, self._s
        side = 1 if self._person.x < 0.5 else -1
        swing = math.sin(self._person.wave_phase)
        shoulder = x + side * 0.85 * s
        hand = shoulder + side * s * (0.25 + 0.17 * swing), chin - s * (0.58 - 0.1 * abs(swing))
        arm: list[Point] = [(shoulder, chin + 0.75 * s), (shoulder + side * 0.25 * s, chin + 0.4 * s), hand]
        self._canvas.line(arm, _shade(self._shirt, 0.9), 0.34 * s)
        r = 0.25 * s
        self._canvas.ellipse(hand[0] - r, hand[1] - 1.2 * r, hand[0] + r, hand[1] + r, self._skin)
        for finger in (-1.0, -0.3, 0.4, 1.0):
            reach: list[Point] = [
                (hand[0] + 0.6 * finger * r, hand[1] - 0.5 * r),
                (hand[0] + 0.9 * finger * r, hand[1] - 2 * r),
            ]
            self._canvas.line(reach, self._skin, 0.08 * s)

    def _head(self) -> None:
        x, y, w, h = self._x, self._middle, self._half_width, self._half_height
        style = self._person.style % 3
        if style == 1:
            self._canvas.ellipse(x - 1.25 * w, y - 1.2 * h, x + 1.25 * w, self._chin + 0.25 * self._s, self._hair)
        self._canvas.ellipse(x - w, y - h, x + w, y + h, self._skin)
        if style == 2:
            self._canvas.pie((x - 1.02 * w, y - 1.05 * h, x + 1.02 * w, y + 0.1 * h), (180, 360), self._hair)
            return
        self._canvas.pie((x - 1.08 * w, y - 1.15 * h, x + 1.08 * w, y + 0.55 * h), (180, 360), self._hair)
        self._canvas.ellipse(x - 0.93 * w, y - 0.45 * h, x + 0.93 * w, y + 0.99 * h, self._skin)

    def _face(self) -> None:
        x, s = self._x, self._s
        eyes = self._middle - 0.05 * self._half_height
        for side in (-1, 1):
            eye = x + side * 0.42 * self._half_width
            self._canvas.ellipse(eye - 0.1 * s, eyes - 0.075 * s, eye + 0.1 * s, eyes + 0.075 * s, (250, 250, 250))
            self._canvas.ellipse(eye - 0.05 * s, eyes - 0.06 * s, eye + 0.05 * s, eyes + 0.06 * s, (35, 25, 20))
            brow: list[Point] = [(eye - 0.12 * s, eyes - 0.16 * s), (eye + 0.12 * s, eyes - 0.17 * s)]
            self._canvas.line(brow, self._hair, 0.045 * s)
        nose: list[Point] = [
            (x, eyes + 0.08 * s),
            (x - 0.05 * s, eyes + 0.24 * s),
            (x + 0.04 * s, eyes + 0.25 * s),
        ]
        self._canvas.line(nose, self._shadow, 0.035 * s)

    def _mouth(self) -> None:
        x, s, half = self._x, self._s, 0.24 * self._s
        y = self._middle + 0.55 * self._half_height
        if self._person.expression == "smiling":
            self._canvas.pie((x - half, y - 0.2 * s, x + half, y + 0.17 * s), (0, 180), (170, 40, 50))
            self._canvas.box(x - 0.75 * half, y - 0.015 * s, x + 0.75 * half, y + 0.035 * s, (250, 250, 250))
        elif self._person.expression == "sad":
            self._canvas.arc((x - half, y - 0.02 * s, x + half, y + 0.28 * s), (195, 345), _LIPS, 0.06 * s)
        else:
            self._canvas.line([(x - 0.8 * half, y), (x + 0.8 * half, y)], _LIPS, 0.06 * s)


def _shade(colour: Colour, factor: float, plus: int = 0) -> Colour:
    red, green, blue = (min(255, int(value * factor) + plus) for value in colour)
    return red, green, blue


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (int((1 - share) * a + share * b) for a, b in zip(first, second, strict=True))
    return red, green, blue
