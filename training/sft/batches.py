"""Which branches a step sees: a pure function of the seed and the step, so that a resumed run goes on unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch.nn.utils.rnn import pad_sequence

from training.errors import TrainingError
from training.sft.branches import IGNORED, Branch

# Branches are sorted by length within this many batches: little padding, and still a mixed order.
POOL_BATCHES = 32


@dataclass(frozen=True)
class Batch:
    """Branches of one prefix.

    Attributes:
        prefix: P int64.
        ids, labels: BxT int64, padded on the right.
        tokens: of branches, without the padding.
    """

    prefix: torch.Tensor
    ids: torch.Tensor
    labels: torch.Tensor
    tokens: int

    def to(self, device: torch.device) -> Batch:
        return Batch(self.prefix.to(device), self.ids.to(device), self.labels.to(device), self.tokens)


class Batches:
    """All branches, in batches of about equal size, epoch after epoch.

    Args:
        batch_tokens: of one batch, with padding.
        padding: id that fills up; it is never looked at.

    Raises:
        TrainingError: there are no branches.
    """

    def __init__(self, branches: Sequence[Branch], *, batch_tokens: int, padding: int, seed: int) -> None:
        if not branches:
            raise TrainingError("there is nothing to train with: no conversation fits")
        self._batch_tokens = batch_tokens
        self._padding = padding
        self._seed = seed
        self._groups: dict[tuple[int, ...], list[Branch]] = {}
        for branch in branches:
            self._groups.setdefault(branch.prefix, []).append(branch)

    def from_step(self, step: int) -> Iterator[Batch]:
        """The batches of the steps from ``step`` on, without end."""
        epoch = 0
        while True:
            for packed in self._epoch(epoch):
                if step:
                    step -= 1
                else:
                    yield self._padded(packed)
            epoch += 1

    def first(self, number: int) -> list[Batch]:
        """At most ``number`` batches of the first epoch."""
        return [self._padded(packed) for packed in self._epoch(0)[:number]]

    def _epoch(self, epoch: int) -> list[list[Branch]]:
        random = Random(f"{self._seed} {epoch}")
        batches = [batch for group in self._groups.values() for batch in self._packed(group, random)]
        random.shuffle(batches)
        return batches

    def _packed(self, group: Sequence[Branch], random: Random) -> Iterator[list[Branch]]:
        order = random.sample(group, len(group))
        mean = sum(len(branch.ids) for branch in order) / len(order)
        pool = max(1, int(POOL_BATCHES * self._batch_tokens / mean))
        for start in range(0, len(order), pool):
            batch: list[Branch] = []
            for branch in sorted(order[start : start + pool], key=lambda each: len(each.ids)):
                if batch and (len(batch) + 1) * len(branch.ids) > self._batch_tokens:
                    yield batch
                    batch = []
                batch.append(branch)
            yield batch

    def _padded(self, batch: Sequence[Branch]) -> Batch:
        def rows(values: Iterable[Sequence[int]], filler: int) -> torch.Tensor:
            return pad_sequence([torch.tensor(row) for row in values], batch_first=True, padding_value=filler)

        return Batch(
            torch.tensor(batch[0].prefix),
            rows((branch.ids for branch in batch), self._padding),
            rows((branch.labels for branch in batch), IGNORED),
            sum(len(branch.ids) for branch in batch),
        )
