"""What a vision-language model is made from and how: one YAML file of ``configs/`` for each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from training.recipe import Lora, Part, Positive, Share

Weight = Annotated[float, Field(ge=0.0)]


class Tower(Part):
    """The vision tower, a SigLIP: ``picture`` and ``patch`` in pixels a side, ``shuffle`` patches a side to a token."""

    picture: Positive = 192
    patch: Positive = 12
    shuffle: Positive = 4
    width: Positive = 128
    layers: Positive = 4
    heads: Positive = 4
    hidden: Positive = 384

    @model_validator(mode="after")
    def _fits(self) -> Tower:
        if self.picture % (self.patch * self.shuffle):
            raise ValueError(
                f"a picture of {self.picture} is no multiple of patch {self.patch} x shuffle {self.shuffle}"
            )
        if self.width % (4 * self.heads):
            raise ValueError(f"width {self.width} is no multiple of four times {self.heads} heads")
        return self

    @property
    def patches(self) -> int:
        """Patches a side."""
        return self.picture // self.patch

    @property
    def tokens(self) -> int:
        """Tokens of one view."""
        return (self.patches // self.shuffle) ** 2


class Text(Part):
    """The language model, a Llama, and how many merges its byte-pair encoding has."""

    width: Positive = 160
    layers: Positive = 3
    heads: Positive = 5
    hidden: Positive = 416
    context: Positive = 1024
    merges: Positive = 400

    @model_validator(mode="after")
    def _fits(self) -> Text:
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} is no multiple of twice {self.heads} heads")
        return self


class Scenes(Part):
    """How many scenes are drawn to train with and to test with; of the first every mirrored one is used, too."""

    train: Positive = 40000
    test: Positive = 400


class Schedule(Part):
    """How a model is taught.

    batch: pictures a step. learning_rate: at its highest, after ``warmup`` (share of the steps); from there it falls
    as a cosine. weight_decay: of matrices. held_out: pictures that are looked at every ``held_out_every`` steps.
    """

    steps: Positive
    batch: Positive
    learning_rate: Annotated[float, Field(gt=0.0, lt=1.0)]
    warmup: Share = 0.03
    weight_decay: Weight = 0.02
    clip_norm: Annotated[float, Field(gt=0.0)] = 1.0
    checkpoint_every: Positive = 100
    held_out_every: Positive = 500
    held_out: Positive = 128


class TinySchedule(Schedule):
    """What a model from scratch is taught.

    captions: share of the pictures that are described, the others are asked about. attributes, patches: weights of
    the losses beside the language model's.
    """

    captions: Share = 0.8
    attributes: Weight = 1.0
    patches: Weight = 1.0


class VisionRecipe(Part):
    """One tiny SmolVLM's file of ``configs/``."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    description: str = ""
    tower: Tower = Tower()
    text: Text = Text()
    scenes: Scenes = Scenes()
    schedule: TinySchedule
    seed: int = 0


class FinetuneRecipe(Part):
    """One fine-tuning's file of ``configs/``.

    hub: a model of the SmolVLM family, by its name on the Hugging Face hub or its directory. longest_edge: pixels to
    which a picture is scaled before it is cut into tiles; the tower's own size gives one tile and the overview.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    description: str = ""
    hub: str
    longest_edge: Positive = 512
    lora: Lora = Lora()
    schedule: Schedule
    seed: int = 0
