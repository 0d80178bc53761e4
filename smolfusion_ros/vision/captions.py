"""Reads what a vision-language model wrote about a picture into enumerated words.

A tolerant reader, not a grammar: it walks the words of each clause, remembers the last person and the last
thing named, and hangs sides, colours, moods and gestures on them. Words it does not know it steps over, so
nothing but the vocabularies' words can come out.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from smolfusion_ros.vision import vocabulary as v
from smolfusion_ros.vision.scene import MAX_OBJECTS, MAX_PERSONS, Person, SceneDescription, SceneObject

_MAX_CHARACTERS = 2000
# Text that the picture shows is no description of it, whatever it says.
_QUOTED = re.compile(
    r"[\"“”«»].*?[\"“”«»]|(?<!\w)['‘].*?['’](?!\w)|\b(?:says|saying|reads|reading|written)\b[^.;!?\n]*"
)
_NO_SIDE_AFTER = ("hand", "hands", "arm", "arms", "eye", "leg", "foot", "shoulder", "ear", "now", "away", "next")
_PICTURE = ("image", "picture", "photo", "photograph", "frame", "scene", "room", "view", "side", "background")
_AFTER_ONE = (
    *("on", "in", "at", "to", "is", "wearing", "with", "standing", "sitting", "holding"),
    *("waving", "smiling", "looking", "pointing"),
)
_GAZE = re.compile(r"\b(?:at|toward|towards|facing|into) (?:the |a )?(?:camera|viewer|robot|photographer)\b")


@dataclass
class _Mention:
    """Someone or something named in a clause, while its words are still being collected."""

    label: str
    sides: list[str] = field(default_factory=list)
    colour: str = ""
    clothing: str = ""
    expression: str = ""
    gesture: str = ""
    engaged: bool = False
    count: int = 1
    several: bool = False


def parse_caption(text: str) -> SceneDescription:
    """Read a free caption; what is not understood is left out, never guessed. Raises nothing."""
    persons: list[_Mention] = []
    objects: list[_Mention] = []
    cleaned = _QUOTED.sub(" ", text[:_MAX_CHARACTERS].lower()).replace("t-shirt", "tshirt")
    for sentence in re.split(r"[.;!?\n]", cleaned):
        _read_sentence(sentence, persons, objects)
    return SceneDescription(
        persons=tuple(_persons(persons))[:MAX_PERSONS],
        objects=tuple(dict.fromkeys(_object(each) for each in objects))[:MAX_OBJECTS],
        source="vlm",
        summary=text,
    )


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


def _read_sentence(sentence: str, persons: list[_Mention], objects: list[_Mention]) -> None:
    words = re.findall(r"[a-z]+(?:'[a-z]+)?|,", sentence)
    here: list[_Mention] = []
    waiting_side = waiting_mood = waiting_colour = ""
    count, negated, definite = 1, 0, False
    last_person = persons[-1] if persons else None
    for at, word in enumerate(words):
        negated = max(0, negated - 1)
        if word in v.NEGATIONS:
            negated = 4
        elif word == ",":
            waiting_mood = waiting_colour = ""
        elif word == "and":
            waiting_colour = ""
        elif word in ("the", "this", "that", "his", "her", "their"):
            definite = True
        elif word in ("one", "other") and _is_one_of_several(words, at, persons):
            group = persons[-1]
            last_person = group
            if group.count > 1:
                group.count -= 1
                last_person = _Mention("person")
                persons.insert(len(persons) - 1, last_person)
            here.append(last_person)
        elif word in ("a", "an", "another", "one", "some"):
            definite = False
        elif word in v.NUMBERS:
            count = v.NUMBERS[word]
        elif word in v.POSITION_WORDS and _is_side(words, at):
            side = v.POSITION_WORDS[word]
            if here and not _opens_clause(words, at):
                here[-1].sides.append(side)
            else:
                waiting_side = side
        elif word in v.EXPRESSION_WORDS:
            mood = v.EXPRESSION_WORDS[word]
            if not negated and last_person is not None and not _names_person(words[at + 1 : at + 4]):
                last_person.expression = mood
            elif not negated:
                waiting_mood = mood
        elif word in v.GESTURE_WORDS:
            if last_person is not None and not negated:
                last_person.gesture = v.GESTURE_WORDS[word]
                last_person.engaged |= last_person.gesture == "waving"
        elif word in v.CLOTHING_WORDS:
            if last_person is not None and not negated and not last_person.clothing:
                last_person.clothing = f"{waiting_colour} {v.CLOTHING_WORDS[word]}".strip()
            waiting_colour = ""
        elif word in v.ONE_PERSON_WORDS or word in v.MANY_PERSON_WORDS or word in v.PRONOUNS:
            known = persons[-1] if persons and (definite or word in v.PRONOUNS) else None
            if not negated and (known is not None or word not in v.PRONOUNS):
                many = word in v.MANY_PERSON_WORDS
                last_person = known or _Mention("person", count=max(count, 2) if many else 1, several=many)
                if known is None:
                    persons.append(last_person)
                here.append(last_person)
                last_person.expression = waiting_mood or last_person.expression
                if waiting_side:
                    last_person.sides.append(waiting_side)
                waiting_side = waiting_mood = ""
            count, definite, waiting_colour = 1, False, ""
        elif word in v.OBJECT_WORDS and not _is_modifier(words, at):
            label = v.OBJECT_WORDS[word]
            known = next((o for o in objects if o.label == label), None) if definite else None
            if not negated:
                thing = known or _Mention(label)
                if known is None:
                    objects.append(thing)
                here.append(thing)
                thing.colour = thing.colour or waiting_colour
                if waiting_side:
                    thing.sides.append(waiting_side)
                    waiting_side = ""
            count, definite, waiting_colour = 1, False, ""
        if word in v.COLOUR_WORDS and not (word == "orange" and not _describes(words, at)):
            waiting_colour = v.COLOUR_WORDS[word]
    if last_person is not None and _GAZE.search(sentence):
        last_person.engaged = True
    _share_side(here)


def _share_side(here: list[_Mention]) -> None:
    """What a sentence names beside the only side it tells is on that side too."""
    sides = {side for each in here for side in each.sides}
    if len(sides) == 1:
        for each in here:
            if not each.sides and each.count == 1:
                each.sides.extend(sides)


def _is_side(words: list[str], at: int) -> bool:
    """Tell the picture's left from a left hand, and from 'left of the table'."""
    after = words[at + 1 : at + 4]
    if after and after[0] in _NO_SIDE_AFTER:
        return False
    if words[at] == "left" and at and words[at - 1] in ("has", "have", "had", "just", "be"):
        return False
    if after and after[0] == "of":
        return any(word in _PICTURE for word in words[at + 1 : at + 5])
    return not (after[:2] == ["side", "of"] and not any(word in _PICTURE for word in words[at + 3 : at + 6]))


def _opens_clause(words: list[str], at: int) -> bool:
    """'..., on the left is a cup' and '... and to the right a lamp' speak of what follows."""
    start = at
    while start and words[start - 1] in ("on", "in", "to", "at", "the", "far"):
        start -= 1
    begins = start == 0 or words[start - 1] in (",", "and", "while")
    after = [word for word in words[at + 1 : at + 5] if word not in ("side", "of", "the", "image", "frame", ",")]
    return begins and bool(after) and after[0] in ("is", "are", "there", "a", "an", "we", "you", "stands", "sits")


def _is_one_of_several(words: list[str], at: int, persons: list[_Mention]) -> bool:
    """'two people, one on the left and the other in a red coat'"""
    after = words[at + 1] if at + 1 < len(words) else ""
    return bool(persons) and persons[-1].several and after in _AFTER_ONE


def _names_person(words: list[str]) -> bool:
    for word in words:
        if word in ("a", "an", "the", ",", "and", "at", "with"):
            return False
        if word in v.ONE_PERSON_WORDS or word in v.MANY_PERSON_WORDS:
            return True
    return False


def _is_modifier(words: list[str], at: int) -> bool:
    """An object's word that is no object here: 'looking at the camera', 'table lamp', 'an orange cup'."""
    following = words[at + 1] if at + 1 < len(words) else ""
    if words[at] in ("camera", "picture", "photo", "photograph"):
        return at > 0 and words[max(0, at - 2)] in ("at", "of", "in", "towards", "toward", "facing", "the")
    if words[at] == "orange" and _describes(words, at):
        return True
    if words[at] == "watch" and at and words[at - 1] in ("to", "they", "people"):
        return True
    return following in v.OBJECT_WORDS and words[at] not in v.NUMBERS


def _describes(words: list[str], at: int) -> bool:
    following = words[at + 1] if at + 1 < len(words) else ""
    return following in v.OBJECT_WORDS or following in v.CLOTHING_WORDS or following in v.COLOUR_WORDS


def _persons(mentions: list[_Mention]) -> list[Person]:
    persons = []
    for each in mentions:
        for index in range(each.count):
            side = each.sides[min(index, len(each.sides) - 1)] if each.sides else "unknown"
            persons.append(
                Person(
                    position=side,
                    expression=each.expression or "unknown",
                    gesture=each.gesture or "none",
                    clothing=each.clothing,
                    engaged=each.engaged,
                )
            )
    return persons


def _object(mention: _Mention) -> SceneObject:
    return SceneObject(mention.label, mention.colour, mention.sides[0] if mention.sides else "unknown")


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
