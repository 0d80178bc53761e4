"""Phrasings: optional parts, alternatives, slots."""

from random import Random

import pytest

from training.data.templates import Template


def texts(source: str, number: int = 400) -> set[str]:
    random, template = Random(0), Template.parse(source)
    return {template.expand(random, str.upper) for _ in range(number)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("sit down", {"sit down"}),
        ("[please] sit down", {"please sit down", "sit down"}),
        ("(sit|go) down", {"sit down", "go down"}),
        ("turn {direction}[, please]", {"turn DIRECTION, please", "turn DIRECTION"}),
        ("[(oh|ah),] {a} and {a}", {"oh, A and A", "ah, A and A", "A and A"}),
        ("(a|b [c|d])", {"a", "b", "b c", "b d"}),
    ],
)
def test_every_variant_comes_and_no_other(source: str, expected: set[str]) -> None:
    assert texts(source) == expected


def test_slot_that_stands_twice_is_filled_once() -> None:
    asked: list[str] = []

    def fill(name: str) -> str:
        asked.append(name)
        return str(len(asked))

    assert Template.parse("{a} {b} {a}").expand(Random(0), fill) == "1 2 1"
    assert Template.parse("{b} [{a}|{b}]").slots == ("b", "a")


@pytest.mark.parametrize("source", ["[a", "a]", "(a|b", "a|b", "{a", "(a]", "}", "{two words}"])
def test_phrasing_that_is_not_well_formed_is_an_error(source: str) -> None:
    with pytest.raises(ValueError):
        Template.parse(source)
