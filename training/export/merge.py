"""A base model and an adapter made one, in GGUF's own names, so that it works for every architecture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, LlamaFileType
from gguf.quants import dequantize

from training.errors import TrainingError
from training.export import gguf_files


def merge(base: Path, adapter: Path, target: Path) -> Path:
    """Write ``W + alpha / rank * B @ A`` (Hu et al. 2021) for every adapted tensor, all matrices in F16.

    Raises:
        TrainingError: a file cannot be read or written, or the adapter is of another model.
    """
    reader, lora = gguf_files.opened(base), gguf_files.opened(adapter)
    if gguf_files.architecture(reader) != gguf_files.architecture(lora):
        raise TrainingError(f"{adapter} is for another architecture than {base}")
    alpha = float(gguf_files.value(lora, "adapter.lora.alpha"))
    matrices = {tensor.name: dequantize(tensor.data, tensor.tensor_type) for tensor in lora.tensors}
    strangers = {name.rpartition(".")[0] for name in matrices} - {tensor.name for tensor in reader.tensors}
    if strangers:
        raise TrainingError(f"{adapter} adapts {', '.join(sorted(strangers)[:3])}, which {base} does not have")
    with gguf_files.written(target, gguf_files.architecture(reader)) as writer:
        gguf_files.copy_metadata(reader, writer, general_file_type=int(LlamaFileType.MOSTLY_F16))
        for tensor in reader.tensors:
            values = dequantize(tensor.data, tensor.tensor_type)
            low_rank = matrices.get(f"{tensor.name}.lora_a")
            if low_rank is not None:
                values = values + alpha / len(low_rank) * matrices[f"{tensor.name}.lora_b"] @ low_rank
            if tensor.tensor_type != GGMLQuantizationType.F32:
                values = values.astype(np.float16)
            writer.add_tensor(tensor.name, np.ascontiguousarray(values))
    return target
