"""How strongly each column of a weight is used: what an importance matrix tells llama.cpp's quantisation.

The measure is that of llama.cpp's ``llama-imatrix``: the mean square of what enters a matrix, column by column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader
from transformers import PreTrainedModel

from training.export.adapter import tensor_names
from training.sft.batches import Batch


def importance(model: PreTrainedModel, batches: Sequence[Batch], reader: GGUFReader) -> dict[str, np.ndarray[Any, Any]]:
    """Mean squares (float32, one a column) by the weight's name in GGUF.

    Args:
        model: merged, without an adapter.
        batches: text of the kind that it will read and write.
        reader: of the same model; its tensors' names are looked up there.
    """
    names = tensor_names(reader)
    sums: dict[str, torch.Tensor] = {}
    counts: dict[str, int] = {}
    hooks = []
    for module_name, module in model.named_modules():
        name = names.get_name(module_name)
        if isinstance(module, torch.nn.Linear) and name is not None:
            hooks.append(module.register_forward_pre_hook(_adding(f"{name}.weight", sums, counts)))
    try:
        with torch.no_grad():
            for batch in batches:
                rows = torch.cat([batch.prefix.expand(len(batch.ids), -1), batch.ids], dim=1)
                model(input_ids=rows, use_cache=False, logits_to_keep=1)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: (total / counts[name]).float().numpy() for name, total in sums.items()}


def _adding(name: str, sums: dict[str, torch.Tensor], counts: dict[str, int]) -> Any:
    def hook(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        rows = inputs[0].detach().reshape(-1, inputs[0].shape[-1]).double()
        sums[name] = sums.get(name, torch.zeros(rows.shape[-1], dtype=torch.double)) + (rows**2).sum(0).cpu()
        counts[name] = counts.get(name, 0) + len(rows)

    return hook
