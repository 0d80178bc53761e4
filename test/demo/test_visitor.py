"""The scripted visitor keeps to the script, and to good manners."""

import pytest
from clock import Clock

from smolfusion_ros.demo.visitor import VISIT, Line, Visitor, spoken_during, waving

LINES = (Line("wave back", waving, patience_s=10.0), Line("thank you"), Line("stop!", interrupts=True))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spoken() -> list[str]:
    return []


@pytest.fixture
def visitor(clock: Clock, spoken: list[str]) -> Visitor:
    return Visitor(LINES, spoken.append, clock)


def test_a_line_waits_for_its_cue(visitor: Visitor, spoken: list[str]) -> None:
    visitor.on_scene("person left")
    assert spoken == []
    visitor.on_scene("person left waving")
    assert spoken == ["wave back"]


def test_a_line_comes_anyway_when_patience_ends(visitor: Visitor, spoken: list[str], clock: Clock) -> None:
    clock.now_s += 10.5
    visitor.on_scene("nobody")
    assert spoken == ["wave back"]


def test_the_next_line_waits_for_the_answer_but_an_interruption_does_not(visitor: Visitor, spoken: list[str]) -> None:
    visitor.on_scene("waving")
    visitor.on_scene("waving")
    assert spoken == ["wave back"]
    visitor.on_answer()
    visitor.on_scene("waving")
    visitor.on_scene("waving")
    assert spoken == ["wave back", "thank you", "stop!"]


def test_the_visit_is_done_when_every_line_is_answered(visitor: Visitor) -> None:
    visitor.on_scene("waving")
    visitor.on_answer()
    visitor.on_scene("waving")
    visitor.on_scene("waving")
    assert not visitor.done
    visitor.on_answer()
    assert not visitor.done
    visitor.on_answer()
    assert visitor.done


def test_the_visit_ends_with_a_reflex() -> None:
    assert VISIT[-1].interrupts and VISIT[-1].text == "stop!"


def test_without_a_robot_the_visitor_takes_the_time_of_an_answer() -> None:
    said = spoken_during(LINES, lambda time_s: "waving" if time_s >= 4.0 else "person", 30.0, answer_s=3.0)
    assert said == [(5.0, "wave back"), (8.0, "thank you"), (9.0, "stop!")]


def test_without_a_robot_nothing_is_said_after_the_end() -> None:
    assert spoken_during(LINES, lambda _: "waving", 4.5) == [(0.0, "wave back"), (3.0, "thank you"), (4.0, "stop!")]
    assert spoken_during(LINES, lambda _: "waving", 3.5) == [(0.0, "wave back"), (3.0, "thank you")]
