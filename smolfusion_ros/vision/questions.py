"""What the vision-language model is asked, and how its answer is read."""

from dataclasses import dataclass
from typing import Any

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.vision import vocabulary
from smolfusion_ros.vision.answers import parse_answer
from smolfusion_ros.vision.scene import SceneDescription


@dataclass(frozen=True)
class QuestionSet:
    """A question, the JSON schema that binds its answer (None: free text) and the tokens the answer may take."""

    name: str
    question: str
    json_schema: dict[str, Any] | None
    max_tokens: int

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


def _list_of(properties: dict[str, Any], most: int) -> dict[str, Any]:
    item = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "array", "maxItems": most, "items": item}


def _scene_schema() -> dict[str, Any]:
    colours = (*vocabulary.COLOURS, "unknown")
    sides = [word for word in vocabulary.POSITIONS if word != "unknown"]
    person = {
        "position": _enumerated(sides),
        "expression": _enumerated(vocabulary.EXPRESSIONS),
        "gesture": _enumerated(vocabulary.GESTURES),
        "clothing": _enumerated((*vocabulary.CLOTHES, "unknown")),
        "clothing_colour": _enumerated(colours),
        "looking_at_camera": {"type": "boolean"},
    }
    thing = {
        "label": _enumerated(vocabulary.OBJECTS),
        "colour": _enumerated(colours),
        "position": _enumerated(sides),
    }
    properties = {"persons": _list_of(person, 3), "objects": _list_of(thing, 4)}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


QUESTION_SETS = {
    "caption": QuestionSet("caption", "Describe the scene.", None, 64),
    "json": QuestionSet(
        "json",
        "List the persons and the main objects in this image as JSON: for each person the position in the image "
        "(left, centre or right), expression, gesture, clothing with its colour, and whether they look at the "
        "camera; for each object its label, colour and position. Use empty lists where there is nothing.",
        _scene_schema(),
        320,
    ),
}
