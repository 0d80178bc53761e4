"""The evaluated constant part of the prompt in a file, which a server that starts again reads instead of evaluating it.

It holds no word of a conversation. Server and client share a directory. A file is renamed while it is read: llama.cpp
ends the process where one is cut off (power failed while it was written), and must not do so at every start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

# Personas and models that are gone back to; 25 MB each for the small model, 125 MB for Qwen3-1.7B.
KEPT = 3


def slot_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """``smolfusion_ros/slots`` under XDG_CACHE_HOME, by default under ``~/.cache``."""
    base = environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base) / "smolfusion_ros" / "slots"


def made_directory(served: str) -> Path | None:
    """The directory, made if it was not there; None where it cannot be.

    Args:
        served: what will be served, by which program; states of anything else are removed, as a model that reads
            another's state talks nonsense.
    """
    directory = slot_directory()
    note = directory / "served"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not note.exists() or note.read_text(encoding="utf-8") != served:
            for path in directory.iterdir():
                path.unlink()
            note.write_text(served, encoding="utf-8")
    except OSError:
        return None
    return directory


def take(name: str) -> str | None:
    """The name under which a saved state may be read now; None where there is none."""
    path = slot_directory() / name
    try:
        path.replace(path.with_suffix(".taken"))
    except OSError:
        return None
    return f"{path.stem}.taken"


def keep(name: str, written_as: str) -> None:
    """A state that was written, or read, in full is there for the next time; the newest few are kept."""
    directory = slot_directory()
    with suppress(OSError):  # the server is another machine's
        (directory / written_as).replace(directory / name)
        newest_first = sorted(directory.glob("*.slot"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in newest_first[KEPT:]:
            path.unlink()
