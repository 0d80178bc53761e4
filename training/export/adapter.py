"""A peft adapter as a GGUF that llama.cpp loads beside its base model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGMLQuantizationType, GGUFReader, TensorNameMap, get_tensor_name_map
from gguf.quants import quantize
from safetensors.torch import load_file

from training.errors import TrainingError
from training.export import gguf_files

# Their files hold the rows of q and k in another order than transformers does.
PERMUTED = {"llama": {"attn_q": "head_count", "attn_k": "head_count_kv"}}
_MATRIX = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<kind>[AB])\.weight")
Q8_0_BLOCK = 32


def convert(adapter: Path, base: Path, target: Path) -> Path:
    """Write a peft LoRA adapter for a base model as GGUF.

    Matrices are Q8_0 where their rows are whole blocks of 32, else F16. The format is that of llama.cpp's
    ``convert_lora_to_gguf.py``.

    Args:
        adapter: directory with ``adapter_config.json`` and ``adapter_model.safetensors``.
        base: GGUF of the model it was trained for; its architecture and heads are looked up there.

    Raises:
        TrainingError: a file cannot be read or written, or a layer has no place in the base model.
    """
    config, tensors = _read(adapter)
    reader = gguf_files.opened(base)
    arch = gguf_files.architecture(reader)
    there = {tensor.name for tensor in reader.tensors}
    with gguf_files.written(target, arch) as writer:
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", float(config["lora_alpha"]))
        for name, (module, kind) in sorted(_named(tensors, reader).items()):
            if f"{module}.weight" not in there:
                raise TrainingError(f"{adapter}: {name} is a layer that {base} does not have")
            values = tensors[name].float().numpy()
            if kind == "B":
                values = _permuted(values, module, reader)
            quantised = values.shape[-1] % Q8_0_BLOCK == 0
            data = quantize(values, GGMLQuantizationType.Q8_0) if quantised else values.astype(np.float16)
            raw = GGMLQuantizationType.Q8_0 if quantised else GGMLQuantizationType.F16
            writer.add_tensor(f"{module}.weight.lora_{kind.lower()}", np.ascontiguousarray(data), raw_dtype=raw)
    return target


def tensor_names(reader: GGUFReader) -> TensorNameMap:
    """What transformers' modules are called in a model's GGUF.

    Raises:
        TrainingError: the gguf package does not know the architecture.
    """
    arch = gguf_files.architecture(reader)
    kind = next((key for key, name in MODEL_ARCH_NAMES.items() if name == arch), None)
    if not isinstance(kind, MODEL_ARCH):
        raise TrainingError(f"the gguf package knows no architecture {arch!r}")
    return get_tensor_name_map(kind, gguf_files.layers(reader))


def _read(adapter: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        tensors = load_file(adapter / "adapter_model.safetensors")
    except Exception as error:  # safetensors has no public class of errors
        raise TrainingError(f"{adapter} is no adapter: {error}") from error
    for key in ("use_rslora", "use_dora", "alpha_pattern", "rank_pattern"):
        if config.get(key):
            raise TrainingError(f"{adapter}: {key} has no form in GGUF")
    return config, tensors


def _named(tensors: dict[str, torch.Tensor], reader: GGUFReader) -> dict[str, tuple[str, str]]:
    """Each tensor's module by its GGUF name (``blk.0.attn_q``), and A or B."""
    names, found = tensor_names(reader), {}
    for tensor in tensors:
        match = _MATRIX.fullmatch(tensor)
        module = names.get_name(match["module"]) if match else None
        if match is None or module is None:
            raise TrainingError(f"{tensor} has no name in GGUF for {gguf_files.architecture(reader)}")
        found[tensor] = (module, match["kind"])
    return found


def _permuted(rows: np.ndarray[Any, Any], module: str, reader: GGUFReader) -> np.ndarray[Any, Any]:
    """Rows of B as llama.cpp has those of the weight."""
    arch = gguf_files.architecture(reader)
    counted = PERMUTED.get(arch, {}).get(module.split(".")[-1])
    if counted is None:
        return rows
    heads = int(gguf_files.value(reader, f"{arch}.attention.{counted}"))
    return gguf_files.paired_rows(rows, heads)
