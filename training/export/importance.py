"""How strongly each column of a weight is used: what an importance matrix tells llama.cpp's quantisation.

The measure is that of llama.cpp's ``llama-imatrix``: the mean square of what enters a matrix, column by column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gguf import TensorNameMap
from transformers import PreTrainedModel

from training.sft.batches import Batch
from training.sft.branches import IGNORED


def importance(
    model: PreTrainedModel, batches: Sequence[Batch], names: TensorNameMap
) -> dict[str, np.ndarray[Any, Any]]:
    """Mean squares (float32, one a column) by the weight's name in GGUF.

    Args:
        model: merged, without an adapter.
        batches: text of the kind that it will read and write; padding does not count.
        names: of its architecture.
    """
    squares = _Squares()
    hooks = []
    for module_name, module in model.named_modules():
        name = names.get_name(module_name)
        if isinstance(module, torch.nn.Linear) and name is not None:
            hooks.append(module.register_forward_pre_hook(squares.adding(f"{name}.weight")))
    try:
        with torch.no_grad():
            for batch in batches:
                rows = torch.cat([batch.prefix.expand(len(batch.ids), -1), batch.ids], dim=1)
                squares.kept = _text(batch).flatten()
                model(input_ids=rows, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return squares.means()


class _Squares:
    """Sums over the positions that are ``kept``."""

    def __init__(self) -> None:
        self.kept = torch.empty(0, dtype=torch.bool)
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = {}

    def adding(self, name: str) -> Any:
        def hook(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            rows = inputs[0].detach().reshape(-1, inputs[0].shape[-1])[self.kept.to(inputs[0].device)]
            self._sums[name] = (
                self._sums.get(name, torch.zeros(rows.shape[-1], dtype=torch.double))
                + (rows.double() ** 2).sum(0).cpu()
            )
            self._counts[name] = self._counts.get(name, 0) + len(rows)

        return hook

    def means(self) -> dict[str, np.ndarray[Any, Any]]:
        return {name: (total / self._counts[name]).float().numpy() for name, total in self._sums.items()}


def _text(batch: Batch) -> torch.Tensor:
    """BxT of prefix and branches: where no padding stands. A branch ends with its last answer."""
    places = torch.arange(batch.ids.shape[1])
    ends = torch.where(batch.labels != IGNORED, places, -1).amax(1, keepdim=True)
    prefix = torch.ones(len(batch.ids), len(batch.prefix), dtype=torch.bool)
    return torch.cat([prefix, places <= ends], dim=1)
