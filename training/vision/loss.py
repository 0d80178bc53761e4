"""What is to be made small: the answer's cross entropy, and beside it those of the attributes and of the patches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import SmolVLMForConditionalGeneration

from smolfusion_ros.vision.specs import COLOURS
from training.vision.batches import Batch
from training.vision.labels import CLASSES, IGNORED, PATCH_KINDS
from training.vision.model import seen, with_views
from training.vision.recipe import Text, Tower

# Background and bodies are most of a picture, and soon learned.
_COMMON = (0.1, 0.3)


class Heads(nn.Module):
    """Readers of the tower's patches and of the connector's tokens; they are there for training alone."""

    def __init__(self, tower: Tower, text: Text) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(tower.tokens * text.width)
        self.attributes = nn.Linear(tower.tokens * text.width, sum(CLASSES))
        self.kinds = nn.Linear(tower.width, PATCH_KINDS)
        self.colours = nn.Linear(tower.width, len(COLOURS))
        self.weights = nn.Buffer(torch.ones(PATCH_KINDS), persistent=False)
        self.weights[: len(_COMMON)] = torch.tensor(_COMMON)


@dataclass(frozen=True)
class Losses:
    """Means, in nats: a token of the answer, an attribute, a patch."""

    answer: torch.Tensor
    attributes: torch.Tensor
    patches: torch.Tensor


def losses(model: SmolVLMForConditionalGeneration, heads: Heads, batch: Batch) -> Losses:
    """The losses of a batch."""
    patches, tokens = seen(model, batch.pixels)
    # llama.cpp shows the picture twice, as a tile and as the overview, which are the same pixels.
    embedded = with_views(model, batch.ids, torch.cat([tokens, tokens], 1))
    hidden = model.model.text_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
    targets = batch.labels[:, 1:]
    told = targets != IGNORED
    answer = cross_entropy(model.lm_head(hidden[:, :-1][told]), targets[told])
    kinds = cross_entropy(heads.kinds(patches).flatten(0, 1), batch.kinds.flatten(), weight=heads.weights)
    return Losses(answer, _attributes(heads, tokens, batch), kinds + _colours(heads, patches, batch))


def _attributes(heads: Heads, tokens: torch.Tensor, batch: Batch) -> torch.Tensor:
    logits = heads.attributes(heads.norm(tokens.flatten(1))).split(CLASSES, 1)
    total = sum(
        cross_entropy(each, batch.attributes[:, index], ignore_index=IGNORED, reduction="sum")
        for index, each in enumerate(logits)
    )
    return torch.as_tensor(total) / (batch.attributes != IGNORED).sum()


def _colours(heads: Heads, patches: torch.Tensor, batch: Batch) -> torch.Tensor:
    coloured = batch.colours != IGNORED
    if not coloured.any():
        return patches.sum() * 0.0
    return cross_entropy(heads.colours(patches[coloured]), batch.colours[coloured])
