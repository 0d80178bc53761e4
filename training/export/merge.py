"""A base model and an adapter made one, in GGUF's own names, so that it works for every architecture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, LlamaFileType
from gguf.quants import dequantize

from smolfusion_ros.llama.requantise import adapted_by, copy_metadata
from training.errors import TrainingError
from training.export import gguf_files


def merge(base: Path, adapter: Path, target: Path) -> Path:
    """Write ``W + alpha / rank * B @ A`` (Hu et al. 2021) for every adapted tensor, all matrices in F16.

    Raises:
        TrainingError: a file cannot be read or written, or the adapter is of another model.
    """
    reader = gguf_files.opened(base)
    try:
        adapted = adapted_by(adapter, reader)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{adapter} cannot be merged: {error}") from error
    with gguf_files.written(target, gguf_files.architecture(reader)) as writer:
        copy_metadata(reader, writer, LlamaFileType.MOSTLY_F16)
        for tensor in reader.tensors:
            values = dequantize(tensor.data, tensor.tensor_type)
            if tensor.name in adapted:
                values = adapted[tensor.name](values)
            if tensor.tensor_type != GGMLQuantizationType.F32:
                values = values.astype(np.float16)
            writer.add_tensor(tensor.name, np.ascontiguousarray(values))
    return target
