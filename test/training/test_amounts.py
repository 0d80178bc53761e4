"""Lengths and angles as people say them."""

from random import Random

import pytest

from smolfusion_ros.dialogue.actions import Catalogue
from training.data import amounts


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (7, "seven"),
        (15, "fifteen"),
        (40, "forty"),
        (45, "forty five"),
        (100, "one hundred"),
        (120, "one hundred and twenty"),
        (999, "nine hundred and ninety nine"),
    ],
)
def test_numbers_in_words(number: int, words: str) -> None:
    assert amounts.number_words(number) == words


def test_every_amount_is_one_that_the_robot_can_do(catalogue: Catalogue) -> None:
    random = Random(0)
    seen = set()
    for _ in range(3000):
        for name, made in (("turn", amounts.angle(random)), ("walk", amounts.distance(random))):
            quantity = "angle" if name == "turn" else "distance"
            catalogue.command({"name": name, "arguments": {"direction": "left", quantity: made.as_written()}})
            seen.add((made.unit, made.words))
    assert {unit for unit, _ in seen} == {"m", "cm", "mm", "ft", "in", "deg", "rad", "turn"}
    assert len(seen) > 300


@pytest.mark.parametrize(("text", "value"), [("180 deg", 180), ("0.5 m", 0.5)])
def test_fixed_amounts_are_read(text: str, value: float) -> None:
    amount = amounts.Amount.read(text)
    assert (amount.value, amount.as_written()["unit"]) == (value, text.split()[1])
    assert type(amount.value) is type(value)


@pytest.mark.parametrize("text", ["180", "much m", "1 2 m"])
def test_fixed_amount_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        amounts.Amount.read(text)
