"""Writes the training and the test data: python -m training.data --out work/data."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import track
from rich.table import Table

from smolfusion_ros.bringup.paths import share_directory
from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.errors import SmolFusionError
from training.data import files
from training.data.conversations import Author, Turn
from training.data.phrasings import Phrasings

PHRASINGS = Path(__file__).parents[1] / "phrasings"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory for train.jsonl and test.jsonl")
    parser.add_argument("--train", type=int, default=20000, help="conversations to train with")
    parser.add_argument("--test", type=int, default=1000, help="conversations of the test families")
    parser.add_argument("--language", default="en", help="a directory of training/phrasings")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    config = share_directory() / "config"
    try:
        catalogue = Catalogue.load(config / "actions.yaml")
        name = Persona.load(config / "persona.yaml", catalogue).name
        phrasings = Phrasings.load(PHRASINGS / arguments.language, catalogue)
        counts: Counter[str] = Counter()
        for part, number in (("train", arguments.train), ("test", arguments.test)):
            author = Author(phrasings.of(test=part == "test"), catalogue, name, Random(f"{arguments.seed} {part}"))
            files.write(arguments.out / f"{part}.jsonl", _counted(author, number, part, counts))
    except SmolFusionError as error:
        print(error, file=sys.stderr)
        return 2
    _report(phrasings, counts)
    return 0


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


if __name__ == "__main__":
    raise SystemExit(main())
