"""Keeps an engaged emergency stop beyond the end of the process that heard it."""

from __future__ import annotations

import os
from pathlib import Path


class StopMark:
    """A file that is there while the emergency stop is engaged.

    Args:
        path: of the file; its directory is made when it is needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def is_set(self) -> bool:
        """Whether the stop was engaged and not released; also where that cannot be told."""
        try:
            self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    def write(self, engaged: bool) -> None:
        """Make or remove the file; it is so on the disk afterwards, whatever happens to the power.

        Raises:
            OSError: it cannot be done.
        """
        changed = {self.path.parent}
        if engaged:
            changed |= {each.parent for each in self.path.parents if not each.exists()}
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8"):
                pass
        elif self.is_set():
            self.path.unlink()
        else:
            return
        for each in changed:
            directory = os.open(each, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
