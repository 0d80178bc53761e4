"""The model that is taught, with its tokenizer."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import PeftModel, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Vocabulary

from smolfusion_ros.bringup.paths import manifest_path
from smolfusion_ros.llama.manifest import load_manifest
from smolfusion_ros.llama.prepare import prepare
from training.errors import TrainingError
from training.recipe import Base


def load(base: Base) -> tuple[PreTrainedModel, Vocabulary]:
    """The base model, frozen, on the GPU where there is one, and its tokenizer.

    A GGUF is dequantised to float32 (bfloat16 on a GPU); what it needs is fetched first.

    Raises:
        TrainingError: it cannot be had or read.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    if base.four_bit and device.type != "cuda":
        raise TrainingError(f"four_bit for {base.hub} needs a GPU: bitsandbytes computes NF4 there only")
    where, options = _where(base)
    if base.four_bit:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
        )
    try:
        vocabulary = AutoTokenizer.from_pretrained(where, **{k: v for k, v in options.items() if k == "gguf_file"})
        model = AutoModelForCausalLM.from_pretrained(where, dtype=dtype, **options)
    except (OSError, ValueError) as error:
        raise TrainingError(f"the base model {base.manifest or base.hub} cannot be loaded: {error}") from error
    model = prepare_model_for_kbit_training(model) if base.four_bit else model.to(device)  # type: ignore[arg-type]
    model.requires_grad_(False)
    return model, vocabulary


def gguf_file(base: Base) -> Path:
    """The base model as GGUF, which is fetched where need be.

    Raises:
        TrainingError: a hub model without one.
        ModelError: it cannot be had.
    """
    name = base.manifest or base.gguf
    if not name:
        raise TrainingError(f"base.gguf: name the GGUF of {base.hub} that the adapter is to be merged into")
    return prepare(load_manifest(manifest_path()), name).model


def with_saved_adapter(model: PreTrainedModel, directory: Path) -> PeftModel:
    """The model with a trained adapter.

    Raises:
        TrainingError: the directory holds no adapter for it.
    """
    try:
        return PeftModel.from_pretrained(model, str(directory))
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(f"{directory} holds no adapter for this model: {error}") from error


def _where(base: Base) -> tuple[str, dict[str, object]]:
    if base.hub:
        return base.hub, {}
    file = gguf_file(base)
    return str(file.parent), {"gguf_file": file.name}
