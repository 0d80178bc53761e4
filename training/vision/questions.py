"""What is asked about a drawn scene, and the true answer, as text."""

from __future__ import annotations

from random import Random

from smolfusion_ros.vision.questions import question_set
from smolfusion_ros.vision.scene import Person, SceneDescription
from smolfusion_ros.vision.specs import SceneSpec
from smolfusion_ros.vision.truth import truth

DESCRIBE = question_set("caption").question
_SIDES = {"left": "on the left", "centre": "in the center", "right": "on the right"}


def answers(spec: SceneSpec) -> dict[str, str]:
    """Every question about a scene with its answer; ``DESCRIBE`` comes first."""
    scene = truth(spec)
    caption = spec.caption
    return {
        DESCRIBE: caption,
        "Is there a person?": _who(scene.persons),
        "How many people are there?": {0: "None.", 1: "One.", 2: "Two.", 3: "Three."}[len(scene.persons)],
        "Is somebody waving?": _doing(scene, "waving"),
        "Is somebody pointing?": _doing(scene, "pointing"),
        "Is the person smiling?": _smiling(scene.persons),
        "What objects do you see?": _things(scene),
    }


def asked(spec: SceneSpec, random: Random, captions: float) -> tuple[str, str]:
    """A question and its answer; ``captions`` is the share in which it is the description."""
    known = answers(spec)
    if random.random() < captions:
        return DESCRIBE, known[DESCRIBE]
    question = random.choice(list(known)[1:])
    return question, known[question]


def _who(persons: tuple[Person, ...]) -> str:
    return f"Yes, {' and '.join(_SIDES[person.position] for person in persons)}." if persons else "No."


def _doing(scene: SceneDescription, gesture: str) -> str:
    found = [_SIDES[person.position] for person in scene.persons if person.gesture == gesture]
    return f"Yes, {' and '.join(found)}." if found else "No."


def _smiling(persons: tuple[Person, ...]) -> str:
    if not persons:
        return "There is no person."
    if any(person.expression == "smiling" for person in persons):
        return "Yes."
    return f"No, the person looks {persons[0].expression}." if len(persons) == 1 else "No."


def _things(scene: SceneDescription) -> str:
    if not scene.objects:
        return "There are no objects."
    named = [f"{'an' if each.colour[0] in 'aeiou' else 'a'} {each.colour} {each.label}" for each in scene.objects]
    return f"There is {' and '.join(named)}."
