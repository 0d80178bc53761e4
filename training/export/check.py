"""Whether a written file gives the answers that it should: greedy answers to the same prompts, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import llama_cpp
import torch
from peft import PeftModel
from transformers import PreTrainedModel

from training.errors import TrainingError
from training.sft.branches import IGNORED, Branch

CONTEXT_TOKENS = 1024

Answers = list[tuple[int, ...]]


def prompts(branches: Sequence[Branch], number: int, longest: int = 32) -> list[tuple[tuple[int, ...], int]]:
    """The first turn's prompt of each branch, and how many tokens its answer may take."""
    found = []
    for branch in branches[:number]:
        asked = next(index for index, label in enumerate(branch.labels) if label != IGNORED)
        found.append(((*branch.prefix, *branch.ids[:asked]), longest))
    return found


def by_llama_cpp(path: Path, asked: Sequence[tuple[tuple[int, ...], int]], adapter: Path | None = None) -> Answers:
    """Answers by llama.cpp.

    Raises:
        TrainingError: the file cannot be loaded.
    """
    try:
        llama = llama_cpp.Llama(
            str(path), n_ctx=CONTEXT_TOKENS, verbose=False, lora_path=str(adapter) if adapter else None
        )
    except (ValueError, RuntimeError) as error:
        raise TrainingError(f"llama.cpp cannot load {path}: {error}") from error
    answers = []
    try:
        for ids, longest in asked:
            written: list[int] = []
            for token in llama.generate(list(ids), temp=0.0, repeat_penalty=1.0):
                written.append(token)
                if len(written) == longest or token == llama.token_eos():
                    break
            answers.append(tuple(written))
    finally:
        llama.close()
    return answers


def by_torch(model: PreTrainedModel | PeftModel, asked: Sequence[tuple[tuple[int, ...], int]], end: int) -> Answers:
    """Answers by PyTorch; ``end`` is the id that ends an answer."""
    answers = []
    for ids, longest in asked:
        rows = torch.tensor([ids], device=model.device)
        out: torch.Tensor = model.generate(  # type: ignore[operator]  # declared by a mixin
            input_ids=rows,
            attention_mask=torch.ones_like(rows),
            max_new_tokens=longest,
            do_sample=False,
            eos_token_id=end,
            pad_token_id=end,
        )
        answers.append(tuple(out[0, len(ids) :].tolist()))
    return answers


def agreement(first: Answers, second: Answers) -> float:
    """The share of answers that are equal to the last token."""
    return sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
