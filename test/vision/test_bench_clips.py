"""The labels of the bench's clips: what they say happens, happens, and nothing else does."""

from itertools import islice

import numpy as np
import pytest

from bench._clips import CAMERAS, FPS, HEIGHT, WIDTH, Camera, Clip, footage_clip, pan_clip, seen, visit_clip
from bench._gate_figures import Watched, figures, pans_of


@pytest.fixture(scope="module")
def visit() -> Clip:
    return visit_clip(0)


@pytest.fixture(scope="module")
def pan() -> Clip:
    return pan_clip("pan", np.random.default_rng(0).integers(0, 256, (960, 1920, 3), dtype=np.uint8))


def test_events_of_a_visit_can_be_seen_soon_after_they_begin(visit):
    assert [event.name for event in visit.events] == ["entry", "waving", "exit"]
    for event in visit.events:
        assert 0.0 <= event.visible_s - event.begins_s < 1.0
        before, after = visit.frame_at(event.begins_s - 0.1), visit.frame_at(event.visible_s)
        changed = (np.abs(before.astype(int) - after) > 40).any(axis=2)
        assert changed.mean() > 0.01


def test_nothing_moves_where_a_visit_is_labelled_still(visit):
    assert sum(span.ends_s - span.begins_s for span in visit.still) > 12
    for begins_s, ends_s in visit.still:
        before = visit.frame_at(begins_s)
        for time_s in np.linspace(begins_s, ends_s - 1 / FPS, 4):
            assert np.array_equal(visit.frame_at(float(time_s)), before)
        assert not any(begins_s < event.begins_s < ends_s for event in visit.events)


def test_a_visitor_is_pasted_into_the_picture_given():
    street = np.full((HEIGHT, WIDTH, 3), 77, np.uint8)
    clip = visit_clip(0, "street", street)
    assert np.array_equal(clip.frame_at(1.0), street)
    assert not np.array_equal(clip.frame_at(6.0), street)


def test_the_window_moves_in_pans_alone(pan):
    assert len(pan.pans) == 8
    for begins_s, ends_s in pan.pans:
        middle_s = (begins_s + ends_s) / 2
        assert not np.array_equal(pan.frame_at(middle_s), pan.frame_at(middle_s + 1 / FPS))
        assert not np.array_equal(pan.frame_at(begins_s - 0.01), pan.frame_at(ends_s))
        assert np.array_equal(pan.frame_at(ends_s), pan.frame_at(ends_s + 1.9))
        assert pan.frame_at(ends_s).shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(pan.frame_at(0.0), pan.frame_at(pan.duration_s - 0.1))


def test_footage_rests_plays_and_rests():
    frames = [np.full((HEIGHT, WIDTH, 3), 50 + index, np.uint8) for index in range(90)]
    clip = footage_clip("ramp", frames)
    assert [round(float(clip.frame_at(time_s).mean())) for time_s in (0.0, 1.9, 3.0, 5.5, 7.0)] == [
        50,
        50,
        80,
        139,
        139,
    ]
    [event] = clip.events
    assert (event.begins_s, event.visible_s) == (2.0, pytest.approx(2.0 + 41 / FPS))
    assert all(ends_s <= 2.0 or begins_s >= 5.0 for begins_s, ends_s in clip.still)


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda camera: camera.name)
def test_a_camera_shows_the_same_frames_again(visit, camera):
    first, again = (list(islice(seen(visit, camera), 3)) for _ in range(2))
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(first, again, strict=True))
    assert [time_s for time_s, _ in first] == pytest.approx([0.0, 1 / FPS, 2 / FPS])
    assert not np.array_equal(first[0][1], first[1][1])


def test_cameras_do_to_a_picture_what_they_say():
    grey = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    clip = footage_clip("grey", [grey])
    [(_, noisy)] = islice(seen(clip, Camera("noise", noise_sigma=7.0)), 1)
    assert noisy.std() == pytest.approx(7.0, rel=0.02)
    flickering = [frame for _, frame in islice(seen(clip, Camera("", noise_sigma=0.0, flicker=3.0)), 6)]
    assert {int(frame.min()) for frame in flickering} >= {125, 131}
    assert all(frame.min() == frame.max() and abs(int(frame.min()) - 128) <= 3 for frame in flickering)
    [(_, banded)] = islice(seen(clip, Camera("", noise_sigma=0.0, flicker=3.0, bands=True)), 1)
    assert (banded.min(), banded.max()) == (125, 131)
    assert (banded.min(axis=1) == banded.max(axis=1)).all()


def test_the_exposure_jumps_in_the_middle_of_a_still_stretch():
    clip = footage_clip("grey", [np.full((HEIGHT, WIDTH, 3), 100, np.uint8)], hold_s=1.0)
    levels = {time_s: int(frame[0, 0, 0]) for time_s, frame in seen(clip, Camera("", noise_sigma=0.0, sudden_gain=0.2))}
    middle_s = (clip.still[0].begins_s + clip.still[0].ends_s) / 2
    assert all(level == 100 for time_s, level in levels.items() if time_s < middle_s)
    assert all(level == 80 for time_s, level in levels.items() if middle_s + 0.11 < time_s < clip.still[1].begins_s)


def test_figures_count_what_was_forwarded_when(visit, pan):
    on_time = [event.visible_s + 0.1 for event in visit.events]
    watched = Watched("", "", visit, forwarded_s=[0.0, *on_time, 10.0], costs_ms=[1.0])
    sums = figures([watched])
    assert (sums.events, sums.opened, sums.delay_median_ms) == (3, 1.0, pytest.approx(100))
    assert sums.still_forwarded == pytest.approx(1 / sums.still_frames)
    late = Watched("", "", visit, forwarded_s=[event.visible_s + 0.3 for event in visit.events], costs_ms=[1.0])
    assert figures([late]).opened == 0.0
    first = pan.pans[0]
    turning = [index / FPS for index in range(1000) if index / FPS in first]
    panned = Watched("", "", pan, [1.0, first.begins_s + 1, first.ends_s + 0.5], turning, [1.0])
    assert (pans_of(panned)[0].flagged, pans_of(panned)[0].during, pans_of(panned)[0].after) == (pytest.approx(1), 1, 1)
    assert pans_of(panned)[1].flagged == 0.0
