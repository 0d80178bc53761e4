"""A language model from its recipe to the files that a robot serves, step by step."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from training.data.make import make
from training.errors import TrainingError
from training.export import adapter, check, gguf_files, importance, merge, quantise
from training.recipe import Recipe
from training.report import COMMANDS, EXPORTED, write_report
from training.sft import base
from training.sft.branches import Branch
from training.sft.run import ADAPTER, as_batches, fine_tune, read_branches


class Pipeline:
    """The steps of one recipe, in one directory; each reads what the ones before it have left there.

    Args:
        out: for data, checkpoint, adapter, GGUF files and report.
    """

    def __init__(self, recipe: Recipe, out: Path) -> None:
        self.recipe = recipe
        self._out = out
        self.lora = out / f"{recipe.name}-lora.gguf"
        self.steps: dict[str, Callable[[], None]] = {
            "data": self._data,
            "train": self._train,
            "export": self._export,
            "evaluate": self._evaluate,
            "report": self._report,
        }

    def gguf(self, level: str) -> Path:
        """The merged model at a level of quantisation."""
        return self._out / f"{self.recipe.name}-{level}.gguf"

    def _data(self) -> None:
        recipe = self.recipe.data
        make(
            self._out / "data",
            train=recipe.train,
            test=recipe.test,
            language=recipe.language,
            seed=self.recipe.seed,
        )

    def _train(self) -> None:
        fine_tune(self.recipe, self._out / "data", self._out)

    def _export(self) -> None:
        """Adapter and merged model as GGUF, the latter at every level, and whether they answer alike."""
        source = base.gguf_file(self.recipe.base)
        model, vocabulary = base.load(self.recipe.base)
        taught = base.with_saved_adapter(model, self._out / ADAPTER)
        adapter.convert(self._out / ADAPTER, source, self.lora)
        whole = merge.merge(source, self.lora, self.gguf("F16"))
        unseen = read_branches(self.recipe, vocabulary, [self._out / "data" / "test.jsonl"])
        asked = check.prompts(unseen, self.recipe.checked_prompts)
        end = _end(vocabulary)
        right = check.by_torch(taught, asked, end)
        found: dict[str, Any] = {
            "F16": _entry(whole, check.agreement(right, check.by_llama_cpp(whole, asked))),
            "base + adapter": _entry(self.lora, check.agreement(right, check.by_llama_cpp(source, asked, self.lora))),
        }
        used = self._importance(taught.merge_and_unload(), vocabulary)
        reference = check.by_llama_cpp(whole, asked)
        for level in self.recipe.quantise:
            path = quantise.quantise(whole, self.gguf(level), level, used if level in quantise.WEIGHED else None)
            found[level] = _entry(path, check.agreement(reference, check.by_llama_cpp(path, asked)))
        _write(self._out / EXPORTED, found)

    def _importance(self, model: Any, vocabulary: PreTrainedTokenizerBase) -> dict[str, Any]:
        branches: list[Branch] = read_branches(self.recipe, vocabulary, [self._out / "data" / "train.jsonl"])
        batches = as_batches(self.recipe, vocabulary, branches).first(self.recipe.importance_batches)
        names = adapter.tensor_names(gguf_files.opened(self.gguf("F16")))
        return importance.importance(model, batches, names)

    def _evaluate(self) -> None:
        """The bench of commands on every file, the base model beside them, against running backends."""
        source = base.gguf_file(self.recipe.base)
        models = [f"{source}+{self.lora}", *(str(self.gguf(level)) for level in ("F16", *self.recipe.quantise))]
        line = [sys.executable, "-m", "bench.commands", "--json", str(self._out / COMMANDS), "--beside", str(source)]
        for model in models:
            line += ["--model", model]
        if subprocess.run(line, check=False).returncode != 0:
            raise TrainingError("the bench of commands failed: its message is above")

    def _report(self) -> None:
        write_report(self.recipe, self._out)


def _end(vocabulary: PreTrainedTokenizerBase) -> int:
    """The id that ends an answer."""
    return int(vocabulary("<|im_end|>", add_special_tokens=False)["input_ids"][0])


def _entry(path: Path, agreement: float) -> dict[str, Any]:
    return {"file": path.name, "bytes": path.stat().st_size, "agreement": agreement}


def _write(path: Path, document: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{path} cannot be written: {error}") from error
