"""What a language model's adapter does at a step, and how it is tested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from training.recipe import Schedule
from training.sft.batches import Batch, Batches
from training.sft.loss import branch_loss
from training.trainer import Work

HELD_OUT = "held out"


class Lessons:
    """Batches put to a model with an adapter, one a step.

    Args:
        held_out: batches that it is tested with.
    """

    def __init__(self, model: PeftModel, batches: Batches, held_out: Sequence[Batch]) -> None:
        self._model = model
        self._base = cast(PreTrainedModel, model.get_base_model())
        self._device = next(model.parameters()).device
        self._batches = batches
        self._held_out = held_out
        self._coming: Iterator[Batch] | None = None

    def optimizer(self, schedule: Schedule) -> torch.optim.Optimizer:
        """AdamW for the adapter alone."""
        weights = [weight for weight in self._model.parameters() if weight.requires_grad]
        return torch.optim.AdamW(weights, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)

    def gradients(self, step: int) -> Work:
        """Add the gradients of a step; its amount is the tokens of the branches and of their prefix."""
        if self._coming is None:
            self._coming = self._batches.from_step(step - 1)
        batch = next(self._coming).to(self._device)
        self._model.train()
        loss = branch_loss(self._base, batch)
        loss.backward()
        return Work({"loss": loss.item()}, batch.tokens + len(batch.prefix))

    @torch.no_grad()
    def tested(self) -> dict[str, float]:
        """The mean loss of the held-out batches, nats a token."""
        self._model.eval()
        losses = [branch_loss(self._base, batch.to(self._device)).item() for batch in self._held_out]
        return {HELD_OUT: sum(losses) / len(losses)}
