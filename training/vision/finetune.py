"""Fine-tunes a SmolVLM on labelled pictures: python -m training.vision.finetune RECIPE --train A --test B --out DIR."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from smolfusion_ros.errors import SmolFusionError
from training.checkpoint import Adapter
from training.errors import TrainingError
from training.lora import with_adapter
from training.recipe import load
from training.trainer import Trainer, Work, watched
from training.vision.labelled import QUESTIONS, Labelled, read
from training.vision.labels import IGNORED
from training.vision.order import indices
from training.vision.recipe import FinetuneRecipe

ADAPTER, MERGED = "adapter", "merged"
_END = "<end_of_utterance>"


class Examples:
    """Labelled pictures as a processor lays them out, with their loss.

    Args:
        longest_edge: see the recipe.
    """

    def __init__(self, processor: Any, model: PeftModel, longest_edge: int) -> None:
        self._processor = processor
        self._model = model
        self._device = next(model.parameters()).device
        self._size = {"longest_edge": longest_edge}
        part: dict[str, Any] = {
            "role": "user",
            "content": [{"type": "image"}, {"type": "text", "text": QUESTIONS.question}],
        }
        self._prompt = processor.apply_chat_template([part], add_generation_prompt=True)

    def loss(self, example: Labelled) -> torch.Tensor:
        """Mean cross entropy over the answer's tokens, in nats."""
        try:
            with Image.open(example.image) as image:
                picture = image.convert("RGB")
        except OSError as error:
            raise TrainingError(f"the picture {example.image} cannot be read: {error}") from error
        asked = self._processor(text=[self._prompt], images=[[picture]], size=self._size, return_tensors="pt")
        tokenizer = self._processor.tokenizer
        answer = tokenizer(f" {example.answer}{_END}", add_special_tokens=False, return_tensors="pt")["input_ids"]
        ids = torch.cat([asked["input_ids"], answer], 1)
        labels = ids.clone()
        labels[:, : asked["input_ids"].shape[1]] = IGNORED
        pictures = {
            key: asked[key].to(self._device) for key in ("pixel_values", "pixel_attention_mask") if key in asked
        }
        found = self._model(
            input_ids=ids.to(self._device),
            attention_mask=torch.ones_like(ids).to(self._device),
            labels=labels.to(self._device),
            **pictures,
        )
        return torch.as_tensor(found.loss)


def finetune(recipe: FinetuneRecipe, train: Path, test: Path, out: Path) -> Path:
    """Teach an adapter, resumed where an earlier run stopped; the directory of the merged model.

    It is in transformers' format; llama.cpp's ``convert_hf_to_gguf.py`` makes GGUF of it, with ``--mmproj`` the
    second file.

    Raises:
        TrainingError: labels, pictures, the base model or a checkpoint cannot be read, or something cannot be written.
    """
    torch.manual_seed(recipe.seed)
    pictures, unseen = read(train), read(test)
    model, processor = _base(recipe)
    examples = Examples(processor, model, recipe.longest_edge)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    schedule = recipe.schedule

    def gradients(step: int) -> Work:
        model.train()
        total = 0.0
        for index in indices(recipe.seed, len(pictures), step, schedule.batch):
            loss = examples.loss(pictures[index]) / schedule.batch
            loss.backward()
            total += loss.item()
        return Work({"answer": total}, schedule.batch)

    @torch.no_grad()
    def tested() -> dict[str, float]:
        model.eval()
        some = unseen[: schedule.held_out]
        return {"held out": sum(examples.loss(each).item() for each in some) / len(some)}

    trainer = Trainer(
        gradients,
        [torch.optim.AdamW(weights, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)],
        {"adapter": Adapter(model)},
        schedule,
        tested,
        directory=out,
        fingerprint=_fingerprint(recipe, [*pictures, *unseen]),
    )
    watched(trainer.run(), schedule.steps, "held out")
    try:
        model.save_pretrained(str(out / ADAPTER))
        model.merge_and_unload().save_pretrained(out / MERGED)
        processor.save_pretrained(out / MERGED)
    except (OSError, RuntimeError) as error:
        raise TrainingError(f"the model in {out} cannot be written: {error}") from error
    return out / MERGED


def _base(recipe: FinetuneRecipe) -> tuple[PeftModel, Any]:
    cuda = torch.cuda.is_available()
    try:
        processor = AutoProcessor.from_pretrained(recipe.hub)
        dtype = torch.bfloat16 if cuda else torch.float32
        model: Any = AutoModelForImageTextToText.from_pretrained(recipe.hub, dtype=dtype)
    except (OSError, ValueError, ImportError) as error:
        raise TrainingError(f"the base model {recipe.hub} cannot be loaded: {error}") from error
    model.to("cuda" if cuda else "cpu")
    return with_adapter(model, recipe.lora), processor


def _fingerprint(recipe: FinetuneRecipe, examples: Sequence[Labelled]) -> str:
    """What must be the same for a checkpoint to be gone on with."""
    digest = hashlib.sha256(recipe.model_dump_json().encode())
    for example in examples:
        digest.update(f"{example.image} {example.answer}".encode())
    return digest.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--train", type=Path, required=True, help="JSON Lines of image and answer")
    parser.add_argument("--test", type=Path, required=True, help="the same, of pictures that are not trained on")
    parser.add_argument("--out", type=Path, required=True, help="directory for checkpoint, journal, adapter and model")
    arguments = parser.parse_args()
    try:
        recipe = load(arguments.recipe, FinetuneRecipe)
        merged = finetune(recipe, arguments.train, arguments.test, arguments.out)
    except SmolFusionError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"the fine-tuned model is in {merged}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
