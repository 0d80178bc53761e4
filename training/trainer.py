"""The training loop: steps, held-out answers, checkpoints, and a journal of all of it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from training import checkpoint
from training.errors import TrainingError

JOURNAL = "journal.jsonl"


class Schedule(Protocol):
    """What a recipe says of the steps."""

    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def warmup(self) -> float: ...
    @property
    def clip_norm(self) -> float: ...
    @property
    def checkpoint_every(self) -> int: ...
    @property
    def held_out_every(self) -> int: ...


@dataclass(frozen=True)
class Work:
    """What a step found: its losses, which it has weighed, and how much it looked at (tokens, pictures)."""

    losses: dict[str, float]
    amount: int


@dataclass(frozen=True)
class Entry:
    """A line of the journal: losses in nats, ``step_s`` in seconds, and what was found on held-out data."""

    step: int
    losses: dict[str, float]
    amount: int
    learning_rate: float
    step_s: float
    held_out: dict[str, float] = field(default_factory=dict)


class Trainer:
    """Does the steps of a schedule.

    Args:
        gradients: adds the gradients of a step (counted from 1, one after the other) to the weights.
        parts: what a checkpoint holds, by name; the optimisers' and the random numbers' states are added.
        tested: looks at held-out data.
        directory: for checkpoint and journal.
        fingerprint: of recipe and data; a checkpoint of another one is refused.
    """

    def __init__(
        self,
        gradients: Callable[[int], Work],
        optimizers: Sequence[torch.optim.Optimizer],
        parts: Mapping[str, checkpoint.Stateful],
        schedule: Schedule,
        tested: Callable[[], dict[str, float]],
        *,
        directory: Path,
        fingerprint: str,
    ) -> None:
        self._gradients = gradients
        self._optimizers = optimizers
        states = {f"optimizer {index}": each for index, each in enumerate(optimizers)}
        self._parts = {**parts, **states, "random": checkpoint.RandomState()}
        self._schedule = schedule
        self._tested = tested
        self._directory = directory
        self._fingerprint = fingerprint

    def run(self) -> Iterator[Entry]:
        """Do the steps that are still to be done; yields after each.

        Raises:
            TrainingError: a loss is no number, or a checkpoint or the journal cannot be read or written.
        """
        schedule = self._schedule
        done = checkpoint.resume(self._directory, self._parts, self._fingerprint)
        journal = self._directory / JOURNAL
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            _keep(journal, done)
            with journal.open("a", encoding="utf-8") as file:
                for step in range(done + 1, schedule.steps + 1):
                    entry = self._step(step)
                    file.write(json.dumps(asdict(entry)) + "\n")
                    file.flush()
                    if step % schedule.checkpoint_every == 0 or step == schedule.steps:
                        checkpoint.save(self._directory, self._parts, step, self._fingerprint)
                    yield entry
        except OSError as error:
            raise TrainingError(f"{journal} cannot be written: {error}") from error

    def _step(self, step: int) -> Entry:
        begun_s = time.monotonic()
        schedule = self._schedule
        rate = _learning_rate(step, schedule)
        work = self._gradients(step)
        for name, value in work.losses.items():
            if not math.isfinite(value):
                raise TrainingError(f"step {step}: the loss ({name}) is {value}; lower schedule.learning_rate")
        groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
        weights = [weight for group in groups for weight in group["params"]]
        torch.nn.utils.clip_grad_norm_(weights, schedule.clip_norm)
        for group in groups:
            group["lr"] = rate
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step_s = time.monotonic() - begun_s
        tested = self._tested() if step % schedule.held_out_every == 0 or step == schedule.steps else {}
        return Entry(step, work.losses, work.amount, rate, step_s, tested)


def watched(entries: Iterator[Entry], total: int, headline: str) -> Entry | None:
    """Run it to its end behind a progress bar; the last entry, None where nothing was to be done.

    Args:
        headline: what is told of ``Entry.held_out``.
    """
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
            if last.held_out:
                held_out = f", {headline} {last.held_out[headline]:.3f}"
            text = ", ".join(f"{name} {value:.3f}" for name, value in last.losses.items())
            text += f", {last.amount / last.step_s:.0f}/s"
            progress.update(task, completed=last.step, description=f"{text}{held_out}")
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
