"""What became of commands: what is kept, what is told, and that nothing grows without end."""

import pytest

from smolfusion_ros.dialogue.actions import FINAL_STATES, STATES
from smolfusion_ros.dialogue.outcomes import MAX_NEWS, News, Outcomes


@pytest.fixture
def outcomes() -> Outcomes:
    held = Outcomes(max_sessions=3, max_commands=4)
    held.issued("s", "1", "walk")
    held.issued("s", "2", "wave")
    return held


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_end_of_a_command_is_news(outcomes: Outcomes, state: str):
    assert outcomes.on_status("1", state, "obstacle ahead")
    assert outcomes.news("s") == (News("walk", state, "obstacle ahead"),)


@pytest.mark.parametrize("state", sorted(set(STATES) - FINAL_STATES))
def test_command_that_is_on_its_way_is_no_news(outcomes: Outcomes, state: str):
    assert outcomes.on_status("1", state, "at it")
    assert outcomes.news("s") == ()


def test_command_without_a_status_is_no_news(outcomes: Outcomes):
    assert outcomes.news("s") == ()
    assert outcomes.news("never seen") == ()


def test_command_that_is_not_known_is_told_apart(outcomes: Outcomes):
    assert not outcomes.on_status("3", "failed", "what?")
    assert not outcomes.on_status("", "failed")
    assert outcomes.news("s") == ()


@pytest.mark.parametrize("late", STATES)
def test_first_end_counts(outcomes: Outcomes, late: str):
    outcomes.on_status("1", "failed", "fell")
    assert outcomes.on_status("1", late, "later")
    assert outcomes.news("s") == (News("walk", "failed", "fell"),)
    outcomes.told("s", outcomes.news("s"))
    assert outcomes.on_status("1", late, "later")
    assert outcomes.news("s") == ()


def test_news_come_in_the_order_in_which_commands_ended(outcomes: Outcomes):
    outcomes.on_status("2", "succeeded")
    outcomes.on_status("1", "running")
    outcomes.on_status("1", "failed")
    assert [each.action for each in outcomes.news("s")] == ["wave", "walk"]


def test_news_are_told_once_and_those_that_came_meanwhile_the_next_time(outcomes: Outcomes):
    outcomes.on_status("1", "failed")
    first = outcomes.news("s")
    assert outcomes.news("s") == first
    outcomes.on_status("2", "succeeded")
    outcomes.told("s", first)
    assert outcomes.news("s") == (News("wave", "succeeded"),)


def test_news_that_look_alike_are_not_taken_for_told(outcomes: Outcomes):
    outcomes.issued("s", "3", "walk")
    outcomes.on_status("1", "failed")
    first = outcomes.news("s")
    outcomes.on_status("3", "failed")
    outcomes.told("s", first)
    assert outcomes.news("s") == (News("walk", "failed"),)


def test_only_the_newest_news_are_kept():
    held = Outcomes(max_sessions=1)
    for number in range(MAX_NEWS + 2):
        held.issued("s", str(number), f"act{number}")
        held.on_status(str(number), "succeeded")
    assert [each.action for each in held.news("s")] == [f"act{number}" for number in range(2, MAX_NEWS + 2)]


def test_news_that_were_dropped_meanwhile_take_no_others_with_them():
    held = Outcomes(max_sessions=1)
    for number in range(MAX_NEWS):
        held.issued("s", str(number), "old")
        held.on_status(str(number), "succeeded")
    told = held.news("s")
    held.issued("s", "new", "new")
    held.on_status("new", "failed")
    held.told("s", told)
    assert held.news("s") == (News("new", "failed"),)


def test_sessions_hear_only_of_their_own_commands(outcomes: Outcomes):
    outcomes.issued("t", "3", "bow")
    outcomes.on_status("3", "rejected")
    assert outcomes.news("s") == ()
    assert outcomes.news("t") == (News("bow", "rejected"),)


def test_oldest_commands_of_a_session_go(outcomes: Outcomes):
    for number in range(3, 6):
        outcomes.issued("s", str(number), "nod")
    assert not outcomes.on_status("1", "failed")
    assert all(outcomes.on_status(str(number), "accepted") for number in range(2, 6))


def test_session_whose_last_command_is_the_oldest_goes(outcomes: Outcomes):
    for number, session in enumerate(["t", "u", "s", "v"], start=3):
        outcomes.issued(session, str(number), "nod")
    assert not outcomes.on_status("3", "failed")
    assert all(outcomes.on_status(number, "failed") for number in "12456")


def test_forgotten_session_has_no_news_and_no_commands(outcomes: Outcomes):
    outcomes.on_status("1", "failed")
    told = outcomes.news("s")
    outcomes.forget("s")
    outcomes.forget("never seen")
    assert outcomes.news("s") == ()
    assert not outcomes.on_status("2", "failed")
    outcomes.told("s", told)


def test_a_drivers_long_words_are_not_kept_whole(outcomes: Outcomes):
    outcomes.on_status("1", "failed", "x" * 1_000_000)
    assert len(outcomes.news("s")[0].detail) <= 1000
