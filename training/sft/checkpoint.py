"""What a run needs to go on where it stopped: one file, replaced as a whole."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict

from training.errors import TrainingError

FILE = "checkpoint.pt"


def save(directory: Path, model: PeftModel, optimizer: torch.optim.Optimizer, step: int, fingerprint: str) -> None:
    """Write the checkpoint after ``step`` steps, whole or not at all.

    Raises:
        TrainingError: it cannot be written.
    """
    target = directory / FILE
    partial = target.with_suffix(".part")
    content = {
        "step": step,
        "fingerprint": fingerprint,
        "adapter": get_peft_model_state_dict(model),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except (OSError, RuntimeError) as error:  # torch wraps what goes wrong in writing
        with suppress(OSError):
            partial.unlink()
        raise TrainingError(f"the checkpoint {target} cannot be written: {error}") from error


def resume(directory: Path, model: PeftModel, optimizer: torch.optim.Optimizer, fingerprint: str) -> int:
    """Take up a run's last checkpoint; how many steps were done, 0 where there is none.

    Raises:
        TrainingError: the checkpoint is damaged, or of another recipe or other data.
    """
    path = directory / FILE
    if not path.exists():
        return 0
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if content["fingerprint"] != fingerprint:
            raise TrainingError(f"{path} is of another recipe or other data: remove it, or give another --out")
        set_peft_model_state_dict(model, content["adapter"])
        optimizer.load_state_dict(content["optimizer"])
        torch.set_rng_state(content["random"])
        return int(content["step"])
    except TrainingError:
        raise
    except Exception as error:  # whatever unpickling a damaged file brings
        raise TrainingError(f"{path} cannot be read: {error}; remove it to begin anew") from error
