"""The whole pipeline at toy size, from data to files that answer in llama.cpp, on the real base model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader
from gguf.quants import dequantize

pytest.importorskip("llama_cpp", reason="quantising needs llama-cpp-python")

from training.export import quantise
from training.pipeline import Pipeline
from training.recipe import Recipe, load
from training.sft import base

RECIPE = """
name: toy
description: A few steps.
base: {manifest: smollm2-135m-instruct-q4_1}
data: {train: 60, test: 40}
lora: {rank: 4, alpha: 16}
schedule:
  {steps: 4, batch_tokens: 192, longest_tokens: 160, learning_rate: 1.0e-2, checkpoint_every: 2, held_out_every: 4,
   held_out_batches: 1}
checked_prompts: 3
importance_batches: 2
quantise: [Q8_0, Q4_K_M]
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    directory = tmp_path_factory.mktemp("pipeline")
    (directory / "recipe.yaml").write_text(RECIPE)
    pipeline = Pipeline(load(directory / "recipe.yaml", Recipe), directory / "out")
    for step in ("data", "train", "export", "report"):
        pipeline.steps[step]()
    return pipeline


@pytest.fixture(scope="module")
def exported(pipeline: Pipeline) -> dict[str, dict[str, float]]:
    return json.loads((pipeline.lora.parent / "exported.json").read_text())


@pytest.mark.timeout(300)
def test_llama_cpp_gives_the_answers_of_pytorch(exported: dict[str, dict[str, float]]):
    assert exported["F16"]["agreement"] >= 0.6
    assert exported["Q8_0"]["agreement"] >= 0.3


@pytest.mark.timeout(300)
def test_what_was_learned_is_in_the_merged_file(pipeline: Pipeline):
    weights = []
    for path in (base.gguf_file(pipeline.recipe.base), pipeline.gguf("F16")):
        [tensor] = [tensor for tensor in GGUFReader(path).tensors if tensor.name == "blk.29.ffn_up.weight"]
        weights.append(dequantize(tensor.data, tensor.tensor_type))
    learned = np.abs(weights[1] - weights[0]).max()
    assert 1e-3 < learned < 1.0


@pytest.mark.timeout(300)
def test_files_are_smaller_level_by_level(exported: dict[str, dict[str, float]]):
    sizes = [exported[level]["bytes"] for level in ("F16", "Q8_0", "Q4_K_M", "base + adapter")]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 30e6


@pytest.mark.timeout(300)
def test_report_tells_what_was_done(pipeline: Pipeline):
    report = (pipeline.lora.parent / "report.md").read_text()
    assert "4 steps" in report
    assert "| Q4_K_M |" in report
    assert (pipeline.lora.parent / "loss.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.timeout(300)
def test_importance_of_columns_changes_what_is_written(pipeline: Pipeline, tmp_path: Path):
    """The matrix reaches llama.cpp: without it Q4_K_M has other bytes."""
    plain = quantise.quantise(pipeline.gguf("F16"), tmp_path / "plain.gguf", "Q4_K_M")
    assert plain.stat().st_size == pipeline.gguf("Q4_K_M").stat().st_size
    assert plain.read_bytes()[-100_000:] != pipeline.gguf("Q4_K_M").read_bytes()[-100_000:]


def test_wrong_line_in_the_data_ends_the_command_with_file_and_line(tmp_path: Path):
    out = tmp_path / "out"
    (out / "data").mkdir(parents=True)
    (out / "data" / "train.jsonl").write_text('{"turns": []}\n{"turns": [{"scene": 1}]}\n')
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    line = [sys.executable, "-m", "training", str(tmp_path / "recipe.yaml"), "--out", str(out), "--only", "train"]
    result = subprocess.run(line, capture_output=True, text=True, env={**os.environ}, timeout=100)
    assert result.returncode == 2
    assert "train.jsonl:2: " in result.stderr
