"""How much of a scene was told rightly, attribute by attribute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from smolfusion_ros.vision.scene import Person, SceneDescription, SceneObject


class Scores:
    """Counts, over many scenes, of what was asked and what was told rightly."""

    def __init__(self) -> None:
        self._right: Counter[str] = Counter()
        self._all: Counter[str] = Counter()

    def add(self, told: SceneDescription, true: SceneDescription) -> None:
        """Compare a description with the truth; people and things are matched by their side of the picture.

        What is not found at all counts against ``side``, not against its looks as well.
        """
        self._count("person", len(told.persons) == len(true.persons))
        if true.persons:
            self._count("side", _sides(told.persons) == _sides(true.persons))
        for person in true.persons:
            match = next((each for each in told.persons if each.position == person.position), None)
            if match is not None:
                self._count("shirt", match.clothing == person.clothing)
                self._count("expression", match.expression == person.expression)
                self._count(f"expression {person.expression}", match.expression == person.expression)
                self._count("waving", (match.gesture == "waving") == (person.gesture == "waving"))
                self._count("pointing", (match.gesture == "pointing") == (person.gesture == "pointing"))
                holding = [any(thing.position == person.position for thing in s.objects) for s in (told, true)]
                self._count("holding", holding[0] == holding[1])
        self._count("things", _sides(told.objects) == _sides(true.objects))
        for thing in true.objects:
            found = next((each for each in told.objects if each.position == thing.position), None)
            if found is not None:
                self._count("object kind", found.label == thing.label)
                self._count("object colour", found.colour == thing.colour)
        self._count("whole scene", _whole(told) == _whole(true))

    def shares(self) -> dict[str, float]:
        """The share told rightly, 0 to 1, of every attribute that occurred."""
        return {name: self._right[name] / total for name, total in self._all.items()}

    def counts(self) -> dict[str, tuple[int, int]]:
        """How many were told rightly, of how many."""
        return {name: (self._right[name], total) for name, total in self._all.items()}

    def _count(self, name: str, is_right: bool) -> None:
        self._right[name] += is_right
        self._all[name] += 1


def _sides(those: Iterable[Person | SceneObject]) -> list[str]:
    return sorted(each.position for each in those)


def _whole(scene: SceneDescription) -> tuple[list[str], list[str]]:
    persons = [f"{p.position} {p.expression} {p.gesture} {p.clothing}" for p in scene.persons]
    return sorted(persons), sorted(f"{o.position} {o.colour} {o.label}" for o in scene.objects)
