"""Random scenes, balanced over what is to be told of them, in which everything that is told can be seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import NamedTuple

from smolfusion_ros.vision.specs import (
    COLOURS,
    EXPRESSIONS,
    HAIRS,
    HAND_SIZED,
    LABELS,
    SKINS,
    HeldSpec,
    LightSpec,
    ObjectSpec,
    PersonSpec,
    SceneSpec,
)

_PERSONS = {0: 15, 1: 47, 2: 26, 3: 12}
# The nearest and farthest head (share of the picture) by how many people there are; smaller mouths are not told apart.
_HEADS = {1: (0.155, 0.32), 2: (0.15, 0.21), 3: (0.145, 0.175)}
_GESTURES = {"none": 34, "waving": 33, "pointing": 33}
_TRIES = 6


class Area(NamedTuple):
    """A box in shares of the picture."""

    left: float
    top: float
    right: float
    bottom: float

    def covered_by(self, other: Area) -> float:
        """Which share of this box the other covers."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        size = (self.right - self.left) * (self.bottom - self.top)
        return max(0.0, width) * max(0.0, height) / size


PICTURE = Area(0.0, 0.0, 1.0, 1.0)


def face(person: PersonSpec) -> Area:
    s = person.head_width
    return Area(person.x - 0.58 * s, person.chin_y - 1.35 * s, person.x + 0.58 * s, person.chin_y)


def body(person: PersonSpec) -> Area:
    s = person.head_width
    return Area(person.x - 0.95 * s, person.chin_y + 0.16 * s, person.x + 0.95 * s, 1.2)


def gesture_arm(person: PersonSpec) -> Area | None:
    """Where the arm is that waves or points."""
    if person.gesture == "none":
        return None
    waves = person.gesture == "waving"
    across, down = ((0.7, 1.55), (-1.15, 0.3)) if waves else ((0.9, 2.3), (0.2, 0.68))
    return _beside(person, person.arm_direction, across, down)


def held_thing(person: PersonSpec) -> Area | None:
    if person.holding is None:
        return None
    side = person.arm_direction if person.gesture == "none" else -person.arm_direction
    return _beside(person, side, (0.85, 1.65), (0.0, 1.05))


def thing(spec: ObjectSpec) -> Area:
    return Area(spec.x - 0.42 * spec.size, spec.y - 1.1 * spec.size, spec.x + 0.42 * spec.size, spec.y)


def random_scene(random: Random) -> SceneSpec:
    """Draw a scene; the same state of ``random`` gives the same one."""
    count = random.choices(list(_PERSONS), list(_PERSONS.values()))[0]
    columns = random.sample(range(3), 3)
    persons = _people(random, columns[:count])
    if not persons and random.random() < 0.2:
        persons = [_outside(random)]
    things: list[ObjectSpec] = []
    blocked = [area for each in persons for area in (body(each), gesture_arm(each), held_thing(each)) if area]
    for column in sorted(columns[count:]):
        if random.random() < 0.72:
            things += _placed(random, column, blocked)
    return SceneSpec(
        tuple(persons),
        tuple(things),
        room=random.randrange(1 << 30),
        light=_light(random),
        blur=random.uniform(0.2, 0.6) if random.random() < 0.35 else 0.0,
        noise_sigma=random.uniform(0.0, 6.0),
    )


def mirrored(spec: SceneSpec) -> SceneSpec:
    """The scene as its mirrored picture shows it, told from left to right again."""
    swap = {"left": "right", "right": "left", "": ""}
    persons = tuple(replace(each, x=1 - each.x, arm=swap[each.arm]) for each in reversed(spec.persons))
    things = tuple(replace(each, x=1 - each.x) for each in reversed(spec.objects))
    light = replace(spec.light, from_side=-spec.light.from_side)
    return replace(spec, persons=persons, objects=things, light=light)


def _people(random: Random, columns: Sequence[int]) -> list[PersonSpec]:
    """One person a column, no face hidden, no gesture hidden or hiding a face."""
    people: list[PersonSpec] = []
    for column in sorted(columns):
        tries = [_person(random, column, _HEADS[len(columns)]) for _ in range(_TRIES)]
        apart = (each for each in tries if all(_apart(each, other) for other in people))
        people.append(next(apart, replace(tries[0], x=(column + 0.5) / 3)))
    for index, person in enumerate(people):
        people[index] = _acting(random, person, [*people[:index], *people[index + 1 :]])
    return people


def _person(random: Random, column: int, heads: tuple[float, float]) -> PersonSpec:
    head = random.uniform(*heads)
    low = 0.24 + 0.55 * head
    chin = random.uniform(low, 0.58) if random.random() < 0.85 else random.uniform(0.58, 0.9 - 0.5 * head)
    return PersonSpec(
        x=(column + random.uniform(0.15, 0.85)) / 3,
        expression=random.choice(EXPRESSIONS),
        shirt=random.choice(list(COLOURS)),
        wave_phase=random.uniform(0, 2 * math.pi),
        chin_y=chin,
        head_width=head,
        skin=random.randrange(len(SKINS)),
        hair=random.randrange(len(HAIRS)),
        style=random.randrange(3),
    )


def _acting(random: Random, person: PersonSpec, others: Sequence[PersonSpec]) -> PersonSpec:
    """The person with a gesture and something in hand, as far as there is room for it."""
    gesture = random.choices(list(_GESTURES), list(_GESTURES.values()))[0]
    holding = HeldSpec(random.choice(HAND_SIZED), random.choice(list(COLOURS))) if random.random() < 0.5 else None
    arms = random.sample(("left", "right"), 2)
    for what in ((gesture, holding), (gesture, None), ("none", holding)):
        for arm in arms:
            tried = replace(person, gesture=what[0], holding=what[1], arm=arm)
            if all(_seen(area, others) for area in (gesture_arm(tried), held_thing(tried)) if area is not None):
                return tried
    return replace(person, arm=arms[0])


def _apart(one: PersonSpec, other: PersonSpec) -> bool:
    """Whether neither hides the other's face."""
    far, near = sorted((one, other), key=lambda each: each.head_width)
    return face(far).covered_by(body(near)) < 0.02 and face(far).covered_by(face(near)) < 0.02


def _seen(arm: Area, others: Sequence[PersonSpec]) -> bool:
    if arm.covered_by(PICTURE) < 0.8:
        return False
    for other in others:
        near = (body(other), gesture_arm(other), held_thing(other))
        if face(other).covered_by(arm) > 0.03 or any(arm.covered_by(area) > 0.2 for area in near if area is not None):
            return False
    return True


def _placed(random: Random, column: int, blocked: Sequence[Area]) -> list[ObjectSpec]:
    """A thing in a column that nobody stands before; none where there is no room."""
    for _ in range(_TRIES):
        spec = ObjectSpec(
            random.choice(LABELS),
            random.choice(list(COLOURS)),
            (column + random.uniform(0.2, 0.8)) / 3,
            random.uniform(0.72, 0.96),
            random.uniform(0.19, 0.3),
        )
        area = thing(spec)
        if area.covered_by(PICTURE) > 0.93 and all(area.covered_by(each) < 0.12 for each in blocked):
            return [spec]
    return []


def _outside(random: Random) -> PersonSpec:
    """Someone of whom too little is in the picture to be told."""
    person = _person(random, 0, _HEADS[1])
    return replace(person, x=random.choice((-1, 1)) * random.uniform(0.62, 0.9) + 0.5)


def _light(random: Random) -> LightSpec:
    if random.random() < 0.25:
        return LightSpec()
    return LightSpec(
        brightness=random.uniform(0.72, 1.18),
        warmth=random.uniform(-1.0, 1.0),
        from_side=random.choice((0.0, random.uniform(-1.0, 1.0))),
        vignette=random.choice((0.0, random.uniform(0.0, 1.0))),
    )


def _beside(person: PersonSpec, side: int, across: tuple[float, float], down: tuple[float, float]) -> Area:
    """A box beside a person, in head widths from the head's middle and the chin."""
    s = person.head_width
    left, right = sorted((person.x + side * across[0] * s, person.x + side * across[1] * s))
    return Area(left, person.chin_y + down[0] * s, right, person.chin_y + down[1] * s)
