"""A fresh LoRA adapter on a model."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model

from training.errors import TrainingError
from training.recipe import Lora


def with_adapter(model: Any, lora: Lora, task_type: str | None = None) -> PeftModel:
    """The model with a fresh adapter: its B matrices are zero, so it answers as before.

    Args:
        task_type: peft's name of what the model does, where it is to wrap it accordingly.

    Raises:
        TrainingError: no layer has a name of ``targets``.
    """
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        task_type=task_type,
    )
    try:
        adapted = get_peft_model(model, config)
    except ValueError as error:
        raise TrainingError(f"lora.targets {', '.join(lora.targets)}: {error}") from error
    assert isinstance(adapted, PeftModel)
    return adapted
