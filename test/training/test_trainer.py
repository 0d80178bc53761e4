"""The loop: it learns, and a run that was cut off ends with the very weights of one that was not."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model_state_dict
from toy_language_model import toy_model

from training import checkpoint
from training.errors import TrainingError
from training.lora import with_adapter
from training.recipe import Lora, Schedule
from training.sft.batches import Batches
from training.sft.branches import IGNORED, Branch
from training.sft.lessons import HELD_OUT, Lessons
from training.trainer import Entry, Trainer

SCHEDULE = Schedule(
    steps=12, batch_tokens=64, learning_rate=0.02, checkpoint_every=4, held_out_every=6, held_out_batches=1
)


def branches() -> list[Branch]:
    """Whatever comes, the answer counts on from it."""
    found = []
    for start in range(3, 203):
        ids = tuple(range(start, start + 8))
        found.append(Branch((1, 2), ids, (IGNORED, IGNORED, *ids[2:])))
    return found


def trainer(directory: Path, schedule: Schedule = SCHEDULE, fingerprint: str = "toy") -> tuple[PeftModel, Trainer]:
    torch.manual_seed(5)
    model = with_adapter(toy_model(), Lora(rank=4, alpha=8, dropout=0.1), "CAUSAL_LM")
    batches = Batches(branches(), batch_tokens=64, padding=0, seed=1)
    lessons = Lessons(model, batches, batches.first(1))
    return model, Trainer(
        lessons.gradients,
        [lessons.optimizer(schedule)],
        {"adapter": checkpoint.Adapter(model)},
        schedule,
        lessons.tested,
        directory=directory,
        fingerprint=fingerprint,
    )


def weights(model: PeftModel) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in get_peft_model_state_dict(model).items()}


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def journal(directory: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (directory / "journal.jsonl").read_text().splitlines()]


def run(directory: Path) -> tuple[PeftModel, list[Entry]]:
    model, training = trainer(directory)
    return model, list(training.run())


def test_it_learns_and_measures_what_it_was_not_shown(tmp_path: Path):
    longer = Schedule(**{**SCHEDULE.model_dump(), "steps": 60})
    _, training = trainer(tmp_path, longer)
    entries = list(training.run())
    assert entries[-1].losses["loss"] < 0.8 * entries[0].losses["loss"]
    tested = {entry.step: entry.held_out[HELD_OUT] for entry in entries if entry.held_out}
    assert list(tested) == list(range(6, 61, 6))
    assert tested[60] < tested[6]
    assert max(entry.learning_rate for entry in entries) == pytest.approx(0.02)
    assert entries[-1].learning_rate < 0.001


@pytest.mark.parametrize("cut_after", [4, 7])
def test_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path, cut_after: int):
    whole, _ = run(tmp_path / "whole")
    _, training = trainer(tmp_path / "cut")
    steps: Iterator[Entry] = training.run()
    assert [entry.step for entry in islice(steps, cut_after)][-1] == cut_after
    del steps, training
    resumed, entries = run(tmp_path / "cut")
    assert entries[0].step == 5  # at most one interval of checkpoints is done again
    assert equal(weights(resumed), weights(whole))
    assert journal(tmp_path / "cut") == list(range(1, 13))


def test_killed_run_is_taken_up(tmp_path: Path):
    script = (
        "import sys; sys.path[:0] = ['test/support', 'test/training']; import test_trainer, pathlib\n"
        f"for entry in test_trainer.trainer(pathlib.Path({str(tmp_path)!r}))[1].run(): print(entry.step, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 6:
                process.send_signal(signal.SIGKILL)
                break
    _, entries = run(tmp_path)
    assert entries[0].step in (5, 9)
    assert entries[-1].step == 12
    assert journal(tmp_path) == list(range(1, 13))


def test_finished_run_has_nothing_left_to_do(tmp_path: Path):
    first, _ = run(tmp_path)
    again, entries = run(tmp_path)
    assert entries == []
    assert equal(weights(again), weights(first))


def test_checkpoint_of_another_recipe_is_refused(tmp_path: Path):
    run(tmp_path)
    _, training = trainer(tmp_path, fingerprint="another")
    with pytest.raises(TrainingError, match="of another recipe or other data"):
        next(training.run())


def test_damaged_checkpoint_is_said(tmp_path: Path):
    run(tmp_path)
    path = tmp_path / checkpoint.FILE
    path.write_bytes(path.read_bytes()[:1000])
    _, training = trainer(tmp_path)
    with pytest.raises(TrainingError, match=r"checkpoint\.pt cannot be read: .*; remove it to begin anew"):
        next(training.run())


def test_loss_that_is_no_number_ends_the_run(tmp_path: Path):
    model, training = trainer(tmp_path)
    with torch.no_grad():
        model.get_base_model().model.norm.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"step 1: the loss \(loss\) is nan; lower schedule\.learning_rate"):
        next(training.run())


def test_full_disk_is_said_and_the_last_checkpoint_stays(tmp_path: Path):
    _, training = trainer(tmp_path)
    list(islice(training.run(), 5))
    before = (tmp_path / checkpoint.FILE).read_bytes()
    script = (
        "import sys; sys.path[:0] = ['test/support', 'test/training']; import test_trainer, pathlib\n"
        f"for entry in test_trainer.trainer(pathlib.Path({str(tmp_path)!r}))[1].run(): print(entry.step, flush=True)"
    )

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    result = subprocess.run(
        [sys.executable, "-c", script], preexec_fn=small_files, capture_output=True, text=True, env={**os.environ}
    )
    assert "checkpoint.pt cannot be written" in result.stderr
    assert (tmp_path / checkpoint.FILE).read_bytes() == before
    assert not list(tmp_path.glob("*.part"))
