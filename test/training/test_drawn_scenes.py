"""Random scenes: their captions say the truth, and what is told can be seen."""

from collections import Counter
from random import Random

import numpy as np
import pytest

from smolfusion_ros.vision.captions import parse_caption
from smolfusion_ros.vision.render import render_scene
from smolfusion_ros.vision.specs import COLOURS, EXPRESSIONS, LABELS, HeldSpec, ObjectSpec, PersonSpec, SceneSpec
from smolfusion_ros.vision.truth import truth
from training.vision.labels import CLASSES, IGNORED, PATCH_KINDS, attributes, patches
from training.vision.pictures import scene, squeezed, tile
from training.vision.questions import DESCRIBE, answers
from training.vision.scenes import body, face, gesture_arm, held_thing, mirrored, random_scene, thing

MANY = [random_scene(Random(seed)) for seed in range(3000)]


def test_every_caption_is_read_back_as_the_truth() -> None:
    for spec in MANY:
        assert parse_caption(spec.caption) == truth(spec), spec.caption


def test_every_mirrored_caption_is_read_back_as_the_truth() -> None:
    for spec in MANY[:1000]:
        assert parse_caption(mirrored(spec).caption) == truth(mirrored(spec))


def test_what_is_held_is_told_with_its_holder() -> None:
    holder = PersonSpec(0.1, "smiling", "waving", "red", HeldSpec("cup", "blue"))
    other = PersonSpec(0.9, "angry", "pointing", "orange")
    spec = SceneSpec((holder, other), (ObjectSpec("lamp", "orange", 0.5),))
    assert spec.caption == (
        "A smiling person in a red shirt is on the left, waving, holding a blue cup. "
        "An angry person in an orange shirt is on the right, pointing. There is an orange lamp in the center."
    )
    assert [(each.label, each.position) for each in truth(spec).objects] == [("cup", "left"), ("lamp", "centre")]


def test_all_that_is_told_occurs_about_as_often() -> None:
    persons = [person for spec in MANY for person in spec.persons if person.visible]
    for words, found in (
        (EXPRESSIONS, [person.expression for person in persons]),
        (COLOURS, [person.shirt for person in persons]),
        (LABELS, [each.label for spec in MANY for each in spec.objects]),
        (("none", "waving", "pointing"), [person.gesture for person in persons]),
    ):
        counts = Counter(found)
        assert set(counts) == set(words)
        assert min(counts.values()) > 0.35 * max(counts.values()), counts
    assert 0.1 < sum(person.holding is not None for person in persons) / len(persons) < 0.5
    assert {len(spec.persons) for spec in MANY} == {0, 1, 2, 3}


def test_no_face_gesture_or_thing_is_hidden() -> None:
    hidden = 0
    for spec in MANY:
        for person in spec.persons:
            for other in spec.persons:
                arms = [area for area in (gesture_arm(other), held_thing(other)) if area is not None]
                if other is not person:
                    assert all(face(person).covered_by(area) <= 0.03 for area in arms)
                    if other.head_width > person.head_width:
                        hidden += face(person).covered_by(body(other)) > 0.1
            assert all(thing(each).covered_by(body(person)) < 0.12 for each in spec.objects)
    assert hidden < 0.01 * len(MANY)


def test_the_same_number_gives_the_same_scene_and_picture() -> None:
    assert scene(3, 5) == scene(3, 5)
    assert scene(3, 5) != scene(3, 6) and scene(3, 5) != scene(4, 5)
    assert np.array_equal(tile(scene(3, 5), 96, Random(1)), tile(scene(3, 5), 96, Random(1)))


def test_a_picture_of_the_towers_size_is_left_alone_and_another_squeezed() -> None:
    square = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    assert np.array_equal(squeezed(square, 96), square)
    wide = np.zeros((48, 64, 3), np.uint8)
    wide[:, 32:] = 200
    small = squeezed(wide, 96)
    assert small.shape == (96, 96, 3)
    assert (small[:, :40] < 20).all() and (small[:, 56:] > 180).all()


@pytest.mark.parametrize("seed", range(40))
def test_labels_of_the_mirrored_scene_are_the_mirrored_labels(seed: int) -> None:
    kinds, colours = patches(MANY[seed], 16)
    other_kinds, other_colours = patches(mirrored(MANY[seed]), 16)
    assert kinds.max() < PATCH_KINDS
    # A border through the middle of a patch may fall on either side.
    assert (kinds[:, ::-1] != other_kinds).mean() < 0.03
    assert (colours[:, ::-1] != other_colours).mean() < 0.03
    columns = np.array(attributes(MANY[seed])).reshape(3, 7)
    assert np.array_equal(np.array(attributes(mirrored(MANY[seed]))).reshape(3, 7), columns[::-1])


def test_every_attribute_is_a_class_of_its_head() -> None:
    for spec in MANY[:500]:
        for value, classes in zip(attributes(spec), CLASSES, strict=True):
            assert value == IGNORED or 0 <= value < classes


def test_patches_lie_where_the_picture_changes() -> None:
    person = PersonSpec(0.5, "angry", "none", "red")
    kinds, _ = patches(SceneSpec((person,)), 16)
    empty, drawn = (render_scene(SceneSpec(each, noise_sigma=0.0)) for each in ((), (person,)))
    changed = (empty != drawn).any(axis=2).reshape(16, 30, 16, 40).mean(axis=(1, 3))
    assert changed[kinds > 0].mean() > 0.8
    assert changed[kinds == 0].mean() < 0.1


def test_questions_are_answered_truly() -> None:
    holder = PersonSpec(0.1, "sad", "waving", "red", HeldSpec("cup", "orange"))
    asked = answers(SceneSpec((holder,), (ObjectSpec("box", "blue", 0.9),)))
    assert asked[DESCRIBE] == SceneSpec((holder,), (ObjectSpec("box", "blue", 0.9),)).caption
    assert asked["Is somebody waving?"] == "Yes, on the left."
    assert asked["Is somebody pointing?"] == "No."
    assert asked["Is the person smiling?"] == "No, the person looks sad."
    assert asked["What objects do you see?"] == "There is an orange cup and a blue box."
    assert answers(SceneSpec())["Is there a person?"] == "No."
