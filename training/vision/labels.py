"""What a scene's picture shows, as classes: of the whole, column by column, and of every patch.

The tower learns from these much faster than from captions alone; the heads that read them are not exported.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from smolfusion_ros.vision.specs import (
    COLOURS,
    EXPRESSIONS,
    GESTURES,
    HAND_SIZED,
    LABELS,
    ObjectSpec,
    PersonSpec,
    SceneSpec,
    column_of,
)
from training.vision.scenes import Area, body, face, gesture_arm, held_thing, thing

IGNORED = -100
_COLOURS = list(COLOURS)
# Of each column: a person's expression (0 nobody), gesture, shirt, what is held (0 nothing) and its colour, a
# thing's label (0 none) and its colour.
COLUMN_CLASSES = (
    1 + len(EXPRESSIONS),
    len(GESTURES),
    len(COLOURS),
    1 + len(HAND_SIZED),
    len(COLOURS),
    1 + len(LABELS),
    len(COLOURS),
)
CLASSES = COLUMN_CLASSES * 3
_BODY, _FACE, _ARM, _THING = 1, 2, 2 + len(EXPRESSIONS), 2 + len(EXPRESSIONS) + len(GESTURES) - 1
PATCH_KINDS = _THING + len(LABELS)
"""Background, body, a face by its expression, an arm by its gesture, a thing by its label."""


def attributes(spec: SceneSpec) -> list[int]:
    """A class for every one of ``CLASSES``; ``IGNORED`` where there is nothing to tell."""
    found = [0, IGNORED, IGNORED, IGNORED, IGNORED, 0, IGNORED] * 3
    for person in spec.persons:
        if person.visible:
            at = 7 * column_of(person.x)
            held = person.holding
            found[at : at + 5] = [
                1 + EXPRESSIONS.index(person.expression),
                GESTURES.index(person.gesture),
                _COLOURS.index(person.shirt),
                0 if held is None else 1 + HAND_SIZED.index(held.label),
                IGNORED if held is None else _COLOURS.index(held.colour),
            ]
    for each in spec.objects:
        at = 7 * column_of(each.x) + 5
        found[at : at + 2] = [1 + LABELS.index(each.label), _COLOURS.index(each.colour)]
    return found


def patches(spec: SceneSpec, side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Kind and colour of side x side patches; the colour of what has none told is ``IGNORED``."""
    kinds = np.zeros((side, side), np.int64)
    colours = np.full((side, side), IGNORED, np.int64)

    def fill(area: Area, kind: int, colour: int, shape: Callable[[Area, int], NDArray[np.bool_]] = _inside) -> None:
        mask = shape(area, side)
        kinds[mask], colours[mask] = kind, colour

    for each in spec.objects:
        fill(_core(thing(each), each), _THING + LABELS.index(each.label), _COLOURS.index(each.colour))
    for person in sorted(spec.persons, key=lambda each: each.head_width):
        shirt = _COLOURS.index(person.shirt)
        fill(_torso(person), _BODY, shirt)
        arm = gesture_arm(person)
        if arm is not None:
            fill(arm, _ARM + GESTURES.index(person.gesture) - 1, IGNORED)
        fill(face(person), _FACE + EXPRESSIONS.index(person.expression), IGNORED, _ellipse)
        held = held_thing(person)
        if held is not None and person.holding is not None:
            fill(held, _THING + LABELS.index(person.holding.label), _COLOURS.index(person.holding.colour))
    return kinds, colours


def _torso(person: PersonSpec) -> Area:
    area = body(person)
    return area._replace(bottom=min(area.bottom, person.chin_y + 2.9 * person.head_width))


def _core(area: Area, spec: ObjectSpec) -> Area:
    """A thing's box without the edges that only some things reach."""
    inset = 0.08 * spec.size
    return Area(
        area.left + inset,
        area.top + (4 if spec.label in ("cup", "ball") else 1) * inset,
        area.right - inset,
        area.bottom,
    )


def _centres(side: int) -> NDArray[np.float64]:
    return (np.arange(side) + 0.5) / side


def _inside(area: Area, side: int) -> NDArray[np.bool_]:
    at = _centres(side)
    columns = (at >= area.left) & (at <= area.right)
    rows = (at >= area.top) & (at <= area.bottom)
    return np.asarray(rows[:, None] & columns[None, :], np.bool_)


def _ellipse(area: Area, side: int) -> NDArray[np.bool_]:
    at = _centres(side)
    x = (2 * at - area.left - area.right) / (area.right - area.left)
    y = (2 * at - area.top - area.bottom) / (area.bottom - area.top)
    return np.asarray(x[None, :] ** 2 + y[:, None] ** 2 <= 1.0, np.bool_)
