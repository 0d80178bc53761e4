"""The history of one session: its bounds, and that the oldest half goes at once."""

import pytest

from smolfusion_ros.dialogue.conversation import Conversation, PastTurn
from smolfusion_ros.errors import ConfigurationError


def turn(number: int, tokens: int = 3) -> PastTurn:
    return PastTurn("", f"heard {number}", "{}", tuple(range(100 * number, 100 * number + tokens)))


def filled(count: int, *, max_turns: int = 100, max_tokens: int = 10_000, tokens: int = 3) -> Conversation:
    conversation = Conversation(max_turns=max_turns, max_tokens=max_tokens)
    for number in range(count):
        conversation.append(turn(number, tokens))
    return conversation


def test_tokens_are_those_of_all_turns_in_order():
    conversation = filled(2, tokens=2)
    assert conversation.token_ids == [0, 1, 100, 101]
    assert conversation.token_count == 4


@pytest.mark.parametrize("count", [0, 1, 8])
def test_within_its_bounds_nothing_goes(count: int):
    conversation = filled(count, max_turns=8, max_tokens=24)
    assert conversation.prune() == 0
    assert len(conversation.turns) == count


@pytest.mark.parametrize("bounds", [{"max_turns": 8}, {"max_tokens": 26}])
def test_oldest_half_goes_at_once_when_a_bound_is_passed(bounds: dict[str, int]):
    conversation = filled(9, **bounds)
    assert conversation.prune() == 4
    assert [past.heard for past in conversation.turns] == [f"heard {number}" for number in range(4, 9)]


def test_after_a_prune_many_turns_fit_before_the_next():
    conversation = filled(9, max_turns=8)
    conversation.prune()
    pruned = []
    for number in range(9, 13):
        conversation.append(turn(number))
        pruned.append(conversation.prune())
    assert pruned == [0, 0, 0, 4]


def test_halves_go_until_the_tokens_fit():
    conversation = filled(8, max_tokens=7)
    assert conversation.prune() == 6
    assert conversation.token_count == 6


def test_turn_that_alone_passes_the_bound_goes_too():
    conversation = filled(1, max_tokens=2)
    assert conversation.prune() == 1
    assert conversation.token_ids == []


def test_nothing_goes_before_it_is_asked_for():
    assert len(filled(9, max_turns=8).turns) == 9


def test_turns_given_out_do_not_change_with_the_conversation():
    conversation = filled(1)
    before = conversation.turns
    conversation.append(turn(1))
    assert len(before) == 1


@pytest.mark.parametrize("bounds", [(1, 100), (0, 100), (2, 0), (-3, 5)])
def test_bounds_that_hold_no_conversation_are_refused(bounds: tuple[int, int]):
    with pytest.raises(ConfigurationError, match=str(bounds[0])):
        Conversation(max_turns=bounds[0], max_tokens=bounds[1])
