"""How people are drawn: head and shoulders, arms, and legs where they stand far enough away."""

import math
import random

from smolfusion_ros.vision.canvas import UNITS, Canvas, Point, shade
from smolfusion_ros.vision.drawing import draw_object
from smolfusion_ros.vision.specs import COLOURS, HAIRS, SKINS, Colour, HeldSpec, ObjectSpec, PersonSpec

_LIPS: Colour = (160, 50, 54)
_MOUTH: Colour = (110, 25, 35)
_TROUSERS: tuple[Colour, ...] = ((45, 50, 70), (85, 80, 72), (60, 45, 40))
# Of a held thing, in head widths.
_HELD_SIZE = 0.95


class Figure:
    """A person; measures are multiples of the head's width."""

    def __init__(self, canvas: Canvas, person: PersonSpec) -> None:
        self._canvas, self._person = canvas, person
        self._x, self._chin = person.x * UNITS, person.chin_y * UNITS
        self._s = person.head_width * UNITS
        self._half_width, self._half_height = 0.5 * self._s, 0.64 * self._s
        self._middle = self._chin - self._half_height
        self._skin, self._hair = SKINS[person.skin % len(SKINS)], HAIRS[person.hair % len(HAIRS)]
        self._shadow, self._shirt = shade(self._skin, 0.75), COLOURS[person.shirt]

    def draw(self) -> None:
        self._body()
        if self._person.gesture == "waving":
            self._waving_arm()
        elif self._person.gesture == "pointing":
            self._pointing_arm()
        self._head()
        self._face()
        self._mouth()
        if self._person.holding is not None:
            self._holding_arm(self._person.holding)

    def _body(self) -> None:
        x, chin, s = self._x, self._chin, self._s
        hip = chin + 2.9 * s
        if hip < UNITS:
            trousers = _TROUSERS[self._person.style % len(_TROUSERS)]
            for side in (-1, 1):
                inner, outer = sorted((x + side * 0.06 * s, x + side * 0.78 * s))
                self._canvas.box(inner, hip - 0.4 * s, outer, hip + 3 * s, trousers)
        self._canvas.box(x - 0.17 * s, chin - 0.12 * s, x + 0.17 * s, chin + 0.3 * s, self._shadow)
        self._canvas.box(x - 0.95 * s, chin + 0.16 * s, x + 0.95 * s, hip, self._shirt, 0.35 * s)
        seam: list[Point] = [(x - 0.55 * s, chin + 0.9 * s), (x - 0.55 * s, hip - 0.1 * s)]
        self._canvas.line(seam, shade(self._shirt, 0.8), 2)

    def _waving_arm(self) -> None:
        x, chin, s = self._x, self._chin, self._s
        side = self._person.arm_direction
        swing = math.sin(self._person.wave_phase)
        shoulder = x + side * 0.85 * s
        hand = shoulder + side * s * (0.25 + 0.17 * swing), chin - s * (0.58 - 0.1 * abs(swing))
        arm: list[Point] = [(shoulder, chin + 0.75 * s), (shoulder + side * 0.25 * s, chin + 0.4 * s), hand]
        self._canvas.line(arm, shade(self._shirt, 0.9), 0.34 * s)
        r = 0.25 * s
        self._canvas.ellipse(hand[0] - r, hand[1] - 1.2 * r, hand[0] + r, hand[1] + r, self._skin)
        for finger in (-1.0, -0.3, 0.4, 1.0):
            reach: list[Point] = [
                (hand[0] + 0.6 * finger * r, hand[1] - 0.5 * r),
                (hand[0] + 0.9 * finger * r, hand[1] - 2 * r),
            ]
            self._canvas.line(reach, self._skin, 0.08 * s)

    def _pointing_arm(self) -> None:
        x, chin, s = self._x, self._chin, self._s
        side = self._person.arm_direction
        shoulder, height = x + side * 0.8 * s, chin + 0.48 * s
        wrist = shoulder + side * 1.05 * s, height - 0.08 * s
        self._canvas.line([(shoulder, height), wrist], shade(self._shirt, 0.9), 0.34 * s)
        r = 0.17 * s
        self._canvas.ellipse(wrist[0] - r, wrist[1] - r, wrist[0] + r, wrist[1] + r, self._skin)
        tip = wrist[0] + side * 0.42 * s, wrist[1] - 0.04 * s
        self._canvas.line([wrist, tip], self._skin, 0.1 * s)

    def _holding_arm(self, held: HeldSpec) -> None:
        x, chin, s = self._x, self._chin, self._s
        side = self._person.arm_direction
        if self._person.gesture != "none":
            side = -side
        elbow = x + side * 0.88 * s, chin + 1.25 * s
        hand = x + side * 1.25 * s, chin + 0.95 * s
        self._canvas.line([(x + side * 0.8 * s, chin + 0.5 * s), elbow, hand], shade(self._shirt, 0.9), 0.32 * s)
        foot = hand[1] + 0.08 * s
        thing = ObjectSpec(held.label, held.colour, hand[0] / UNITS, foot / UNITS, _HELD_SIZE * s / UNITS)
        draw_object(self._canvas, thing, random.Random(0))
        r = 0.17 * s
        self._canvas.ellipse(hand[0] - r, hand[1] - 0.6 * r, hand[0] + r, hand[1] + 1.2 * r, self._skin)

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
        wide = 1.35 if self._person.expression == "surprised" else 1.0
        # How far the brows are raised, at their inner and outer ends.
        inner, outer = {"sad": (0.25, 0.13), "surprised": (0.28, 0.28), "angry": (0.09, 0.25)}.get(
            self._person.expression, (0.165, 0.165)
        )
        for side in (-1, 1):
            eye = x + side * 0.42 * self._half_width
            white, pupil = 0.075 * wide * s, 0.05 * s
            self._canvas.ellipse(eye - 0.1 * s, eyes - white, eye + 0.1 * s, eyes + white, (250, 250, 250))
            self._canvas.ellipse(eye - pupil, eyes - 1.2 * pupil, eye + pupil, eyes + 1.2 * pupil, (35, 25, 20))
            ends: list[Point] = [(eye - side * 0.12 * s, eyes - inner * s), (eye + side * 0.12 * s, eyes - outer * s)]
            self._canvas.line(ends, self._hair, 0.045 * s)
        nose: list[Point] = [
            (x, eyes + 0.08 * s),
            (x - 0.05 * s, eyes + 0.24 * s),
            (x + 0.04 * s, eyes + 0.25 * s),
        ]
        self._canvas.line(nose, self._shadow, 0.035 * s)

    def _mouth(self) -> None:
        x, s, half = self._x, self._s, 0.24 * self._s
        y = self._middle + 0.55 * self._half_height
        expression = self._person.expression
        if expression == "smiling":
            self._canvas.pie((x - half, y - 0.2 * s, x + half, y + 0.17 * s), (0, 180), (170, 40, 50))
            self._canvas.box(x - 0.75 * half, y - 0.015 * s, x + 0.75 * half, y + 0.035 * s, (250, 250, 250))
        elif expression == "sad":
            self._canvas.arc((x - half, y - 0.02 * s, x + half, y + 0.28 * s), (195, 345), _LIPS, 0.06 * s)
        elif expression == "surprised":
            self._canvas.ellipse(x - 0.11 * s, y - 0.1 * s, x + 0.11 * s, y + 0.17 * s, _MOUTH)
        elif expression == "angry":
            self._canvas.box(x - 0.8 * half, y - 0.05 * s, x + 0.8 * half, y + 0.09 * s, _MOUTH, 0.03 * s)
            self._canvas.box(x - 0.65 * half, y - 0.02 * s, x + 0.65 * half, y + 0.06 * s, (250, 250, 250))
        else:
            self._canvas.line([(x - 0.8 * half, y), (x + 0.8 * half, y)], _LIPS, 0.06 * s)
