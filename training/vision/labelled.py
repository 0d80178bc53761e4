"""Anybody's pictures with what is true of them: JSON Lines of an image's path and the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolfusion_ros.vision.questions import question_set
from training.errors import TrainingError

QUESTIONS = question_set("json")


@dataclass(frozen=True)
class Labelled:
    """A picture, and the answer to ``QUESTIONS`` about it as JSON."""

    image: Path
    answer: str


def read(path: Path) -> list[Labelled]:
    """Read ``{"image": path, "answer": {"persons": [...], "objects": [...]}}`` lines; paths are the file's relatives.

    Answers are those that the question's JSON schema allows; they are written in its order of keys, in which a
    server that is bound to it writes them.

    Raises:
        TrainingError: the file cannot be read, a line is not as described, or a picture is not there.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error
    found = [_labelled(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise TrainingError(f"{path} holds no picture")
    return found


def _labelled(path: Path, number: int, line: str) -> Labelled:
    try:
        given = json.loads(line)
    except ValueError as error:
        raise TrainingError.at(path, number, f"not JSON: {error}") from error
    if not isinstance(given, dict) or not isinstance(given.get("image"), str) or "answer" not in given:
        raise TrainingError.at(path, number, "neither image nor answer")
    image = path.parent / given["image"]
    if not image.is_file():
        raise TrainingError.at(path, number, f"the picture {image} is not there")
    try:
        answer = _allowed(given["answer"], QUESTIONS.json_schema or {}, "answer")
    except ValueError as error:
        raise TrainingError.at(path, number, error) from error
    return Labelled(image, json.dumps(answer))


def _allowed(value: Any, schema: Mapping[str, Any], name: str) -> Any:
    """The value with its keys in the schema's order; ValueError where the schema does not allow it."""
    kind = schema["type"]
    if kind == "object":
        if not isinstance(value, dict) or set(value) != set(schema["properties"]):
            raise ValueError(f"{name} is {value!r:.80}: its keys must be {', '.join(schema['properties'])}")
        return {key: _allowed(value[key], each, f"{name}.{key}") for key, each in schema["properties"].items()}
    if kind == "array":
        if not isinstance(value, list) or len(value) > schema["maxItems"]:
            raise ValueError(f"{name} is {value!r:.80}: a list of at most {schema['maxItems']} is wanted")
        return [_allowed(each, schema["items"], f"{name}[{index}]") for index, each in enumerate(value)]
    if kind == "string" and value not in schema["enum"]:
        raise ValueError(f"{name} is {value!r:.80}: use one of {', '.join(schema['enum'])}")
    if kind == "boolean" and not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r:.80}: use true or false")
    return value
