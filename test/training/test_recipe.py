"""Recipes: every file of configs/ is one, and what is wrong is told with its key."""

from pathlib import Path

import pytest

from training.errors import TrainingError
from training.recipe import Recipe, load

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
GOOD = "name: toy\nbase: {manifest: smollm2-135m-instruct-q4_1}\nschedule: {steps: 3}\n"


@pytest.mark.parametrize("name", ["smollm2_135m", "qwen3_1_7b"])
def test_shipped_recipe_is_valid(name: str):
    assert load(CONFIGS / f"{name}.yaml", Recipe).schedule.steps > 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("steps: 3", "steps: 0"), "schedule.steps: Input should be greater than 0"),
        (GOOD.replace("steps: 3", "steps: many"), "schedule.steps"),
        (GOOD.replace("steps: 3", "steps: 3, epochs: 2"), "schedule.epochs: Extra inputs"),
        (GOOD.replace("manifest:", "hub: some/model, manifest:"), "base: Value error, give either manifest or hub"),
        (GOOD.replace("}", ", four_bit: true}", 1), "four_bit needs a hub model"),
        (GOOD.replace("toy", "../toy"), "name: String should match"),
        ("- a list\n", "recipe: Input should be a valid dictionary"),
        ("name: [", "cannot be read"),
    ],
)
def test_wrong_recipe_is_refused_with_its_key(tmp_path: Path, text: str, told: str):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(TrainingError) as raised:
        load(path, Recipe)
    assert str(path) in str(raised.value)
    assert told in str(raised.value)


def test_missing_recipe_is_named(tmp_path: Path):
    with pytest.raises(TrainingError, match=r"none\.yaml cannot be read"):
        load(tmp_path / "none.yaml", Recipe)
