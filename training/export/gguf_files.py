"""GGUF files read and written through the gguf package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gguf import GGUFReader, GGUFValueType, GGUFWriter

from training.errors import TrainingError

# The writer makes these itself.
GENERATED_KEYS = ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture")


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


def copy_metadata(reader: GGUFReader, writer: GGUFWriter, **changed: Any) -> None:
    """All of it but for the keys of ``changed`` (``general_file_type=1``)."""
    for name, field in reader.fields.items():
        if name not in GENERATED_KEYS:
            element = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            content = changed.get(name.replace(".", "_"), field.contents())
            writer.add_key_value(name, content, field.types[0], sub_type=element)


@contextmanager
def written(target: Path, arch: str) -> Iterator[GGUFWriter]:
    """A writer whose file takes its place when the block has ended well, whole or not at all.

    Raises:
        TrainingError: the file cannot be written.
    """
    partial = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        writer = GGUFWriter(partial, arch)
        try:
            yield writer
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()
        partial.replace(target)
    except OSError as error:
        raise TrainingError(f"{target} cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            partial.unlink()
