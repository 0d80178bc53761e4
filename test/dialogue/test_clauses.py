"""Clauses come out as soon as they are whole, and nothing is lost or said twice."""

import pytest

from smolfusion_ros.dialogue.clauses import Clauses


def clauses(text: str, size: int = 1) -> list[str]:
    splitter = Clauses()
    found = [splitter.feed(text[at : at + size]) for at in range(0, len(text), size)]
    return [clause for clause in (*found, splitter.rest()) if clause]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello there! Nice to meet you.", ["Hello there!", "Nice to meet you."]),
        ("Waving.", ["Waving."]),
        ("I see a person on the left, a cup and a ball.", ["I see a person on the left,", "a cup and a ball."]),
        ("Yes, I see two people.", ["Yes, I see two people."]),
        ("It is 3.5 metres at 14:30, give or take.", ["It is 3.5 metres at 14:30,", "give or take."]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("Wait... what?", ["Wait...", "what?"]),
        ("안녕하세요. 만나서 반갑습니다.", ["안녕하세요.", "만나서 반갑습니다."]),
        ("no end in sight", ["no end in sight"]),
        ("", []),
    ],
)
def test_text_is_cut_into_clauses(text: str, expected: list[str]) -> None:
    assert clauses(text) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_nothing_is_lost_or_said_twice_however_the_text_comes(size: int) -> None:
    text = "One, two, three: here I come. Ready or not! It is 3.5 m; that is far, very far."
    assert " ".join(clauses(text, size)) == text


def test_a_clause_is_given_out_as_soon_as_it_is_known_to_be_whole() -> None:
    splitter = Clauses()
    assert splitter.feed("I am fine.") == ""  # a digit may follow
    assert splitter.feed(" And") == "I am fine."
    assert splitter.rest() == "And"
