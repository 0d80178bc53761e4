"""One training from drawn scenes to a saved model, resumed where an earlier one stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.progress import track
from torch import nn

from smolfusion_ros.vision.captions import parse_caption
from smolfusion_ros.vision.truth import truth
from training.errors import TrainingError
from training.export.vision import export
from training.trainer import Trainer, Work, watched
from training.vision.answering import answered
from training.vision.batches import Batches
from training.vision.cache import Pictures, drawing_version
from training.vision.loss import Heads, losses
from training.vision.model import built
from training.vision.muon import Muon
from training.vision.pictures import scene
from training.vision.recipe import Schedule, VisionRecipe
from training.vision.scores import Scores
from training.vision.vocabulary import Vocabulary

MODEL = "model"
# What tests of a seed are drawn from; nothing is trained on it.
_HELD_OUT_SEED = 1_000_003


def train(recipe: VisionRecipe, out: Path) -> tuple[Path, Path]:
    """Train the model that the recipe describes; the two files that llama.cpp serves.

    Args:
        out: directory for drawn scenes, checkpoint, journal, the model in transformers' format (``model``) and the
            files for llama.cpp.

    Raises:
        TrainingError: a checkpoint or a drawn scene cannot be read, or something cannot be written.
    """
    torch.manual_seed(recipe.seed)
    side = recipe.tower.picture
    pictures = Pictures(out, seed=recipe.seed, count=recipe.scenes.train, side=side)
    unseen = Pictures(out, seed=recipe.seed + _HELD_OUT_SEED, count=recipe.scenes.test, side=side)
    _drawn(unseen.draw(processes=1), recipe.scenes.test, "drawing scenes to test with")
    _drawn(pictures.draw(), recipe.scenes.train, "drawing scenes to train with")
    vocabulary = Vocabulary.learned(recipe.text.merges, recipe.seed)
    model = built(recipe.tower, recipe.text, vocabulary)

    def tested() -> dict[str, float]:
        numbers = range(min(recipe.schedule.held_out, recipe.scenes.test))
        scores = Scores()
        for index, text in enumerate(answered(model, vocabulary, unseen.tiles(numbers))):
            scores.add(parse_caption(text), truth(scene(recipe.seed + _HELD_OUT_SEED, index)))
        return scores.shares()

    heads = Heads(recipe.tower, recipe.text)
    batches = Batches(recipe, pictures, vocabulary)

    def gradients(step: int) -> Work:
        model.train()
        found = losses(model, heads, batches.of_step(step))
        schedule = recipe.schedule
        (found.answer + schedule.attributes * found.attributes + schedule.patches * found.patches).backward()
        told = {name: getattr(found, name).item() for name in ("answer", "attributes", "patches")}
        return Work(told, schedule.batch)

    trainer = Trainer(
        gradients,
        _optimizers(model, heads, recipe.schedule),
        {"model": model, "heads": heads},
        recipe.schedule,
        tested,
        directory=out,
        fingerprint=hashlib.sha256(f"{drawing_version()} {recipe.model_dump_json()}".encode()).hexdigest(),
    )
    watched(trainer.run(), recipe.schedule.steps, "whole scene")
    target = out / MODEL
    try:
        model.save_pretrained(target)
        vocabulary.save(target)
    except (OSError, RuntimeError) as error:
        raise TrainingError(f"the model {target} cannot be written: {error}") from error
    return export(model, vocabulary, out, recipe.name)


def _optimizers(model: nn.Module, heads: nn.Module, schedule: Schedule) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for matrices; AdamW for vectors, embeddings, the patches' filters and the heads."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, weight in model.named_parameters():
        (matrices if weight.ndim == 2 and "embed" not in name else others).append(weight)
    others += heads.parameters()
    rate = schedule.learning_rate
    return Muon(matrices, lr=rate, weight_decay=schedule.weight_decay), torch.optim.AdamW(
        others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0
    )


def _drawn(counts: Iterator[int], total: int, text: str) -> None:
    for _ in track(_each(counts), description=text, total=total):
        pass


def _each(counts: Iterator[int]) -> Iterator[int]:
    """Every number up to the last count: a progress bar moves by one."""
    before = 0
    for count in counts:
        yield from range(before, count)
        before = count
