"""What a language model is made from and how: one YAML file of ``configs/`` for each model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.errors import TrainingError

Document = TypeVar("Document", bound="Part")
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Part(BaseModel):
    """A mapping of a recipe: no unknown keys, no values of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Base(Part):
    """The model that is taught: ``manifest`` names a GGUF of models/manifest.yaml, ``hub`` a transformers model.

    gguf: the same hub model as GGUF, a name of the manifest or a path: what the trained adapter is merged into.
    four_bit: hold its weights in NF4 (QLoRA, Dettmers et al. 2023); needs a GPU and bitsandbytes.
    """

    manifest: str = ""
    hub: str = ""
    gguf: str = ""
    chat_format: Literal["chatml", "chatml-no-think"] = "chatml"
    four_bit: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Base:
        if bool(self.manifest) == bool(self.hub):
            raise ValueError("give either manifest or hub")
        if self.gguf and self.manifest:
            raise ValueError("gguf is for hub models; a manifest model is one")
        if self.four_bit and self.manifest:
            raise ValueError("four_bit needs a hub model")
        return self


class Data(Part):
    """What it is taught: conversations made from the action catalogue, and anybody's JSON Lines beside them."""

    language: str = "en"
    train: Annotated[int, Field(ge=0)] = 20000
    test: Positive = 1000
    extra: tuple[Annotated[Path, Field(strict=False)], ...] = Field(default=(), strict=False)


class Lora(Part):
    """Low-rank adaptation (Hu et al. 2021): the adapter's rank, its scale alpha / rank, and the layers it is on."""

    rank: Positive = 16
    alpha: Positive = 32
    dropout: Share = 0.0
    targets: tuple[str, ...] = Field(
        default=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), strict=False
    )


class Schedule(Part):
    """How it is taught.

    batch_tokens: of the branches of one step, padding counted. longest_tokens: a longer branch loses its last turns.
    learning_rate: at its highest, after ``warmup`` (share of the steps); from there it falls as a cosine.
    """

    steps: Positive
    batch_tokens: Positive = 1536
    longest_tokens: Positive = 512
    learning_rate: Annotated[float, Field(gt=0.0, lt=1.0)] = 1e-3
    warmup: Share = 0.04
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    clip_norm: Annotated[float, Field(gt=0.0)] = 1.0
    checkpoint_every: Positive = 50
    held_out_every: Positive = 50
    held_out_batches: Positive = 4


class Recipe(Part):
    """One language model's file of ``configs/``.

    checked_prompts: how many are answered by PyTorch and by every file, to be compared. importance_batches: of training
    data, that the importance of weights is measured with.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    description: str = ""
    base: Base
    data: Data = Data()
    lora: Lora = Lora()
    schedule: Schedule
    seed: int = 0
    checked_prompts: Positive = 20
    importance_batches: Positive = 16
    quantise: tuple[str, ...] = Field(default=("Q8_0", "Q5_K_M", "Q4_K_M", "Q4_0"), strict=False)


def load(path: Path, kind: type[Document]) -> Document:
    """Read a recipe.

    Raises:
        TrainingError: the file cannot be read, a key is unknown or missing, or a value is not possible.
    """
    try:
        return kind.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'recipe'}: {each['msg']}" for each in error.errors())
        raise TrainingError(f"{path}: {problems}") from error
