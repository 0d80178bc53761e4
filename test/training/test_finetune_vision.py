"""Fine-tuning a SmolVLM of random weights on labelled pictures, with transformers' own processor."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForImageTextToText,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    SmolVLMForConditionalGeneration,
)

from smolfusion_ros.vision.answers import parse_answer
from training.errors import TrainingError
from training.recipe import load
from training.trainer import JOURNAL
from training.vision import finetune as module
from training.vision.finetune import finetune
from training.vision.labelled import read
from training.vision.model import built
from training.vision.recipe import FinetuneRecipe, Text, Tower
from training.vision.vocabulary import Vocabulary

CONFIG = Path(__file__).parents[2] / "training" / "configs" / "smolvlm_256m.yaml"
PERSON = {
    "position": "left",
    "expression": "smiling",
    "gesture": "waving",
    "clothing": "shirt",
    "clothing_colour": "red",
    "looking_at_camera": True,
}
ANSWER: dict[str, Any] = {
    "objects": [{"position": "right", "label": "cup", "colour": "blue"}],
    "persons": [PERSON],
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SmolVLM and its processor, as the hub has them."""
    directory = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    vocabulary = Vocabulary.learned(50, 0)
    tower = Tower(picture=48, patch=12, shuffle=2, width=16, layers=1, heads=2, hidden=16)
    built(tower, Text(width=16, layers=1, heads=2, hidden=16), vocabulary).save_pretrained(directory)
    pictures = Idefics3ImageProcessorPil(size={"longest_edge": 96}, max_image_size={"longest_edge": 48})
    processor = Idefics3Processor(
        pictures, vocabulary.tokenizer, image_seq_len=4, chat_template=vocabulary.tokenizer.chat_template
    )
    processor.save_pretrained(directory)
    return directory


def labels(directory: Path, count: int = 4) -> Path:
    directory.mkdir(exist_ok=True)
    lines = []
    for index in range(count):
        cv2.imwrite(str(directory / f"{index}.jpg"), np.full((48, 64, 3), 40 * index, np.uint8))
        lines.append(
            json.dumps({"image": f"{index}.jpg", "answer": ANSWER if index % 2 else {"persons": [], "objects": []}})
        )
    path = directory / "labels.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def recipe(base: Path, **schedule: Any) -> FinetuneRecipe:
    steps = {"steps": 4, "batch": 2, "learning_rate": 1e-2, "checkpoint_every": 2, "held_out_every": 2, "held_out": 2}
    return FinetuneRecipe.model_validate(
        {"name": "toy", "hub": str(base), "longest_edge": 48, "schedule": {**steps, **schedule}}
    )


def test_adapter_learns_and_the_merged_model_answers_as_it(base: Path, tmp_path: Path) -> None:
    path = labels(tmp_path / "pictures")
    merged = finetune(recipe(base), path, path, tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / JOURNAL).read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["losses"]["answer"] < lines[0]["losses"]["answer"]
    assert lines[-1]["held_out"]["held out"] < lines[1]["held_out"]["held out"]
    before = SmolVLMForConditionalGeneration.from_pretrained(base).state_dict()
    after = AutoModelForImageTextToText.from_pretrained(merged).state_dict()
    assert before.keys() == after.keys()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert any("text_model" in name for name in changed)
    assert all("proj" in name for name in changed)


def test_stopped_fine_tuning_goes_on_to_the_same_weights(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = labels(tmp_path / "pictures")
    whole = finetune(recipe(base), path, path, tmp_path / "whole")
    real, calls = module.watched, []

    def stop_after_three(entries: Any, *arguments: Any) -> None:
        for entry in entries:
            calls.append(entry.step)
            if entry.step == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr(module, "watched", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        finetune(recipe(base), path, path, tmp_path / "stopped")
    monkeypatch.setattr(module, "watched", real)
    resumed = finetune(recipe(base), path, path, tmp_path / "stopped")
    first, second = (AutoModelForImageTextToText.from_pretrained(each).state_dict() for each in (whole, resumed))
    assert calls == [1, 2, 3]
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_answers_are_written_in_the_order_of_the_schema(tmp_path: Path) -> None:
    found = read(labels(tmp_path))
    assert [each.image.name for each in found] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert found[1].answer.startswith('{"persons": [{"position": "left", "expression": "smiling"')
    scene = parse_answer(found[1].answer)
    assert (scene.persons[0].clothing, scene.objects[0].label) == ("red shirt", "cup")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"image": ', "not JSON"),
        ('{"image": "0.jpg"}', "neither image nor answer"),
        ('{"image": "none.jpg", "answer": {}}', "the picture .*none.jpg is not there"),
        ('{"image": "0.jpg", "answer": {"persons": []}}', "its keys must be persons, objects"),
        (json.dumps({"image": "0.jpg", "answer": {"persons": 3, "objects": []}}), "answer.persons is 3: a list"),
        (
            json.dumps({"image": "0.jpg", "answer": {"persons": [{**PERSON, "gesture": "jumping"}], "objects": []}}),
            r"answer.persons\[0\].gesture is 'jumping': use one of none, waving",
        ),
        (
            json.dumps({"image": "0.jpg", "answer": {"persons": [{**PERSON, "looking_at_camera": 1}], "objects": []}}),
            r"looking_at_camera is 1: use true or false",
        ),
    ],
)
def test_wrong_label_is_told_with_file_and_line(tmp_path: Path, line: str, problem: str) -> None:
    path = labels(tmp_path, 1)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(TrainingError, match=rf"labels\.jsonl:2: .*{problem}"):
        read(path)


def test_picture_that_cannot_be_read_is_named(base: Path, tmp_path: Path) -> None:
    path = labels(tmp_path / "pictures", 2)
    (tmp_path / "pictures" / "1.jpg").write_text("no picture")
    with pytest.raises(TrainingError, match=r"1\.jpg cannot be read"):
        finetune(recipe(base), path, path, tmp_path / "out")


def test_missing_base_model_and_unknown_layers_are_named(base: Path, tmp_path: Path) -> None:
    path = labels(tmp_path / "pictures", 1)
    with pytest.raises(TrainingError, match=r"the base model .*nowhere cannot be loaded"):
        finetune(recipe(tmp_path / "nowhere"), path, path, tmp_path / "out")
    strange = FinetuneRecipe.model_validate({**recipe(base).model_dump(), "lora": {"targets": ("wings",)}})
    with pytest.raises(TrainingError, match=r"lora\.targets wings"):
        finetune(strange, path, path, tmp_path / "out")


def test_shipped_recipe_can_be_read() -> None:
    assert load(CONFIG, FinetuneRecipe).hub == "HuggingFaceTB/SmolVLM-256M-Instruct"
