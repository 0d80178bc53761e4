"""What a run did, in Markdown with a plot: made from what its steps have left in its directory."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import matplotlib

from training.errors import TrainingError
from training.recipe import Recipe
from training.sft.lessons import HELD_OUT
from training.trainer import JOURNAL

matplotlib.use("Agg")

# What the steps leave for it.
EXPORTED, COMMANDS = "exported.json", "commands.json"
REPORT = "report.md"
PLOT = "loss.png"
SMOOTHED_STEPS = 20


def write_report(recipe: Recipe, out: Path) -> Path:
    """Write ``report.md`` and ``loss.png``; steps that were not run are left out.

    Raises:
        TrainingError: what a step has left cannot be read, or the report not be written.
    """
    journal = _lines(out / JOURNAL)
    parts = [f"# {recipe.name}", recipe.description, _recipe(recipe)]
    if journal:
        parts.append(_training(journal))
        _plot(journal, out / PLOT)
    exported = _document(out / EXPORTED)
    if exported:
        parts.append(_files(exported))
    commands = _document(out / COMMANDS)
    if commands:
        parts.append(_commands(commands))
    target = out / REPORT
    try:
        target.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{target} cannot be written: {error}") from error
    return target


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown; all columns but the first to the right."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _recipe(recipe: Recipe) -> str:
    rows = [
        ["base model", recipe.base.manifest or recipe.base.hub],
        ["conversations", f"{recipe.data.train} in training, {recipe.data.language}"],
        ["LoRA", f"rank {recipe.lora.rank}, alpha {recipe.lora.alpha}, on {', '.join(recipe.lora.targets)}"],
        ["steps", f"{recipe.schedule.steps} of {recipe.schedule.batch_tokens} tokens"],
        ["learning rate", f"{recipe.schedule.learning_rate:g}"],
        ["seed", str(recipe.seed)],
    ]
    return table(["recipe", ""], rows)


def _training(journal: list[dict[str, Any]]) -> str:
    tokens = sum(entry["amount"] for entry in journal)
    taken_s = sum(entry["step_s"] for entry in journal)
    held_out = [entry["held_out"][HELD_OUT] for entry in journal if entry["held_out"]]
    last = journal[-SMOOTHED_STEPS:]
    unseen = f", on wordings never seen {held_out[-1]:.3f}" if held_out else ""
    return (
        f"## Training\n\n{len(journal)} steps, {tokens:,} tokens in {taken_s / 60:.0f} min "
        f"({tokens / taken_s:.0f} tokens/s) on {platform.machine()}. Loss of the last {len(last)} steps "
        f"{sum(entry['losses']['loss'] for entry in last) / len(last):.3f} nats a token{unseen}.\n\n![loss]({PLOT})"
    )


def _plot(journal: list[dict[str, Any]], target: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
    steps, losses = [entry["step"] for entry in journal], [entry["losses"]["loss"] for entry in journal]
    smooth = [
        sum(losses[max(0, at - SMOOTHED_STEPS) : at + 1]) / len(losses[max(0, at - SMOOTHED_STEPS) : at + 1])
        for at in range(len(losses))
    ]
    axes.plot(steps, losses, alpha=0.25, linewidth=0.8, color="C0")
    axes.plot(steps, smooth, color="C0", label=f"training, mean of {SMOOTHED_STEPS} steps")
    held_out = [(entry["step"], entry["held_out"][HELD_OUT]) for entry in journal if entry["held_out"]]
    if held_out:
        axes.plot(*zip(*held_out, strict=True), "o-", color="C1", markersize=3, label="wordings never seen")
    axes.set(xlabel="step", ylabel="loss, nats a token", ylim=(0, None))
    axes.legend()
    try:
        figure.savefig(target, dpi=120)
    except OSError as error:
        raise TrainingError(f"{target} cannot be written: {error}") from error
    finally:
        pyplot.close(figure)


def _files(exported: dict[str, Any]) -> str:
    rows = [_file_row(level, entry, exported["F16"]["bytes"]) for level, entry in exported.items()]
    return (
        "## Files\n\nAgreement: greedy answers equal to the last token, of F16 and base + adapter with PyTorch's, of "
        "the others with F16's.\n\n" + table(["", "MB", "of F16", "agreement"], rows)
    )


def _file_row(level: str, entry: dict[str, Any], whole: int) -> list[str]:
    shares = (entry["bytes"] / whole, entry["agreement"])
    return [level, f"{entry['bytes'] / 1e6:.1f}", *(f"{100 * share:.0f} %" for share in shares)]


def _commands(commands: dict[str, Any]) -> str:
    """``commands`` is what bench.commands wrote: a summary for each model."""
    models = list(commands)
    rows = [[row, *(commands[model]["summary"][row] for model in models)] for row in commands[models[0]]["summary"]]
    return "## Commands, wordings never seen\n\n" + table(["", *models], rows)


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error


def _document(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error
