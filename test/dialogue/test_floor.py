"""Who moves the robot: how long a motion keeps the floor, and what gives it back."""

import pytest
from clock import Clock

from smolfusion_ros.dialogue.actions import FINAL_STATES, STATES
from smolfusion_ros.dialogue.floor import Floor
from smolfusion_ros.errors import CommandError, ConfigurationError

LIFETIME_S = 10.0
MAX_S = 60.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def floor(clock: Clock) -> Floor:
    return Floor(clock, MAX_S)


def test_nobody_holds_it_at_first(floor: Floor):
    assert floor.holder is None


def test_session_that_has_it_is_named_to_another(floor: Floor):
    floor.take("kitchen", "1", LIFETIME_S)
    with pytest.raises(CommandError, match="session 'kitchen' is moving the robot"):
        floor.take("hall", "2", LIFETIME_S)
    assert floor.holder == "kitchen"


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_end_of_the_command_gives_it_back(floor: Floor, state: str):
    floor.take("a", "1", LIFETIME_S)
    floor.on_status("1", "running")
    floor.on_status("1", state)
    assert floor.holder is None
    floor.take("b", "2", LIFETIME_S)
    assert floor.holder == "b"


def test_without_a_word_from_the_driver_it_is_back_after_the_lifetime(floor: Floor, clock: Clock):
    floor.take("a", "1", LIFETIME_S)
    clock.now_s += LIFETIME_S - 0.01
    assert floor.holder == "a"
    clock.now_s += 0.02
    assert floor.holder is None


def test_command_that_was_only_accepted_holds_it_no_longer(floor: Floor, clock: Clock):
    floor.take("a", "1", LIFETIME_S)
    floor.on_status("1", "accepted")
    clock.now_s += LIFETIME_S
    assert floor.holder is None


def test_running_command_holds_it_as_long_as_the_driver_says_so(floor: Floor, clock: Clock):
    floor.take("a", "1", LIFETIME_S)
    for _ in range(5):
        floor.on_status("1", "running")
        clock.now_s += MAX_S - 1.0
        assert floor.holder == "a"
    clock.now_s += 1.0
    assert floor.holder is None, "the driver has not said a word for too long"


def test_lifetime_longer_than_the_longest_hold_is_cut_to_it(floor: Floor, clock: Clock):
    floor.take("a", "1", 10 * MAX_S)
    clock.now_s += MAX_S
    assert floor.holder is None


def test_all_motions_of_a_session_must_end(floor: Floor):
    for number in "123":
        floor.take("a", number, LIFETIME_S)
    floor.on_status("1", "succeeded")
    floor.on_status("3", "cancelled")
    assert floor.holder == "a"
    floor.on_status("2", "failed")
    assert floor.holder is None


def test_command_that_starts_late_takes_the_floor_again_if_it_is_free(floor: Floor, clock: Clock):
    floor.take("a", "1", LIFETIME_S)
    clock.now_s += LIFETIME_S + 1.0
    assert floor.holder is None
    floor.on_status("1", "running")
    assert floor.holder == "a"


def test_command_that_starts_late_does_not_take_it_from_another(floor: Floor, clock: Clock):
    floor.take("a", "1", LIFETIME_S)
    clock.now_s += LIFETIME_S + 1.0
    floor.take("b", "2", LIFETIME_S)
    floor.on_status("1", "running")
    assert floor.holder == "b"
    floor.on_status("2", "succeeded")
    floor.on_status("1", "running")
    assert floor.holder is None


@pytest.mark.parametrize("state", STATES)
def test_words_about_other_commands_change_nothing(floor: Floor, state: str):
    floor.take("a", "1", LIFETIME_S)
    floor.on_status("a wave", state)
    assert floor.holder == "a"


def test_freed_floor_is_not_taken_back_by_a_late_report(floor: Floor):
    floor.take("a", "1", LIFETIME_S)
    floor.free()
    floor.on_status("1", "running")
    assert floor.holder is None


def test_commands_that_nobody_reports_on_do_not_pile_up(floor: Floor, clock: Clock):
    for number in range(1000):
        floor.take("a", str(number), LIFETIME_S)
        clock.now_s += 1.0
    assert len(floor._motions) <= MAX_S + 1


@pytest.mark.parametrize("max_s", [0.0, -1.0, float("nan")])
def test_bound_that_is_none_is_refused(clock: Clock, max_s: float):
    with pytest.raises(ConfigurationError, match=str(max_s)):
        Floor(clock, max_s)
