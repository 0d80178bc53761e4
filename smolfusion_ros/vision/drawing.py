"""How rooms and things are drawn, in units of a 256th of the picture.

llama.cpp squeezes any picture into the tiny SmolVLM's square tile, so everything is laid out in a square and
stretched to the picture.
"""

import math
import random
from dataclasses import dataclass

from smolfusion_ros.vision.canvas import UNITS, Canvas, mix, shade
from smolfusion_ros.vision.specs import COLOURS, Colour, ObjectSpec

_PAPER: Colour = (240, 235, 220)
_SCREEN: Colour = (196, 224, 232)
_METAL: Colour = (70, 68, 72)


def draw_room(canvas: Canvas, dice: random.Random) -> None:
    wall = (dice.randint(150, 225), dice.randint(150, 225), dice.randint(150, 225))
    floor = (dice.randint(80, 170), dice.randint(80, 170), dice.randint(80, 170))
    horizon = UNITS * dice.uniform(0.6, 0.75)
    canvas.box(0, 0, UNITS, horizon, wall)
    canvas.box(0, horizon, UNITS, UNITS, floor)
    for _ in range(dice.randint(1, 3)):
        x, y = dice.uniform(0, 200), dice.uniform(0, horizon - 90)
        tint = mix(wall, (dice.randint(0, 255), dice.randint(0, 255), dice.randint(0, 255)), 0.25)
        canvas.box(x, y, x + dice.uniform(20, 90), y + dice.uniform(20, 80), tint)
    for _ in range(2):
        y = dice.uniform(horizon + 4, UNITS)
        canvas.line([(0, y), (UNITS, y + dice.uniform(-12, 12))], shade(floor, 0.85), 2)


def draw_object(canvas: Canvas, thing: ObjectSpec, dice: random.Random) -> None:
    """Draw a thing with its foot at (x, y); its size is its height or so."""
    colour = COLOURS[thing.colour]
    model = _Model(canvas, thing.x * UNITS, thing.y * UNITS, thing.size * UNITS, colour, dice)
    getattr(model, thing.label)()


@dataclass(frozen=True)
class _Model:
    """A thing to be drawn; a method for each label."""

    canvas: Canvas
    x: float
    y: float
    s: float
    colour: Colour
    dice: random.Random

    @property
    def dark(self) -> Colour:
        return shade(self.colour, 0.62)

    @property
    def light(self) -> Colour:
        return shade(self.colour, 1.25, 12)

    def cup(self) -> None:
        x, y, s = self.x, self.y, self.s
        half, tall = 0.275 * s, 0.6 * s
        handle = (x + half - 0.12 * s, y - 0.8 * tall, x + half + 0.22 * s, y - 0.2 * tall)
        self.canvas.arc(handle, (0, 360), self.dark, 0.07 * s)
        corners = [(x - half, y - tall), (x + half, y - tall), (x + 0.8 * half, y), (x - 0.8 * half, y)]
        self.canvas.polygon(corners, self.colour)
        self.canvas.ellipse(x - half, y - tall - 0.07 * s, x + half, y - tall + 0.07 * s, self.dark)

    def bottle(self) -> None:
        x, y, s = self.x, self.y, self.s
        half = 0.17 * s
        self.canvas.box(x - half, y - 0.75 * s, x + half, y, self.colour, 0.06 * s)
        self.canvas.box(x - 0.4 * half, y - 1.1 * s, x + 0.4 * half, y - 0.7 * s, self.colour)
        self.canvas.box(x - 0.48 * half, y - 1.18 * s, x + 0.48 * half, y - 1.06 * s, self.dark)
        self.canvas.box(x - half, y - 0.5 * s, x + half, y - 0.25 * s, self.light)

    def ball(self) -> None:
        x, y, s = self.x, self.y, self.s
        r = 0.36 * s
        self.canvas.ellipse(x - r, y - 2 * r, x + r, y, self.colour)
        self.canvas.ellipse(x - 0.5 * r, y - 1.7 * r, x - 0.05 * r, y - 1.25 * r, self.light)
        self.canvas.arc((x - r, y - 2 * r, x + r, y), (20, 130), self.dark, 0.05 * s)

    def book(self) -> None:
        x, y, s = self.x, self.y, self.s
        half, tall = 0.31 * s, 0.85 * s
        self.canvas.box(x - half, y - tall, x + half, y, self.colour)
        self.canvas.box(x - half, y - tall, x - 0.72 * half, y, self.dark)
        self.canvas.box(x + 0.84 * half, y - 0.97 * tall, x + half, y - 0.03 * tall, _PAPER)
        self.canvas.box(x - 0.36 * half, y - 0.8 * tall, x + 0.6 * half, y - 0.66 * tall, self.light)

    def box(self) -> None:
        x, y, s = self.x, self.y, self.s
        half, tall, depth = 0.4 * s, 0.55 * s, 0.2 * s
        back = y - tall - depth
        lid = [(x - half, y - tall), (x - half + depth, back), (x + half + depth, back), (x + half, y - tall)]
        side = [(x + half, y - tall), (x + half + depth, back), (x + half + depth, y - depth), (x + half, y)]
        self.canvas.polygon(lid, self.light)
        self.canvas.polygon(side, self.dark)
        self.canvas.box(x - half, y - tall, x + half, y, self.colour)
        self.canvas.box(x - 0.12 * half, y - tall, x + 0.12 * half, y, self.dark)

    def plant(self) -> None:
        x, y, s = self.x, self.y, self.s
        half, rim = 0.21 * s, y - 0.38 * s
        pot = [(x - half, rim), (x + half, rim), (x + 0.68 * half, y), (x - 0.68 * half, y)]
        self.canvas.polygon(pot, self.colour)
        for leaf in range(7):
            angle = math.radians(23 * leaf - 160 + self.dice.uniform(-8, 8))
            length = s * self.dice.uniform(0.5, 0.75)
            tip = x + 0.7 * length * math.cos(angle), rim + length * math.sin(angle)
            self.canvas.line([(x, rim + 0.02 * s), tip], (45, 130, 50), 0.09 * s)
            r = 0.08 * s
            self.canvas.ellipse(tip[0] - r, tip[1] - r, tip[0] + r, tip[1] + r, (60, 150, 60))

    def lamp(self) -> None:
        x, y, s = self.x, self.y, self.s
        rim, top = y - 0.62 * s, y - 1.15 * s
        self.canvas.box(x - 0.035 * s, rim, x + 0.035 * s, y - 0.03 * s, _METAL)
        self.canvas.ellipse(x - 0.2 * s, y - 0.1 * s, x + 0.2 * s, y, _METAL)
        shape = [(x - 0.18 * s, top), (x + 0.18 * s, top), (x + 0.38 * s, rim), (x - 0.38 * s, rim)]
        self.canvas.polygon(shape, self.colour)
        self.canvas.line([(x - 0.38 * s, rim), (x + 0.38 * s, rim)], self.dark, 0.05 * s)

    def chair(self) -> None:
        x, y, s = self.x, self.y, self.s
        half, seat = 0.3 * s, y - 0.45 * s
        for leg in (-0.9, -0.5, 0.5, 0.9):
            foot = y if abs(leg) > 0.6 else y - 0.08 * s
            self.canvas.line([(x + leg * half, seat), (x + leg * half, foot)], self.dark, 0.06 * s)
        self.canvas.box(x - 0.85 * half, y - 1.1 * s, x + 0.85 * half, seat - 0.16 * s, self.colour, 0.06 * s)
        for post in (-0.6, 0.6):
            self.canvas.line([(x + post * half, seat), (x + post * half, seat - 0.2 * s)], self.dark, 0.06 * s)
        self.canvas.box(x - 1.1 * half, seat - 0.04 * s, x + 1.1 * half, seat + 0.08 * s, self.light, 0.03 * s)

    def phone(self) -> None:
        x, y, s = self.x, self.y, self.s
        half, tall = 0.23 * s, 0.9 * s
        self.canvas.box(x - half, y - tall, x + half, y, self.colour, 0.08 * s)
        self.canvas.box(x - 0.72 * half, y - 0.9 * tall, x + 0.72 * half, y - 0.42 * tall, _SCREEN)
        for row in (0.32, 0.2, 0.08):
            for column in (-0.5, 0.0, 0.5):
                key = x + column * half, y - row * tall
                r = 0.035 * s
                self.canvas.ellipse(key[0] - r, key[1] - r, key[0] + r, key[1] + r, self.dark)
