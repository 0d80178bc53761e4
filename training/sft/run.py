"""One fine-tuning from data to a saved adapter, resumed where an earlier one stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from training.checkpoint import Adapter
from training.data import files
from training.errors import TrainingError
from training.lora import with_adapter
from training.prompt import robot_prompt
from training.recipe import Recipe
from training.sft import base
from training.sft.batches import Batches
from training.sft.branches import Branch, Tokenizer
from training.sft.lessons import HELD_OUT, Lessons
from training.trainer import Trainer, watched

ADAPTER = "adapter"


def fine_tune(recipe: Recipe, data: Path, out: Path) -> Path:
    """Train the adapter that the recipe describes; the directory it was saved in, in peft's format.

    Args:
        data: directory of ``train.jsonl`` and ``test.jsonl``.
        out: directory for the checkpoint, the journal and the adapter.

    Raises:
        TrainingError: data, base model or a checkpoint cannot be read, or something cannot be written.
    """
    torch.manual_seed(recipe.seed)
    model, vocabulary = base.load(recipe.base)
    schedule = recipe.schedule
    branches = read_branches(recipe, vocabulary, [data / "train.jsonl", *recipe.data.extra])
    held_out = as_batches(recipe, vocabulary, read_branches(recipe, vocabulary, [data / "test.jsonl"]))
    peft = with_adapter(model, recipe.lora, "CAUSAL_LM")
    lessons = Lessons(peft, as_batches(recipe, vocabulary, branches), held_out.first(schedule.held_out_batches))
    trainer = Trainer(
        lessons.gradients,
        [lessons.optimizer(schedule)],
        {"adapter": Adapter(peft)},
        schedule,
        lessons.tested,
        directory=out,
        fingerprint=_fingerprint(recipe, branches),
    )
    watched(trainer.run(), schedule.steps, HELD_OUT)
    target = out / ADAPTER
    try:
        peft.save_pretrained(str(target))
    except (OSError, RuntimeError) as error:
        raise TrainingError(f"the adapter {target} cannot be written: {error}") from error
    return target


def read_branches(recipe: Recipe, vocabulary: PreTrainedTokenizerBase, paths: Sequence[Path]) -> list[Branch]:
    """The conversations of some files as ids.

    Raises:
        TrainingError: a file cannot be read, or a line is wrong.
    """
    prompt = robot_prompt(recipe.base.chat_format)
    tokenizer = Tokenizer(vocabulary, prompt, longest=recipe.schedule.longest_tokens)
    found = (tokenizer.branch(each) for path in paths for each in files.read(path, prompt.catalogue))
    return [branch for branch in found if branch is not None]


def as_batches(recipe: Recipe, vocabulary: PreTrainedTokenizerBase, branches: Sequence[Branch]) -> Batches:
    padding = vocabulary.pad_token_id or 0
    return Batches(branches, batch_tokens=recipe.schedule.batch_tokens, padding=padding, seed=recipe.seed)


def _fingerprint(recipe: Recipe, branches: Sequence[Branch]) -> str:
    """What must be the same for a checkpoint to be gone on with."""
    digest = hashlib.sha256(recipe.model_dump_json().encode())
    for branch in branches:
        digest.update(repr((branch.prefix, branch.ids, branch.labels)).encode())
    return digest.hexdigest()
