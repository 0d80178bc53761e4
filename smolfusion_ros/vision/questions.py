"""What the vision-language model is asked, and how its answer is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.vision import vocabulary
from smolfusion_ros.vision.answers import parse_answer
from smolfusion_ros.vision.scene import SceneDescription


@dataclass(frozen=True)
class QuestionSet:
    """A question, the JSON schema that binds its answer (None: free text) and the tokens the answer may take.

    ``close_up`` is asked about one person's part of the picture, where that is wanted.
    """

    name: str
    question: str
    json_schema: dict[str, Any] | None
    max_tokens: int
    close_up: QuestionSet | None = None

    def __post_init__(self) -> None:
        if not self.question.strip() or self.max_tokens < 1:
            raise ConfigurationError(
                f"question set {self.name!r} asks {self.question!r} for {self.max_tokens} tokens: a question and "
                "at least 1 token are needed"
            )

    def parse(self, answer: str) -> SceneDescription:
        """Read the answer into enumerated words; raises nothing, an unreadable answer is an empty scene."""
        return parse_answer(answer)


def question_set(name: str) -> QuestionSet:
    """Look up a question set by name; ConfigurationError if there is none."""
    if name not in QUESTION_SETS:
        raise ConfigurationError(f"question set {name!r} is not one of {', '.join(QUESTION_SETS)}")
    return QUESTION_SETS[name]


def _enumerated(words: tuple[str, ...] | list[str]) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list_of(properties: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "maxItems": most, "items": _object(properties)}


_COLOURS = (*vocabulary.COLOURS, "unknown")
_SIDES = [word for word in vocabulary.POSITIONS if word != "unknown"]
_LOOKS = {
    "expression": _enumerated(vocabulary.EXPRESSIONS),
    "gesture": _enumerated(vocabulary.GESTURES),
    "clothing": _enumerated((*vocabulary.CLOTHES, "unknown")),
    "clothing_colour": _enumerated(_COLOURS),
    "looking_at_camera": {"type": "boolean"},
}


def _scene_schema() -> dict[str, Any]:
    thing = {
        "label": _enumerated(vocabulary.OBJECTS),
        "colour": _enumerated(_COLOURS),
        "position": _enumerated(_SIDES),
    }
    person = {"position": _enumerated(_SIDES), **_LOOKS}
    return _object({"persons": _list_of(person, 3), "objects": _list_of(thing, 4)})


QUESTION_SETS = {
    "caption": QuestionSet("caption", "Describe the scene.", None, 64),
    "json": QuestionSet(
        "json",
        "List the persons and the main objects in this image as JSON: for each person the position in the image "
        "(left, centre or right), expression, gesture, clothing with its colour, and whether they look at the "
        "camera; for each object its label, colour and position. Use empty lists where there is nothing.",
        _scene_schema(),
        320,
        close_up=QuestionSet(
            "close-up",
            "Describe the person in this picture as JSON: expression, gesture, clothing with its colour, and whether "
            "they look at the camera.",
            _object({"persons": {"type": "array", "minItems": 1, "maxItems": 1, "items": _object(_LOOKS)}}),
            96,
        ),
    ),
}
