"""The training loop: steps, held-out loss, checkpoints, and a journal of all of it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from peft import PeftModel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import PreTrainedModel

from training.errors import TrainingError
from training.recipe import Schedule
from training.sft import checkpoint
from training.sft.batches import Batch, Batches
from training.sft.loss import branch_loss

JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Entry:
    """A line of the journal: losses in nats a token, ``tokens`` of branches and prefix, ``step_s`` in seconds."""

    step: int
    loss: float
    learning_rate: float
    tokens: int
    step_s: float
    held_out: float | None = None


class Trainer:
    """Teaches an adapter.

    Args:
        directory: for checkpoint and journal.
        fingerprint: of recipe and data; a checkpoint of another one is refused.
    """

    def __init__(
        self,
        model: PeftModel,
        batches: Batches,
        held_out: Sequence[Batch],
        schedule: Schedule,
        *,
        directory: Path,
        fingerprint: str,
    ) -> None:
        self._model = model
        self._batches = batches
        self._held_out = held_out
        self._schedule = schedule
        self._directory = directory
        self._fingerprint = fingerprint
        self._base = cast(PreTrainedModel, model.get_base_model())
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._weights, lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )

    def run(self) -> Iterator[Entry]:
        """Do the steps that are still to be done; yields after each.

        Raises:
            TrainingError: the loss is no number, or a checkpoint cannot be read or written.
        """
        done = checkpoint.resume(self._directory, self._model, self._optimizer, self._fingerprint)
        self._directory.mkdir(parents=True, exist_ok=True)
        journal = self._directory / JOURNAL
        _keep(journal, done)
        device = next(self._model.parameters()).device
        schedule = self._schedule
        with journal.open("a", encoding="utf-8") as file:
            for step, batch in zip(range(done + 1, schedule.steps + 1), self._batches.from_step(done), strict=False):
                entry = self._step(step, batch.to(device))
                file.write(json.dumps(asdict(entry)) + "\n")
                file.flush()
                if step % schedule.checkpoint_every == 0 or step == schedule.steps:
                    checkpoint.save(self._directory, self._model, self._optimizer, step, self._fingerprint)
                yield entry

    def _step(self, step: int, batch: Batch) -> Entry:
        begun_s = time.monotonic()
        rate = _learning_rate(step, self._schedule)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._model.train()
        loss = branch_loss(self._base, batch)
        if not torch.isfinite(loss):
            raise TrainingError(f"step {step}: the loss is {loss.item()}; lower schedule.learning_rate")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights, self._schedule.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        step_s = time.monotonic() - begun_s
        held_out = self._evaluate() if step % self._schedule.held_out_every == 0 else None
        return Entry(step, loss.item(), rate, batch.tokens + len(batch.prefix), step_s, held_out)

    @torch.no_grad()
    def _evaluate(self) -> float:
        self._model.eval()
        device = next(self._model.parameters()).device
        losses = [branch_loss(self._base, batch.to(device)).item() for batch in self._held_out]
        return sum(losses) / len(losses)


def watched(entries: Iterator[Entry], total: int) -> Entry | None:
    """Run it to its end behind a progress bar; the last entry, None where nothing was to be done."""
    last = None
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("training", total=total)
        held_out = ""
        for last in entries:
            if last.held_out is not None:
                held_out = f" held out {last.held_out:.3f}"
            text = f"loss {last.loss:.3f}{held_out}, {last.tokens / last.step_s:.0f} tokens/s"
            progress.update(task, completed=last.step, description=text)
    return last


def _learning_rate(step: int, schedule: Schedule) -> float:
    """Linear warm-up, then half a cosine down to a hundredth."""
    warm = max(1, round(schedule.warmup * schedule.steps))
    if step <= warm:
        return schedule.learning_rate * step / warm
    share = (step - warm) / max(1, schedule.steps - warm)
    return schedule.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def _keep(journal: Path, done: int) -> None:
    """Drop what was written after the checkpoint: those steps are done again."""
    if journal.exists():
        lines = [line for line in journal.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        kept = [line for line in lines if json.loads(line)["step"] <= done]
        journal.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
