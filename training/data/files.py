"""Training data on disk: JSON Lines, one conversation a line, ours or anybody's.

Ours is ``{"turns": [{"scene", "heard", "say", "commands", "families"}, …]}``. Anybody's is
``{"instruction", "input", "output"}`` (the form of Stanford Alpaca's data): a system text, what was said, the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.errors import CommandError
from training.data.conversations import Turn
from training.errors import TrainingError
from training.whole import whole


@dataclass(frozen=True)
class Instruction:
    """One exchange under a system text of its own."""

    system: str
    heard: str
    answer: str


def write(path: Path, conversations: Iterable[Sequence[Turn]]) -> int:
    """Write conversations, whole or not at all; how many there were.

    Raises:
        TrainingError: the file cannot be written.
    """
    number = 0
    with whole(path) as partial, partial.open("w", encoding="utf-8") as file:
        for turns in conversations:
            file.write(json.dumps({"turns": [turn.as_json() for turn in turns]}, ensure_ascii=False) + "\n")
            number += 1
    return number


def read(path: Path, catalogue: Catalogue) -> Iterator[list[Turn] | Instruction]:
    """Read conversations; every command is checked against the catalogue.

    Raises:
        TrainingError: the file cannot be read, or a line is wrong; names file and line.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _conversation(path, number, line, catalogue)
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error


def _conversation(path: Path, number: int, line: str, catalogue: Catalogue) -> list[Turn] | Instruction:
    try:
        document = json.loads(line)
    except json.JSONDecodeError as error:
        raise TrainingError.at(path, number, f"not JSON: {error}") from error
    try:
        if "turns" in document:
            return [_turn(entry, catalogue) for entry in document["turns"]]
        return Instruction(_text(document, "instruction"), _text(document, "input", ""), _text(document, "output"))
    except CommandError as error:
        raise TrainingError.at(path, number, error) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TrainingError.at(path, number, f"neither turns nor instruction, input, output: {error!r}") from error


def _turn(entry: Mapping[str, Any], catalogue: Catalogue) -> Turn:
    commands = tuple(entry["commands"])
    for command in commands:
        catalogue.command(command)
    scene, heard, say = (_text(entry, key) for key in ("scene", "heard", "say"))
    return Turn(scene, heard, say, commands, tuple(entry.get("families", ())))


def _text(entry: Mapping[str, Any], key: str, missing: str | None = None) -> str:
    value = entry[key] if missing is None else entry.get(key, missing)
    if not isinstance(value, str):
        raise TypeError(f"{key} is {value!r:.80}, no text")
    return value
