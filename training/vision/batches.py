"""What a step sees: a pure function of the seed and the step, so that a resumed run goes on unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from smolfusion_ros.vision.specs import SceneSpec
from training.vision.cache import Pictures
from training.vision.labels import IGNORED, attributes, patches
from training.vision.model import normalised
from training.vision.order import indices
from training.vision.pictures import scene
from training.vision.questions import asked
from training.vision.recipe import VisionRecipe
from training.vision.scenes import mirrored
from training.vision.vocabulary import PAD, Vocabulary

# Pixels by which a batch is moved at most, and how much brighter or darker a picture is made.
_SHIFT = 4
_CONTRAST, _BRIGHTNESS = 0.12, 0.08


@dataclass(frozen=True)
class Batch:
    """Pictures and what is true of them.

    Attributes:
        pixels: Bx3xSxS float32.
        ids, labels: BxL int64, padded on the right; ``IGNORED`` where the answer does not stand.
        attributes: BxA int64, of ``labels.CLASSES``.
        kinds, colours: BxP int64 of the patches.
    """

    pixels: torch.Tensor
    ids: torch.Tensor
    labels: torch.Tensor
    attributes: torch.Tensor
    kinds: torch.Tensor
    colours: torch.Tensor


class Batches:
    """Scenes in a new order each epoch, at random as they are or mirrored."""

    def __init__(self, recipe: VisionRecipe, pictures: Pictures, vocabulary: Vocabulary) -> None:
        self._recipe = recipe
        self._pictures = pictures
        self._vocabulary = vocabulary

    def of_step(self, step: int) -> Batch:
        """The batch of a step, counted from 1."""
        recipe = self._recipe
        random = Random(f"batch {recipe.seed} {step}")
        numbers = indices(recipe.seed, recipe.scenes.train, step, recipe.schedule.batch)
        flips = [random.random() < 0.5 for _ in numbers]
        tiles = self._pictures.tiles(numbers)
        tiles[flips] = tiles[flips][:, :, ::-1]
        specs = [scene(recipe.seed, index) for index in numbers]
        told = [mirrored(spec) if flip else spec for spec, flip in zip(specs, flips, strict=True)]
        pixels = normalised(torch.from_numpy(tiles))
        shift = random.randint(-_SHIFT, _SHIFT), random.randint(-_SHIFT, _SHIFT)
        gain = torch.tensor([random.uniform(1 - _CONTRAST, 1 + _CONTRAST) for _ in numbers])
        offset = torch.tensor([random.uniform(-_BRIGHTNESS, _BRIGHTNESS) for _ in numbers])
        pixels = torch.roll(pixels, shift, (2, 3)) * gain[:, None, None, None] + offset[:, None, None, None]
        return self._assembled(pixels, told, random)

    def _assembled(self, pixels: torch.Tensor, specs: Sequence[SceneSpec], random: Random) -> Batch:
        tower = self._recipe.tower
        rows, labels = [], []
        for spec in specs:
            question, text = asked(spec, random, self._recipe.schedule.captions)
            prompt, answer = self._vocabulary.prompt(question, tower.tokens), self._vocabulary.answer(text)
            rows.append(torch.tensor([*prompt, *answer]))
            labels.append(torch.tensor([*[IGNORED] * len(prompt), *answer]))
        maps = [patches(spec, tower.patches) for spec in specs]
        return Batch(
            pixels=pixels,
            ids=pad_sequence(rows, batch_first=True, padding_value=self._vocabulary.id(PAD)),
            labels=pad_sequence(labels, batch_first=True, padding_value=IGNORED),
            attributes=torch.tensor([attributes(spec) for spec in specs]),
            kinds=torch.from_numpy(np.stack([kinds.reshape(-1) for kinds, _ in maps])),
            colours=torch.from_numpy(np.stack([colours.reshape(-1) for _, colours in maps])),
        )
