"""Files that are there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from training.errors import TrainingError


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A path to write to; what was written takes the target's place when the block has ended well.

    Raises:
        TrainingError: it cannot be written.
    """
    partial = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(target)
    except OSError as error:
        raise TrainingError(f"{target} cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            partial.unlink()
