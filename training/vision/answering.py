"""The model's own answers in PyTorch, word for word what llama.cpp's would be."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import SmolVLMForConditionalGeneration

from training.vision.model import normalised, seen, with_views
from training.vision.questions import DESCRIBE
from training.vision.vocabulary import END, Vocabulary

_BATCH = 64


@torch.no_grad()
def answered(
    model: SmolVLMForConditionalGeneration,
    vocabulary: Vocabulary,
    tiles: NDArray[np.uint8],
    question: str = DESCRIBE,
    max_tokens: int = 96,
) -> list[str]:
    """The likeliest words about NxSxSx3 uint8 RGB tiles."""
    model.eval()
    found: list[str] = []
    for start in range(0, len(tiles), _BATCH):
        some = torch.from_numpy(np.ascontiguousarray(tiles[start : start + _BATCH]))
        found += _batch(model, vocabulary, some, question, max_tokens)
    return found


def _batch(
    model: SmolVLMForConditionalGeneration, vocabulary: Vocabulary, tiles: torch.Tensor, question: str, max_tokens: int
) -> list[str]:
    _, tokens = seen(model, normalised(tiles))
    ids = torch.tensor([vocabulary.prompt(question, tokens.shape[1])] * len(tiles))
    embedded = with_views(model, ids, torch.cat([tokens, tokens], 1))
    state = model.model.text_model(inputs_embeds=embedded, use_cache=True)
    answers: list[list[int]] = [[] for _ in tiles]
    open_rows = set(range(len(tiles)))
    for _ in range(max_tokens):
        likeliest = model.lm_head(state.last_hidden_state[:, -1]).argmax(-1)
        for row in list(open_rows):
            token = int(likeliest[row])
            if token == vocabulary.id(END):
                open_rows.discard(row)
            else:
                answers[row].append(token)
        if not open_rows:
            break
        state = model.model.text_model(
            input_ids=likeliest[:, None], past_key_values=state.past_key_values, use_cache=True
        )
    return [vocabulary.text(row) for row in answers]
