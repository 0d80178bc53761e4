"""Drawn scenes show what their specification says."""

import numpy as np
import pytest

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.vision.render import draw_person, render_background, render_scene
from smolfusion_ros.vision.specs import COLOURS, LABELS, ObjectSpec, PersonSpec, SceneSpec


def bgr(colour: str) -> np.ndarray:
    return np.array(COLOURS[colour][::-1])


def test_a_scene_has_the_size_and_type_asked_for():
    frame = render_scene(SceneSpec(), 320, 200)
    assert (frame.shape, frame.dtype) == ((200, 320, 3), np.uint8)


def test_the_same_seed_draws_the_same_pixels_and_another_only_other_noise():
    spec = SceneSpec(PersonSpec(), (ObjectSpec("plant", "red", 0.8),), noise_sigma=3.0)
    first = render_scene(spec, seed=1)
    assert np.array_equal(first, render_scene(spec, seed=1))
    difference = np.abs(first.astype(int) - render_scene(spec, seed=2))
    assert 1 < difference.mean() < 6


@pytest.mark.parametrize("colour", list(COLOURS))
@pytest.mark.parametrize("column", [0, 1, 2])
def test_the_shirt_has_its_colour_on_its_side(colour, column):
    x = (column + 0.5) / 3
    frame = render_scene(SceneSpec(PersonSpec(x, shirt=colour), noise_sigma=0.0), 160, 120)
    assert np.abs(frame[105, int(x * 160)] - bgr(colour)).max() <= 8


@pytest.mark.parametrize("label", LABELS)
def test_a_thing_is_drawn_where_it_stands_and_nowhere_else(label):
    empty = render_background(SceneSpec())
    frame = render_background(SceneSpec(None, (ObjectSpec(label, "blue", 0.5),)))
    changed = np.argwhere((frame != empty).any(axis=2))
    assert len(changed) > 1500
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    assert left >= 640 / 3 and right <= 2 * 640 / 3
    assert top > 0.5 * 480 and bottom <= 0.86 * 480


def test_expressions_differ_in_the_mouth_alone():
    background = render_background(SceneSpec())
    drawn = {mood: draw_person(background, PersonSpec(0.5, mood)) for mood in ("neutral", "smiling", "sad")}
    for mood in ("smiling", "sad"):
        changed = np.argwhere((drawn[mood] != drawn["neutral"]).any(axis=2))
        assert len(changed) > 50
        assert changed[:, 0].min() > 0.38 * 480 and changed[:, 0].max() < 0.5 * 480


def test_the_waving_hand_swings():
    background = render_background(SceneSpec())
    hands = [draw_person(background, PersonSpec(0.5, waving=True, wave_phase=phase)) for phase in (0.0, 1.5)]
    assert (hands[0] != hands[1]).any(axis=2).sum() > 1000
    assert not np.array_equal(hands[0], draw_person(background, PersonSpec(0.5)))


def test_drawing_a_person_leaves_the_background_alone():
    background = render_background(SceneSpec())
    before = background.copy()
    draw_person(background, PersonSpec())
    assert np.array_equal(background, before)


def test_the_caption_is_the_truth_in_the_tiny_models_words():
    person = PersonSpec(0.1, "smiling", True, "red")
    things = (ObjectSpec("cup", "red", 0.5), ObjectSpec("ball", "blue", 0.9))
    assert SceneSpec(person, things).caption == (
        "A smiling person in a red shirt is on the left, waving. "
        "There is a red cup in the center and a blue ball on the right."
    )
    assert SceneSpec(PersonSpec(-0.3)).caption == "No person is visible. There are no objects."


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ConfigurationError, match="beige"):
        PersonSpec(shirt="beige")
    with pytest.raises(ConfigurationError, match="spoon"):
        ObjectSpec("spoon", "red", 0.5)
    with pytest.raises(ConfigurationError, match="10x10"):
        render_scene(SceneSpec(), 10, 10)
