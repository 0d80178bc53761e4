"""The scripted visit: the same every time, and what it says is what it shows."""

import numpy as np
import pytest

from smolfusion_ros.vision.visit import SCRIPT, Visit


@pytest.fixture(scope="module")
def visit() -> Visit:
    return Visit(320, 240, seed=1, noise_sigma=2.0)


def middle(step: str) -> float:
    later = [start_s for start_s in (*SCRIPT.values(), 30.0) if start_s > SCRIPT[step]]
    return (SCRIPT[step] + min(later)) / 2


@pytest.mark.parametrize(
    ("step", "expression", "waving"),
    [
        ("stands", "neutral", False),
        ("smiles", "smiling", False),
        ("waves", "smiling", True),
        ("rests", "neutral", False),
        ("saddens", "sad", False),
    ],
)
def test_each_step_of_the_script_is_told(visit, step, expression, waving):
    [person] = visit.truth_at(middle(step)).persons
    assert visit.moment_at(middle(step)) == step
    assert (person.expression, person.gesture) == (expression, "waving" if waving else "none")


def test_nobody_is_there_before_and_after(visit):
    assert visit.truth_at(1.0).persons == ()
    assert visit.truth_at(29.0).persons == ()


def test_the_visitor_slides_in_and_stands_still(visit):
    places = [visit.truth_at(SCRIPT["enters"] + step / 30).persons[0].x for step in range(46)]
    steps = np.diff(places)
    assert (steps >= 0).all() or (steps <= 0).all()
    assert abs(places[-1] - places[0]) > 0.5
    assert visit.truth_at(6.0).persons[0].x == visit.truth_at(7.0).persons[0].x


def test_frames_are_the_same_every_time_and_repeat_with_the_visit(visit):
    again = Visit(320, 240, seed=1, noise_sigma=2.0)
    for time_s in (0.0, 4.0, 13.3):
        assert np.array_equal(visit.frame_at(time_s), again.frame_at(time_s))
    assert np.array_equal(visit.frame_at(5.0), visit.frame_at(5.0 + visit.duration_s))


def test_other_seeds_make_other_visits():
    assert len({Visit(64, 48, seed=seed).truth_at(6.0).caption for seed in range(8)}) >= 6


def test_waving_moves_and_standing_does_not():
    clean = Visit(320, 240, noise_sigma=0.0)
    assert np.array_equal(clean.frame_at(6.0), clean.frame_at(6.5))
    assert not np.array_equal(clean.frame_at(13.0), clean.frame_at(13.2))


def test_noise_differs_from_frame_to_frame(visit):
    first, second = visit.frame_at(0.0).astype(int), visit.frame_at(1 / 30).astype(int)
    assert 1.0 < np.abs(first - second).mean() < 4.0


def test_a_still_scene_never_changes():
    still = Visit(160, 120, still=True, noise_sigma=0.0)
    assert all(np.array_equal(still.frame_at(0.0), still.frame_at(time_s)) for time_s in (5.0, 13.0, 24.5))
    assert still.truth_at(13.0).persons == ()
