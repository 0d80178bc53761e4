"""Scenes for the conversations, and true answers to questions about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from smolfusion_ros.dialogue.grammar import MAX_SENTENCE_CHARACTERS
from smolfusion_ros.vision.scene import Person, SceneDescription, SceneObject, compact_line
from smolfusion_ros.vision.vocabulary import COLOURS, OBJECTS

SIDES = ("left", "centre", "right")
_WHERE = {"left": "on the left", "centre": "in the middle", "right": "on the right"}
_MOODS = {
    "smiling": "smiling",
    "sad": "looking sad",
    "surprised": "looking surprised",
    "angry": "looking angry",
    "neutral": "looking calm",
}
# How often each comes, percent.
_EXPRESSIONS = {"neutral": 28, "smiling": 36, "sad": 12, "surprised": 8, "angry": 8, "unknown": 8}


def some_scene(random: Random) -> SceneDescription:
    """None to three people and up to three things, at most one thing a side."""
    persons = tuple(_person(random) for _ in range(random.choices((0, 1, 2, 3), (24, 62, 11, 3))[0]))
    sides = random.sample(SIDES, random.choices((0, 1, 2, 3), (25, 35, 30, 10))[0])
    labels = random.sample(OBJECTS, len(sides))
    objects = tuple(
        SceneObject(label, random.choice((*COLOURS, "")) if random.random() < 0.9 else "", side)
        for label, side in zip(labels, sides, strict=True)
    )
    return SceneDescription(persons, objects)


def referable(scene: SceneDescription) -> list[SceneObject]:
    """Things that a side alone tells apart: nobody stands there."""
    taken = {person.position for person in scene.persons}
    return [thing for thing in scene.objects if thing.position not in taken]


def line(scene: SceneDescription, clock_s: int) -> str:
    """The scene line as the dialogue node writes it, with the clock time of its frame."""
    return f"{clock_s // 3600 % 24:02d}:{clock_s // 60 % 60:02d}:{clock_s % 60:02d} {compact_line(scene)}"


def answer(random: Random, ask: str, scene: SceneDescription, thing: SceneObject | None, noun: str, side: str) -> str:
    """What is true of the scene.

    Args:
        ask: one of ``phrasings.ASKS``.
        thing: what is asked for, if the scene shows it; ``noun`` is how it was called.
        side: that is asked for.
    """
    return _ANSWERS[ask](random, scene, thing, noun, side)


def _person(random: Random) -> Person:
    garment = random.choices(("shirt", "jacket", "sweater", "dress", "coat"), (70, 8, 8, 8, 6))[0]
    return Person(
        position=random.choice(SIDES),
        expression=random.choices(list(_EXPRESSIONS), list(_EXPRESSIONS.values()))[0],
        gesture=random.choices(("none", "waving", "pointing"), (66, 28, 6))[0],
        clothing=f"{random.choice(COLOURS)} {garment}" if random.random() < 0.8 else "",
    )


def _named(thing: SceneObject) -> str:
    return _with_article(f"{thing.colour} {thing.label}".strip())


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _several(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _i_see(parts: list[str]) -> str:
    """As much as one sentence of the answer may hold."""
    while True:
        told = f"I see {_several(parts)}."
        if len(told) <= MAX_SENTENCE_CHARACTERS:
            return told
        parts = parts[:-1]


def _people(scene: SceneDescription) -> str:
    number = len(scene.persons)
    return ("nobody", "one person", "two people", "three people")[number]


def _person_there(random: Random, scene: SceneDescription, *_: object) -> str:
    if not scene.persons:
        return random.choice(("No, I see nobody.", "No, nobody is here."))
    first = scene.persons[0]
    if len(scene.persons) == 1:
        return f"Yes, I see a person {_WHERE[first.position]}."
    return f"Yes, I see {_people(scene)}."


def _person_where(random: Random, scene: SceneDescription, *_: object) -> str:
    if not scene.persons:
        return "I see nobody."
    places = [_WHERE[person.position] for person in scene.persons]
    if len(places) == 1:
        return random.choice((f"The person is {places[0]}.", f"I see a person {places[0]}."))
    return f"I see people {_several(list(dict.fromkeys(places)))}."


def _of_person(known: Callable[[Person], bool], tell: Callable[[Person], str], unknown: str) -> Callable[..., str]:
    def told(_random: Random, scene: SceneDescription, *_: object) -> str:
        if not scene.persons:
            return "I see nobody."
        person = scene.persons[0]
        return tell(person) if known(person) else unknown

    return told


def _person_waving(random: Random, scene: SceneDescription, *_: object) -> str:
    for person in scene.persons:
        if person.gesture == "waving":
            return f"Yes, the person {_WHERE[person.position]} is waving."
    return "No, nobody is waving." if scene.persons else "No, I see nobody."


def _how_many(random: Random, scene: SceneDescription, *_: object) -> str:
    return f"I see {_people(scene)}."


def _objects(random: Random, scene: SceneDescription, *_: object) -> str:
    if not scene.objects:
        return "I see no things."
    return _i_see([f"{_named(thing)} {_WHERE[thing.position]}" for thing in scene.objects])


def _object_where(random: Random, scene: SceneDescription, thing: SceneObject | None, noun: str, _side: str) -> str:
    if thing is None:
        return f"I do not see {_with_article(noun)}."
    return f"The {noun} is {_WHERE[thing.position]}."


def _object_there(random: Random, scene: SceneDescription, thing: SceneObject | None, noun: str, side: str) -> str:
    if thing is None:
        return f"No, {_object_where(random, scene, None, noun, side)}"
    return f"Yes, the {noun} is {_WHERE[thing.position]}."


def _object_colour(random: Random, scene: SceneDescription, thing: SceneObject | None, noun: str, side: str) -> str:
    if thing is None:
        return _object_where(random, scene, None, noun, side)
    return f"The {noun} is {thing.colour}." if thing.colour else f"I cannot tell the colour of the {noun}."


def _object_side(random: Random, scene: SceneDescription, thing: SceneObject | None, noun: str, side: str) -> str:
    here = [_named(each) for each in scene.objects if each.position == side]
    here += ["a person" for person in scene.persons if person.position == side][:1]
    return f"I see {_several(here)} {_WHERE[side]}." if here else f"I see nothing {_WHERE[side]}."


def _everything(random: Random, scene: SceneDescription, *_: object) -> str:
    parts = [f"a person {_WHERE[person.position]}" for person in scene.persons[:1]]
    if len(scene.persons) > 1:
        parts = [_people(scene)]
    parts += [f"{_named(thing)} {_WHERE[thing.position]}" for thing in scene.objects[:2]]
    return _i_see(parts) if parts else "I see nobody and nothing special."


_ANSWERS: dict[str, Callable[..., str]] = {
    "person_there": _person_there,
    "person_where": _person_where,
    "person_shirt": _of_person(
        lambda person: bool(person.clothing),
        lambda person: f"The person wears {_with_article(person.clothing)}.",
        "I cannot tell what the person wears.",
    ),
    "person_mood": _of_person(
        lambda person: person.expression != "unknown",
        lambda person: f"The person is {_MOODS[person.expression]}.",
        "I cannot tell.",
    ),
    "person_waving": _person_waving,
    "how_many_people": _how_many,
    "objects": _objects,
    "object_where": _object_where,
    "object_there": _object_there,
    "object_colour": _object_colour,
    "object_side": _object_side,
    "everything": _everything,
}
