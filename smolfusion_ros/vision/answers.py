"""Reads a schema-bound answer about a picture into enumerated words, word by word."""

import json
from typing import Any

from smolfusion_ros.vision import vocabulary as v
from smolfusion_ros.vision.captions import parse_caption
from smolfusion_ros.vision.scene import MAX_OBJECTS, MAX_PERSONS, Person, SceneDescription, SceneObject


def parse_answer(text: str) -> SceneDescription:
    """Read a schema-bound JSON answer (see ``questions``), or else a caption. Raises nothing."""
    start, end = text.find("{"), text.rfind("}")
    if 0 <= start < end:
        try:
            answer = json.loads(text[start : end + 1])
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and ("persons" in answer or "objects" in answer):
            return _from_json(answer)
    return parse_caption(text)


def _from_json(answer: dict[str, Any]) -> SceneDescription:
    persons = []
    for item in _items(answer, "persons"):
        garment = v.CLOTHING_WORDS.get(_text(item, "clothing").replace("t-shirt", "tshirt").split(" ")[-1], "")
        colour = v.COLOUR_WORDS.get(_text(item, "clothing_colour"), "") if garment else ""
        gesture = _one_of(_text(item, "gesture"), v.GESTURES, v.GESTURE_WORDS)
        persons.append(
            Person(
                position=_one_of(_text(item, "position"), v.POSITIONS, v.POSITION_WORDS),
                expression=_one_of(_text(item, "expression"), v.EXPRESSIONS, v.EXPRESSION_WORDS),
                gesture=gesture,
                clothing=f"{colour} {garment}".strip(),
                engaged=item.get("looking_at_camera") is True or gesture == "waving",
            )
        )
    objects = []
    for item in _items(answer, "objects"):
        label = v.OBJECT_WORDS.get(_text(item, "label"))
        if label is not None:
            position = _one_of(_text(item, "position"), v.POSITIONS, v.POSITION_WORDS)
            objects.append(SceneObject(label, v.COLOUR_WORDS.get(_text(item, "colour"), ""), position))
    scene = SceneDescription(tuple(persons[:MAX_PERSONS]), tuple(objects[:MAX_OBJECTS]), "vlm")
    summary = f"{len(scene.persons) or 'no'} person(s), {len(scene.objects) or 'no'} object(s) visible."
    return SceneDescription(scene.persons, scene.objects, "vlm", summary)


def _items(answer: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = answer.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _text(item: dict[str, Any], key: str) -> str:
    found = item.get(key)
    return found.strip().lower() if isinstance(found, str) else ""


def _one_of(word: str, allowed: tuple[str, ...], synonyms: dict[str, str]) -> str:
    return word if word in allowed else synonyms.get(word, "unknown")
