"""GGUF files read and written through the gguf package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, GGUFWriter

from training.errors import TrainingError
from training.whole import whole

Matrix = np.ndarray[Any, Any]


def opened(path: Path) -> GGUFReader:
    """A GGUF for reading; TrainingError where it is none."""
    try:
        return GGUFReader(path)
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise TrainingError(f"{path} cannot be read as GGUF: {error}") from error


def value(reader: GGUFReader, key: str) -> Any:
    """A metadata value; TrainingError where there is none."""
    field = reader.fields.get(key)
    if field is None:
        raise TrainingError(f"{reader.data.filename} has no {key}")
    return field.contents()


def architecture(reader: GGUFReader) -> str:
    return str(value(reader, "general.architecture"))


def layers(reader: GGUFReader) -> int:
    return int(value(reader, f"{architecture(reader)}.block_count"))


def paired_rows(rows: Matrix, heads: int) -> Matrix:
    """Rows of a q or k projection as llama.cpp has them: pairs of the rotary embedding side by side."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


@contextmanager
def written(target: Path, arch: str) -> Iterator[GGUFWriter]:
    """A writer whose file takes its place when the block has ended well, whole or not at all.

    Raises:
        TrainingError: the file cannot be written.
    """
    with whole(target) as partial:
        writer = GGUFWriter(partial, arch)
        try:
            yield writer
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()
