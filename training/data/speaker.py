"""Puts words to slots: what a person says, and what argument it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.vision.scene import SceneDescription, SceneObject
from training.data import amounts
from training.data.phrasings import ARGUMENT_OF, Family, Phrasings
from training.data.seen import SIDES, referable

# Slots whose first word is the name of the value in the language.
NAMING_SLOTS = ("hand", "direction", "way", "looking", "emotion")
SEEN_SHARE = 0.6
PERSON_SHARE = 0.4
COLOURED_SHARE = 0.3


@dataclass
class Said:
    """One wording, spoken.

    Attributes:
        values: what each slot stands for: a word, or a quantity as it is written.
        side, thing, noun: what was asked for or referred to, where the wording has such slots.
        amount: the words of the distance or angle.
    """

    text: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    side: str = ""
    thing: SceneObject | None = None
    noun: str = ""
    amount: str = ""


class Speaker:
    """Speaks one language.

    Args:
        name: of the robot.
    """

    def __init__(self, phrasings: Phrasings, catalogue: Catalogue, name: str, random: Random) -> None:
        self._words = phrasings.words
        self._catalogue = catalogue
        self._name = name
        self._random = random

    def say(self, family: Family, scene: SceneDescription, parts: Mapping[str, str] | None = None) -> Said:
        """Speak a wording; ``parts`` are the texts of slots that are given."""
        said = Said()
        action = next((each for each in self._catalogue if each.name == family.kind), None)
        needs_person = action is not None and action.needs_person

        def fill(slot: str) -> str:
            if parts and slot in parts:
                return parts[slot]
            if slot == "name":
                return self._name.lower()
            words, said.values[slot] = self._slot(slot, said, scene, needs_person)
            return words

        said.text = family.template.expand(self._random, fill)
        return said

    def command(self, action: str, family: Family, said: Said) -> dict[str, Any]:
        """The command that a wording of an action asks for, as the model writes it."""
        arguments: dict[str, Any] = {}
        for argument in self._catalogue[action].arguments:
            name = argument.spoken_name
            if name in family.fixed:
                arguments[name] = family.fixed[name]
                continue
            for slot, value in said.values.items():
                if name in ARGUMENT_OF.get(slot, ()):
                    arguments[name] = value
                    break
        return {"name": action, "arguments": arguments}

    def spoken(self, argument: str, value: Any) -> str:
        """An argument within the robot's answer; empty for amounts, which are not said again."""
        if isinstance(value, Mapping):
            return ""
        for slot in NAMING_SLOTS:
            if argument in ARGUMENT_OF[slot] and value in self._words.get(slot, {}):
                return str(self._words[slot][value][0])
        return str(value)

    def _slot(self, slot: str, said: Said, scene: SceneDescription, needs_person: bool) -> tuple[str, Any]:
        random = self._random
        if slot == "distance" or slot == "angle":
            amount = amounts.distance(random) if slot == "distance" else amounts.angle(random)
            said.amount = amount.words
            return amount.words, amount.as_written()
        if slot == "side":
            return self._side(said, scene)
        if slot in ("object", "thing"):
            return self._thing(said, scene, article=slot == "object")
        if slot == "target":
            if needs_person or random.random() < PERSON_SHARE:
                return random.choice(self._words["person"]), "person"
            return self._thing(said, scene, article=True)
        if slot == "place":
            place = random.choice(self._words["places"])
            return f"the {place}", place
        choices = self._words[slot]
        value = "person" if slot == "someone" and random.random() < 0.5 else random.choice(list(choices))
        return random.choice(choices[value]), value

    def _side(self, said: Said, scene: SceneDescription) -> tuple[str, str]:
        """The side of a thing that it tells apart; where there is none, any side."""
        free = referable(scene)
        said.thing = self._random.choice(free) if free else None
        said.side = said.thing.position if said.thing else self._random.choice(SIDES)
        return self._random.choice(self._words["side"][said.side]), said.thing.label if said.thing else ""

    def _thing(self, said: Said, scene: SceneDescription, *, article: bool) -> tuple[str, str]:
        random = self._random
        said.thing = random.choice(scene.objects) if scene.objects and random.random() < SEEN_SHARE else None
        if said.thing is not None:
            said.noun, colour = said.thing.label, said.thing.colour
        else:
            said.noun, colour = random.choice(self._words["things"]), random.choice(self._words["colours"])
            said.thing = next((thing for thing in scene.objects if thing.label == said.noun), None)
        noun = f"{colour} {said.noun}".strip() if random.random() < COLOURED_SHARE else said.noun
        return f"{random.choice(self._words['articles'])} {noun}" if article else noun, noun
