"""Lengths and angles as people say them in English, and as the model writes them: as they were said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")

_Units = Mapping[str, Sequence[tuple[str, str]]]

# Each unit's names, singular and plural.
_LENGTHS: _Units = {
    "m": (("metre", "metres"), ("meter", "meters"), ("m", "m")),
    "cm": (("centimetre", "centimetres"), ("centimeter", "centimeters"), ("cm", "cm")),
    "mm": (("millimetre", "millimetres"), ("millimeter", "millimeters")),
    "ft": (("foot", "feet"),),
    "in": (("inch", "inches"),),
}
_ANGLES: _Units = {"deg": (("degree", "degrees"),), "rad": (("radian", "radians"),), "turn": (("turn", "turns"),)}


@dataclass(frozen=True)
class Amount:
    """A number of units, as it was said.

    Attributes:
        value: whole numbers as int.
        unit: one of ``actions.UNITS``.
        words: the spoken form.
    """

    value: int | float
    unit: str
    words: str = ""

    def as_written(self) -> dict[str, Any]:
        return {"value": self.value, "unit": self.unit}

    @classmethod
    def read(cls, text: str) -> Amount:
        """From a family's fixed value, ``180 deg``.

        Raises:
            ValueError: it has another form.
        """
        number, unit = text.split()
        return cls(int(number) if number.isdigit() else float(number), unit)


def distance(random: Random) -> Amount:
    """A distance of 0.1 to 3 m."""
    kind = random.random()
    if kind < 0.12:
        return _half(random, "m", ("metre", "meter"))
    if kind < 0.24:
        return _with_fraction(random, random.choice((1, 2)), "m", _LENGTHS)
    if kind < 0.56:
        return _whole(random, random.choice((1, 2, 3)), "m", _LENGTHS)
    if kind < 0.80:
        return _whole(random, random.choice((*range(10, 105, 5), 12, 18, 33, 75, 120, 150, 200, 250)), "cm", _LENGTHS)
    if kind < 0.84:
        return _whole(random, random.choice((100, 150, 200, 300, 400, 500, 750, 900)), "mm", _LENGTHS)
    if kind < 0.93:
        return _whole(random, random.randint(1, 9), "ft", _LENGTHS)
    return _whole(random, random.choice((4, 5, 6, 8, 10, 12, 15, 18, 20, 24, 30, 36)), "in", _LENGTHS)


def angle(random: Random) -> Amount:
    """An angle of 5 to 180 degrees."""
    kind = random.random()
    if kind < 0.62:
        return _whole(random, random.choice((90, 45, 30, 60, 180, *range(5, 185, 5))), "deg", _ANGLES)
    if kind < 0.74:
        return _whole(random, random.randint(5, 180), "deg", _ANGLES)
    if kind < 0.82:
        return Amount(0.25, "turn", random.choice(("a quarter turn", "a quarter of a turn", "one quarter turn")))
    if kind < 0.90:
        return Amount(0.5, "turn", random.choice(("half a turn", "a half turn", "one half turn")))
    if kind < 0.93:
        return _half(random, "rad", ("radian",))
    if kind < 0.96:
        return _with_fraction(random, random.choice((1, 2)), "rad", _ANGLES)
    return _whole(random, random.choice((1, 2, 3)), "rad", _ANGLES)


def number_words(number: int) -> str:
    """0 to 999 in words: ``forty five``, ``one hundred and twenty``."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        ones = f" {_ONES[number % 10]}" if number % 10 else ""
        return f"{_TENS[number // 10 - 2]}{ones}"
    rest = f" and {number_words(number % 100)}" if number % 100 else ""
    return f"{_ONES[number // 100]} hundred{rest}"


def _whole(random: Random, number: int, unit: str, units: _Units) -> Amount:
    singular, plural = random.choice(units[unit])
    name = singular if number == 1 else plural
    if name in ("m", "cm"):
        return Amount(number, unit, random.choice((f"{number} {name}", f"{number}{name}")))
    words = number_words(number)
    if number == 1 and unit != "deg" and random.random() < 0.4:
        words = "an" if name[0] in "aeiou" else "a"
    return Amount(number, unit, f"{random.choice((words, str(number)))} {name}")


def _with_fraction(random: Random, number: int, unit: str, units: _Units) -> Amount:
    """So many and a half."""
    singular, plural = random.choice(units[unit])
    words = f"{number}.5 {plural}"
    if plural not in ("m", "cm"):
        in_words = number_words(number)
        ways = [f"{in_words} and a half {plural}", f"{in_words} point five {plural}", words]
        if number == 1:
            ways.append(f"a {singular} and a half")
        words = random.choice(ways)
    return Amount(number + 0.5, unit, words)


def _half(random: Random, unit: str, names: tuple[str, ...]) -> Amount:
    name = random.choice(names)
    ways = (f"half a {name}", f"a half {name}", f"0.5 {name}s", f"zero point five {name}s")
    return Amount(0.5, unit, random.choice(ways))
