"""Reads what a vision-language model wrote about a picture into enumerated words.

A tolerant reader, not a grammar: it walks the words of each clause, remembers the last person and the last
thing named, and hangs sides, colours, moods and gestures on them. Words it does not know it steps over, so
nothing but the vocabularies' words can come out.
"""

import re
from dataclasses import dataclass, field

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
# Words after a "no" that it still denies.
_NEGATION_REACH = 4
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
        _Sentence(sentence, persons, objects).read()
    return SceneDescription(
        persons=tuple(_persons(persons))[:MAX_PERSONS],
        objects=tuple(dict.fromkeys(_object(each) for each in objects))[:MAX_OBJECTS],
        source="vlm",
        summary=text,
    )


class _Sentence:
    """Walks one sentence's words; persons and objects carry over from the sentences before."""

    def __init__(self, text: str, persons: list[_Mention], objects: list[_Mention]) -> None:
        self._text = text
        self._words = re.findall(r"[a-z]+(?:'[a-z]+)?|,", text)
        self._persons, self._objects = persons, objects
        self._person = persons[-1] if persons else None
        self._here: list[_Mention] = []
        # Said already, of something not named yet.
        self._side = self._mood = self._colour = ""
        self._count, self._definite, self._negated = 1, False, 0

    def read(self) -> None:
        for at, word in enumerate(self._words):
            self._negated = max(0, self._negated - 1)
            self._take(at, word)
            if word in v.COLOUR_WORDS and not (word == "orange" and not _describes(self._words, at)):
                self._colour = v.COLOUR_WORDS[word]
        if self._person is not None and _GAZE.search(self._text):
            self._person.engaged = True
        _share_side(self._here)

    def _take(self, at: int, word: str) -> None:
        if word in v.NEGATIONS:
            self._negated = _NEGATION_REACH
        elif word == ",":
            self._mood = self._colour = ""
        elif word == "and":
            self._colour = ""
        elif word in ("the", "this", "that", "his", "her", "their"):
            self._definite = True
        elif word in ("one", "other") and _is_one_of_several(self._words, at, self._persons):
            self._take_one_of_several()
        elif word in ("a", "an", "another", "one", "some"):
            self._definite = False
        elif word in v.NUMBERS:
            self._count = v.NUMBERS[word]
        elif word in v.POSITION_WORDS and _is_side(self._words, at):
            self._take_side(at, v.POSITION_WORDS[word])
        elif word in v.EXPRESSION_WORDS:
            self._take_mood(at, v.EXPRESSION_WORDS[word])
        elif word in v.GESTURE_WORDS:
            if self._person is not None and not self._negated:
                self._person.gesture = v.GESTURE_WORDS[word]
                self._person.engaged |= self._person.gesture == "waving"
        elif word in v.CLOTHING_WORDS:
            if self._person is not None and not self._negated and not self._person.clothing:
                self._person.clothing = f"{self._colour} {v.CLOTHING_WORDS[word]}".strip()
            self._colour = ""
        elif word in v.ONE_PERSON_WORDS or word in v.MANY_PERSON_WORDS or word in v.PRONOUNS:
            self._take_person(word)
        elif word in v.OBJECT_WORDS and not _is_modifier(self._words, at):
            self._take_object(v.OBJECT_WORDS[word])

    def _take_one_of_several(self) -> None:
        group = self._person = self._persons[-1]
        if group.count > 1:
            group.count -= 1
            self._person = _Mention("person")
            self._persons.insert(len(self._persons) - 1, self._person)
        self._here.append(self._person)

    def _take_side(self, at: int, side: str) -> None:
        if self._here and not _opens_clause(self._words, at):
            self._here[-1].sides.append(side)
        else:
            self._side = side

    def _take_mood(self, at: int, mood: str) -> None:
        if self._negated:
            return
        if self._person is not None and not _names_person(self._words[at + 1 : at + 4]):
            self._person.expression = mood
        else:
            self._mood = mood

    def _take_person(self, word: str) -> None:
        pronoun = word in v.PRONOUNS
        known = self._persons[-1] if self._persons and (self._definite or pronoun) else None
        if not self._negated and (known is not None or not pronoun):
            many = word in v.MANY_PERSON_WORDS
            count = max(self._count, 2) if many else 1
            self._person = known or _Mention("person", count=count, several=many)
            self._name(self._person, self._persons, new=known is None)
            self._person.expression = self._mood or self._person.expression
            self._mood = ""
        self._count, self._definite, self._colour = 1, False, ""

    def _take_object(self, label: str) -> None:
        known = next((each for each in self._objects if each.label == label), None) if self._definite else None
        if not self._negated:
            thing = known or _Mention(label)
            self._name(thing, self._objects, new=known is None)
            thing.colour = thing.colour or self._colour
        self._count, self._definite, self._colour = 1, False, ""

    def _name(self, mention: _Mention, among: list[_Mention], new: bool) -> None:
        if new:
            among.append(mention)
        self._here.append(mention)
        if self._side:
            mention.sides.append(self._side)
            self._side = ""


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
