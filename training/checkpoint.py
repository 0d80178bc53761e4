"""What a run needs to go on where it stopped: one file, replaced as a whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict

from training.errors import TrainingError
from training.whole import whole

FILE = "checkpoint.pt"


class Stateful(Protocol):
    """A module, an optimiser, or what else a run goes on from."""

    def state_dict(self) -> Any: ...
    def load_state_dict(self, state_dict: Any, /) -> Any: ...


class RandomState:
    """Torch's own random numbers, which dropout draws from."""

    def state_dict(self) -> torch.Tensor:
        return torch.get_rng_state()

    def load_state_dict(self, state_dict: torch.Tensor, /) -> None:
        torch.set_rng_state(state_dict)


class Adapter:
    """An adapter's weights alone."""

    def __init__(self, model: PeftModel) -> None:
        self._model = model

    def state_dict(self) -> Any:
        return get_peft_model_state_dict(self._model)

    def load_state_dict(self, state_dict: Any, /) -> Any:
        return set_peft_model_state_dict(self._model, state_dict)


def save(directory: Path, parts: Mapping[str, Stateful], step: int, fingerprint: str) -> None:
    """Write the checkpoint after ``step`` steps, whole or not at all.

    Raises:
        TrainingError: it cannot be written.
    """
    content = {name: part.state_dict() for name, part in parts.items()}
    with whole(directory / FILE) as partial, partial.open("wb") as file:
        try:
            torch.save({"step": step, "fingerprint": fingerprint, "parts": content}, file)
        except RuntimeError as error:  # what goes wrong in writing, wrapped
            raise OSError(str(error)) from error
        file.flush()
        os.fsync(file.fileno())


def resume(directory: Path, parts: Mapping[str, Stateful], fingerprint: str) -> int:
    """Take up a run's last checkpoint; how many steps were done, 0 where there is none.

    Raises:
        TrainingError: the checkpoint is damaged, or of another recipe.
    """
    path = directory / FILE
    if not path.exists():
        return 0
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if content["fingerprint"] != fingerprint:
            raise TrainingError(f"{path} is of another recipe or other data: remove it, or give another --out")
        for name, part in parts.items():
            part.load_state_dict(content["parts"][name])
        return int(content["step"])
    except TrainingError:
        raise
    except Exception as error:  # whatever unpickling a damaged file brings
        raise TrainingError(f"{path} cannot be read: {error}; remove it to begin anew") from error
