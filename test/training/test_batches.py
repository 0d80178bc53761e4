"""Batches: every branch once an epoch, within the budget, and the same after a resumption."""

from itertools import islice
from random import Random

import pytest
import torch

from training.errors import TrainingError
from training.sft.batches import Batch, Batches
from training.sft.branches import IGNORED, Branch

PADDING = 0


def branch(number: int, length: int, prefix: tuple[int, ...] = (7, 8)) -> Branch:
    ids = tuple(1 + number for _ in range(length))
    return Branch(prefix, ids, (IGNORED, *ids[1:]))


@pytest.fixture
def branches() -> list[Branch]:
    random = Random(1)
    return [branch(number, random.randint(3, 60), (7, 8) if number % 3 else (9,)) for number in range(300)]


def same(first: Batch, second: Batch) -> bool:
    return torch.equal(first.ids, second.ids) and torch.equal(first.prefix, second.prefix)


def test_every_branch_comes_once_in_an_epoch(branches: list[Branch]):
    batches = Batches(branches, batch_tokens=256, padding=PADDING, seed=0)
    seen = [int(row[0]) - 1 for batch in batches.first(1000) for row in batch.ids]
    assert sorted(seen) == list(range(300))


def test_batches_keep_to_the_budget_with_little_padding(branches: list[Branch]):
    batches = Batches(branches, batch_tokens=256, padding=PADDING, seed=0).first(1000)
    assert all(batch.ids.numel() <= 256 for batch in batches)
    assert sum(batch.tokens for batch in batches) > 0.8 * sum(batch.ids.numel() for batch in batches)


def test_branches_of_different_prefixes_are_not_mixed(branches: list[Branch]):
    for batch in Batches(branches, batch_tokens=256, padding=PADDING, seed=0).first(1000):
        wanted = [9] if (int(batch.ids[0, 0]) - 1) % 3 == 0 else [7, 8]
        assert batch.prefix.tolist() == wanted
        assert all(((int(row[0]) - 1) % 3 == 0) == (wanted == [9]) for row in batch.ids)


def test_padding_is_not_learned(branches: list[Branch]):
    for batch in Batches(branches, batch_tokens=256, padding=PADDING, seed=0).first(1000):
        assert bool((batch.labels[batch.ids == PADDING] == IGNORED).all())


def test_a_later_step_sees_what_it_would_have_seen(branches: list[Branch]):
    batches = Batches(branches, batch_tokens=256, padding=PADDING, seed=3)
    straight = list(islice(batches.from_step(0), 120))  # more than an epoch
    assert all(same(*pair) for pair in zip(straight[77:], batches.from_step(77), strict=False))
    assert not all(
        same(*pair)
        for pair in zip(straight, Batches(branches, batch_tokens=256, padding=0, seed=4).from_step(0), strict=False)
    )


def test_branch_longer_than_the_budget_is_alone():
    batches = Batches([branch(0, 300), branch(1, 5)], batch_tokens=256, padding=PADDING, seed=0)
    assert sorted(len(batch.ids) for batch in batches.first(10)) == [1, 1]


def test_nothing_to_train_with_is_said():
    with pytest.raises(TrainingError, match="nothing to train with"):
        Batches([], batch_tokens=256, padding=PADDING, seed=0)
