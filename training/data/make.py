"""Makes the training and the test data of one language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import track
from rich.table import Table

from training.data import files
from training.data.conversations import LESSONS, MOVES, Author, Turn
from training.data.phrasings import Phrasings
from training.prompt import robot_prompt

PHRASINGS = Path(__file__).parents[1] / "phrasings"


def make(out: Path, *, train: int, test: int, language: str, seed: int) -> None:
    """Write ``train.jsonl`` and ``test.jsonl`` with so many conversations each, and tell what is in them.

    Raises:
        TrainingError: a phrasing is wrong, or a file cannot be written.
    """
    prompt = robot_prompt()
    catalogue, name = prompt.catalogue, prompt.persona.name
    phrasings = Phrasings.load(PHRASINGS / language, catalogue)
    counts: Counter[str] = Counter()
    for part, number in (("train", train), ("test", test)):
        half, moves = phrasings.of(test=part == "test"), LESSONS if part == "train" else MOVES
        author = Author(half, catalogue, name, Random(f"{seed} {part}"), moves)
        files.write(out / f"{part}.jsonl", _counted(author, number, part, counts))
    _report(phrasings, counts)


def _counted(author: Author, number: int, part: str, counts: Counter[str]) -> Iterator[list[Turn]]:
    for _ in track(range(number), description=part):
        turns = author.conversation()
        for turn in turns:
            counts[f"{part} turns"] += 1
            counts[f"{part} without a command"] += not turn.commands
        yield turns


def _report(phrasings: Phrasings, counts: Counter[str]) -> None:
    table = Table(title=f"data, {phrasings.language}")
    for heading in ("", "train", "test"):
        table.add_column(heading)
    for what in ("turns", "without a command"):
        table.add_row(what, *(str(counts[f"{part} {what}"]) for part in ("train", "test")))
    halves = [Counter(each.kind for each in phrasings.of(test=test).families) for test in (False, True)]
    for kind in sorted(halves[0] | halves[1]):
        table.add_row(f"families: {kind}", *(str(half[kind]) for half in halves))
    Console().print(table)
