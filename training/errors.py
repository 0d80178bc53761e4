"""What can go wrong in training, told to whoever runs it."""

from __future__ import annotations

from pathlib import Path

from smolfusion_ros.errors import SmolFusionError


class TrainingError(SmolFusionError):
    """A step of the pipeline cannot be done; the message tells why and, of a file, where in it."""

    @classmethod
    def at(cls, path: Path, line: int, problem: object) -> TrainingError:
        """An error in a line of a file, counted from 1."""
        return cls(f"{path}:{line}: {problem}")
