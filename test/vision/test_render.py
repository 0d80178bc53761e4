"""Drawn scenes show what their specification says."""

import numpy as np
import pytest

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.vision.render import draw_person, lit, render_background, render_scene
from smolfusion_ros.vision.specs import COLOURS, LABELS, HeldSpec, LightSpec, ObjectSpec, PersonSpec, SceneSpec


def bgr(colour: str) -> np.ndarray:
    return np.array(COLOURS[colour][::-1])


def test_a_scene_has_the_size_and_type_asked_for():
    frame = render_scene(SceneSpec(), 320, 200)
    assert (frame.shape, frame.dtype) == ((200, 320, 3), np.uint8)


def test_the_same_seed_draws_the_same_pixels_and_another_only_other_noise():
    spec = SceneSpec((PersonSpec(),), (ObjectSpec("plant", "red", 0.8),), noise_sigma=3.0)
    first = render_scene(spec, seed=1)
    assert np.array_equal(first, render_scene(spec, seed=1))
    difference = np.abs(first.astype(int) - render_scene(spec, seed=2))
    assert 1 < difference.mean() < 6


@pytest.mark.parametrize("colour", list(COLOURS))
@pytest.mark.parametrize("column", [0, 1, 2])
def test_the_shirt_has_its_colour_on_its_side(colour, column):
    x = (column + 0.5) / 3
    frame = render_scene(SceneSpec((PersonSpec(x, shirt=colour),), noise_sigma=0.0), 160, 120)
    assert np.abs(frame[105, int(x * 160)] - bgr(colour)).max() <= 8


@pytest.mark.parametrize("label", LABELS)
def test_a_thing_is_drawn_where_it_stands_and_nowhere_else(label):
    empty = render_background(SceneSpec())
    frame = render_background(SceneSpec((), (ObjectSpec(label, "blue", 0.5),)))
    changed = np.argwhere((frame != empty).any(axis=2))
    assert len(changed) > 1500
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    assert left >= 640 / 3 and right <= 2 * 640 / 3
    assert top > 0.5 * 480 and bottom <= 0.86 * 480


@pytest.mark.parametrize("mood", ["smiling", "sad", "surprised", "angry"])
def test_expressions_differ_in_the_face_alone(mood):
    background = render_background(SceneSpec())
    drawn, neutral = (draw_person(background, PersonSpec(0.5, each)) for each in (mood, "neutral"))
    changed = np.argwhere((drawn != neutral).any(axis=2))
    assert len(changed) > 150
    assert changed[:, 0].min() > 0.25 * 480 and changed[:, 0].max() < 0.5 * 480
    assert changed[:, 1].min() > 0.4 * 640 and changed[:, 1].max() < 0.6 * 640


def test_an_arm_points_to_its_side():
    background = render_background(SceneSpec())
    resting = draw_person(background, PersonSpec(0.5))
    for arm, side in (("left", slice(0, 180)), ("right", slice(460, 640))):
        pointing = draw_person(background, PersonSpec(0.5, gesture="pointing", arm=arm))
        changed = (pointing != resting).any(axis=2)
        assert changed[:, side].sum() > 0.5 * changed.sum() > 500


def test_what_is_held_is_in_the_hand_in_its_colour():
    person = PersonSpec(0.5, shirt="white", holding=HeldSpec("ball", "red"), arm="right")
    changed = np.argwhere((draw_person(render_background(SceneSpec()), person) == bgr("red")).all(axis=2))
    assert len(changed) > 300
    assert changed[:, 1].min() > 0.6 * 640


def test_the_nearer_of_two_people_stands_before_the_other():
    near, far = PersonSpec(0.4, shirt="red", head_width=0.3), PersonSpec(0.55, shirt="blue", head_width=0.15)
    for persons in ((near, far), (far, near)):
        frame = render_scene(SceneSpec(persons, noise_sigma=0.0))
        assert np.abs(frame[470, 256] - bgr("red")).max() <= 8


def test_who_stands_far_away_has_legs():
    frame = render_scene(SceneSpec((PersonSpec(0.5, head_width=0.14, chin_y=0.35),), noise_sigma=0.0))
    assert np.abs(frame[300, 320] - bgr("blue")).max() <= 8
    assert np.abs(frame[470, 340] - bgr("blue")).max() > 40


def test_light_has_a_brightness_a_colour_and_a_side():
    frame = np.full((120, 160, 3), 120, np.uint8)
    assert lit(frame, LightSpec(brightness=0.75)).mean() == pytest.approx(90, abs=1)
    blue, _, red = lit(frame, LightSpec(warmth=1.0)).reshape(-1, 3).mean(axis=0)
    assert red > blue + 20
    sideways = lit(frame, LightSpec(from_side=1.0))
    assert sideways[:, -20:].mean() > sideways[:, :20].mean() + 40
    dark = lit(frame, LightSpec(vignette=1.0))
    assert dark[60, 80].mean() > dark[2, 2].mean() + 30


def test_a_blurred_picture_has_softer_edges():
    sharp, soft = (render_scene(SceneSpec((PersonSpec(),), blur=blur, noise_sigma=0.0)) for blur in (0.0, 1.0))
    assert np.abs(np.diff(soft.astype(int), axis=1)).max() < 0.6 * np.abs(np.diff(sharp.astype(int), axis=1)).max()


def test_the_waving_hand_swings():
    background = render_background(SceneSpec())
    hands = [draw_person(background, PersonSpec(0.5, gesture="waving", wave_phase=phase)) for phase in (0.0, 1.5)]
    assert (hands[0] != hands[1]).any(axis=2).sum() > 1000
    assert not np.array_equal(hands[0], draw_person(background, PersonSpec(0.5)))


def test_drawing_a_person_leaves_the_background_alone():
    background = render_background(SceneSpec())
    before = background.copy()
    draw_person(background, PersonSpec())
    assert np.array_equal(background, before)


def test_the_caption_is_the_truth_in_the_tiny_models_words():
    person = PersonSpec(0.1, "smiling", "waving", "red")
    things = (ObjectSpec("cup", "red", 0.5), ObjectSpec("ball", "blue", 0.9))
    assert SceneSpec((person,), things).caption == (
        "A smiling person in a red shirt is on the left, waving. "
        "There is a red cup in the center and a blue ball on the right."
    )
    assert SceneSpec((PersonSpec(-0.3),)).caption == "No person is visible. There are no objects."


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ConfigurationError, match="beige"):
        PersonSpec(shirt="beige")
    with pytest.raises(ConfigurationError, match="spoon"):
        ObjectSpec("spoon", "red", 0.5)
    with pytest.raises(ConfigurationError, match="lamp"):
        HeldSpec("lamp", "red")
    with pytest.raises(ConfigurationError, match="flying"):
        PersonSpec(gesture="flying")
    with pytest.raises(ConfigurationError, match="brightness is 0"):
        LightSpec(brightness=0.0)
    with pytest.raises(ConfigurationError, match="10x10"):
        render_scene(SceneSpec(), 10, 10)
