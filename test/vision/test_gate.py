"""When the gate opens, what it tells apart, and what it must not fall for."""

from dataclasses import fields

import cv2
import numpy as np
import pytest

from smolfusion_ros.errors import ConfigurationError, FrameError
from smolfusion_ros.vision.gate import GateConfig, GateDecision, MotionGate
from smolfusion_ros.vision.visit import SCRIPT, Visit

FPS = 30


def room(width: int = 640, height: int = 480, seed: int = 3) -> np.ndarray:
    """A textured, still room as grey levels: boxes of every size on a slope of light."""
    dice = np.random.default_rng(seed)
    picture = np.tile(np.linspace(90, 150, width), (height, 1))
    for _ in range(width * height // 6000):
        x, y = dice.integers(0, width), dice.integers(0, height)
        w, h = dice.integers(10, 90, 2)
        picture[y : y + h, x : x + w] = dice.integers(50, 190)
    return cv2.GaussianBlur(picture, (0, 0), 1.2)


def noisy(picture: np.ndarray, sigma: float, index: int) -> np.ndarray:
    noise = np.random.default_rng(index).normal(0, sigma, (*picture.shape, 3))
    return (picture[:, :, None] + noise).clip(0, 255).astype(np.uint8)


def grey(picture: np.ndarray) -> np.ndarray:
    return picture.clip(0, 255).astype(np.uint8)


def watch(gate: MotionGate, frames, start_s: float = 0.0, fps: float = FPS) -> list[GateDecision]:
    return [gate.update(frame, start_s + index / fps) for index, frame in enumerate(frames)]


def reasons(decisions: list[GateDecision]) -> list[str]:
    return [decision.reason for decision in decisions if decision.forward]


def with_square(picture: np.ndarray, x: int, y: int = 200, size: int = 80) -> np.ndarray:
    changed = picture.copy()
    changed[y : y + size, max(0, x) : max(0, x + size)] = 225
    return changed


@pytest.mark.parametrize("sigma", [2.0, 7.0])
def test_still_scene_forwards_the_first_frame_alone(sigma):
    still = room(320, 240)
    frames = [noisy(still, sigma, index) for index in range(40)]
    decisions = watch(MotionGate(), (frames[index % 40] for index in range(10 * FPS)))
    assert reasons(decisions) == ["first"]
    assert not any(decision.active or decision.roi for decision in decisions)


def test_noise_of_a_frame_too_small_to_average_does_not_open_the_gate():
    still = room(160, 120)
    assert reasons(watch(MotionGate(), (noisy(still, 7.0, index) for index in range(5 * FPS)))) == ["first"]


@pytest.mark.parametrize("seed", [0, 1, 2, 4])
def test_a_visitor_is_seen_within_200_ms_when_entering_and_when_starting_to_wave(seed):
    visit, gate = Visit(320, 240, seed=seed, noise_sigma=3.0), MotionGate()
    clean = Visit(320, 240, seed=seed, noise_sigma=0.0)
    empty = clean.frame_at(0.0)
    first_seen_s = next(
        index / FPS
        for index in range(900)
        if np.count_nonzero(np.abs(clean.frame_at(index / FPS).astype(int) - empty).max(axis=2) > 40)
        > 0.01 * empty.shape[0] * empty.shape[1]
    )
    forwarded = {}
    for index in range(int(13 * FPS)):
        decision = gate.update(visit.frame_at(index / FPS), index / FPS)
        if decision.forward:
            forwarded[index / FPS] = decision.reason
        assert not decision.camera_moving
    entered_s = min(time_s for time_s in forwarded if time_s > 1)
    waved_s = min(time_s for time_s in forwarded if time_s >= SCRIPT["waves"])
    assert entered_s - first_seen_s <= 0.2
    assert waved_s - SCRIPT["waves"] <= 0.2
    assert forwarded[waved_s] == "motion"


def test_a_visit_settles_once_after_each_thing_that_happens():
    visit, gate = Visit(320, 240, seed=0), MotionGate()
    settled = [
        index / FPS
        for index in range(23 * FPS)
        if gate.update(visit.frame_at(index / FPS), index / FPS).reason == "settled"
    ]
    for step in ("stands", "smiles", "rests"):
        assert len([time_s for time_s in settled if SCRIPT[step] < time_s < SCRIPT[step] + 1.5]) == 1
    assert not [time_s for time_s in settled if SCRIPT["waves"] + 0.5 < time_s < SCRIPT["rests"]]


def test_motion_is_forwarded_no_more_often_than_the_analysis_interval():
    still, gate = room(), MotionGate(GateConfig(analysis_interval_s=0.5))
    frames = [grey(still)] * 10 + [grey(with_square(still, 300 + int(60 * np.sin(index / 3)))) for index in range(90)]
    forwarded = [index / FPS for index, decision in enumerate(watch(gate, frames)) if decision.reason == "motion"]
    assert 5 <= len(forwarded) <= 7
    assert min(np.diff(forwarded)) >= 0.5 - 1e-9


def test_the_region_of_interest_holds_what_changed_in_full_frame_pixels():
    still, gate = room(), MotionGate()
    watch(gate, [grey(still)] * 5)
    decision = watch(gate, [grey(with_square(still, 400))] * 3, 5 / FPS)[-1]
    assert decision.reason == "motion"
    x, y, width, height = decision.roi
    assert 370 <= x <= 400 and 170 <= y <= 200
    assert 480 <= x + width <= 510 and 280 <= y + height <= 310
    assert 0.01 < decision.changed_fraction < 0.06


def test_what_stays_becomes_background():
    still, gate = room(), MotionGate()
    watch(gate, [grey(still)] * 5)
    after = watch(gate, [grey(with_square(still, 400))] * 60, 5 / FPS)
    assert reasons(after) == ["motion", "settled"]
    assert after[-1].changed_fraction == 0.0


def test_flicker_and_exposure_of_the_whole_picture_do_not_open_the_gate():
    still, gate = room(), MotionGate()
    gain = [1 + 0.12 * np.sin(2.1 * index) for index in range(90)]
    assert reasons(watch(gate, [grey(still * each) for each in gain])) == ["first"]
    offset = [15 * np.sin(1.3 * index) for index in range(90)]
    assert reasons(watch(MotionGate(), [grey(still + each) for each in offset])) == ["first"]


def test_slow_change_of_light_in_one_corner_does_not_open_the_gate():
    still = room(320, 240)
    shade = np.tile(np.linspace(0, 1, 320), (240, 1))
    frames = (grey(still - 25 * shade * index / 300) for index in range(300))
    assert reasons(watch(MotionGate(), frames)) == ["first"]


def test_motion_is_seen_while_the_light_flickers():
    still, gate = room(), MotionGate()
    frames = [grey(still * (1 + 0.1 * np.sin(2.1 * index))) for index in range(30)]
    frames += [grey(with_square(still, 300 + 4 * index) * (1 + 0.1 * np.sin(2.1 * index))) for index in range(30)]
    decisions = watch(gate, frames)
    assert reasons(decisions[:30]) == ["first"]
    assert "motion" in reasons(decisions[30:36])


@pytest.mark.parametrize("speed_px", [3, 8, 20])
def test_a_turning_camera_forwards_one_keyframe_when_it_settles(speed_px):
    wide, gate = room(2200, 480), MotionGate()
    starts = [0] * 15 + [speed_px * index for index in range(1, 61)] + [speed_px * 60] * 30
    decisions = watch(gate, [grey(wide[:, x : x + 640]) for x in starts])
    assert reasons(decisions[:15]) == ["first"]
    assert reasons(decisions[15:75]) == []
    assert reasons(decisions[75:]) == ["settled"]
    assert sum(decision.camera_moving for decision in decisions[15:75]) > 50
    assert not decisions[-1].camera_moving


def shaken(wide: np.ndarray, index: int) -> np.ndarray:
    """640x480 of a room that a trembling camera sees: up to three pixels off, another way each frame."""
    x, y = np.random.default_rng(index).integers(0, 7, 2)
    return wide[y : y + 480, x : x + 640]


def test_a_shaking_camera_opens_once_and_then_for_what_comes_in():
    wide, gate = room(646, 486), MotionGate()
    still = watch(gate, [grey(shaken(wide, index)) for index in range(3 * FPS)])
    assert reasons(still) == ["first", "settled"]
    assert not any(decision.camera_moving for decision in still[FPS:])
    visit = [grey(shaken(with_square(wide, 12 * index, 150, 200), index)) for index in range(FPS)]
    decisions = watch(gate, visit, start_s=3.0)
    assert "motion" in reasons(decisions[:6])


def with_dots(picture: np.ndarray, shift: int) -> np.ndarray:
    changed = picture.copy()
    for row in range(40, 440, 48):
        for column in range(200, 440, 48):
            changed[row : row + 16, column + shift : column + shift + 16] = 225
    return changed


def test_a_camera_at_rest_sees_what_a_shaking_one_takes_for_its_shaking():
    wide, moved_px = room(646, 486), 4
    at_rest = [grey(with_dots(wide, shift)[:480, :640]) for shift in (0, moved_px) for _ in range(15)]
    assert reasons(watch(MotionGate(), at_rest)) == ["first", "motion", "settled"]
    gate = MotionGate()
    watch(gate, [grey(shaken(with_dots(wide, 0), index)) for index in range(3 * FPS)])
    moved = [grey(shaken(with_dots(wide, moved_px), index)) for index in range(FPS)]
    assert reasons(watch(gate, moved, start_s=3.0)) == []


def test_a_person_crossing_a_still_room_is_no_turning_camera():
    still = room()
    frames = [grey(still)] * 10 + [grey(with_square(still, 12 * index - 200, 60, 200)) for index in range(60)]
    decisions = watch(MotionGate(), frames)
    assert not any(decision.camera_moving for decision in decisions)
    assert "motion" in reasons(decisions)


def test_a_still_scene_is_refreshed_when_told_to_and_only_then():
    frame = grey(room(160, 120))
    every_two = watch(MotionGate(GateConfig(refresh_interval_s=2.0)), [frame] * (9 * FPS))
    assert reasons(every_two) == ["first", "refresh", "refresh", "refresh", "refresh"]
    never = watch(MotionGate(GateConfig(refresh_interval_s=0.0)), [frame] * 50, fps=0.1)
    assert reasons(never) == ["first"]


def test_another_resolution_starts_afresh():
    gate = MotionGate()
    watch(gate, [grey(room())] * 5)
    decision = gate.update(grey(room(320, 240)), 1.0)
    assert (decision.forward, decision.reason) == (True, "first")
    assert reasons(watch(gate, [grey(room(320, 240))] * 10, 1.0)) == []


def test_a_clock_set_back_neither_opens_nor_blocks_the_gate():
    still, gate = room(), MotionGate()
    watch(gate, [grey(still)] * 10, 1000.0)
    assert reasons(watch(gate, [grey(still)] * 10, 5.0)) == []
    assert reasons(watch(gate, [grey(with_square(still, 300))] * 6, 5.4)) == ["motion"]


@pytest.mark.parametrize("pause_s", [1.5, 10.0, 3600.0])
def test_a_camera_that_returns_to_another_picture_opens_the_gate_at_once(pause_s):
    still, gate = room(), MotionGate(GateConfig(refresh_interval_s=0.0))
    watch(gate, [grey(still)] * 10)
    after = watch(gate, [grey(with_square(still, 300))] * 30, 10 / FPS + pause_s)
    assert after[0].reason == "motion"
    assert after[0].changed_fraction > 0.01
    assert reasons(after) == ["motion", "settled"]


def test_a_camera_that_returns_turned_away_opens_the_gate_at_once():
    gate = MotionGate(GateConfig(refresh_interval_s=0.0))
    watch(gate, [grey(room(seed=3))] * 10)
    after = watch(gate, [grey(room(seed=4))] * 30, 5.0)
    assert after[0].reason == "motion"
    assert not any(decision.camera_moving for decision in after)


def test_a_camera_that_returns_to_the_same_picture_does_not_open_the_gate():
    still, gate = room(), MotionGate(GateConfig(refresh_interval_s=0.0))
    watch(gate, [noisy(still, 3.0, index) for index in range(10)])
    assert reasons(watch(gate, [noisy(still, 3.0, 10 + index) for index in range(20)], 20.0)) == []


def test_a_camera_lost_while_something_moved_opens_the_gate_when_it_returns():
    still, gate = room(), MotionGate(GateConfig(refresh_interval_s=0.0, still_min_s=5.0))
    moving = [grey(with_square(still, 200 + 10 * index)) for index in range(10)]
    assert watch(gate, [grey(still)] * 5 + moving)[-1].active
    assert watch(gate, [moving[-1]] * 3, 3.0)[0].reason == "settled"


def test_every_frame_of_a_slow_camera_is_judged_on_its_own():
    still, gate = room(), MotionGate()
    frames = [grey(still), grey(still), grey(with_square(still, 300)), grey(with_square(still, 300)), grey(still)]
    assert [decision.reason for decision in watch(gate, frames, fps=0.2)] == [
        "first",
        "",
        "motion",
        "settled",
        "motion",
    ]


def test_a_size_that_changes_with_every_frame_is_forwarded_no_more_often_than_motion():
    gate = MotionGate(GateConfig(analysis_interval_s=0.5))
    pictures = grey(room()), grey(room(320, 240))
    decisions = watch(gate, [pictures[index % 2] for index in range(3 * FPS - 5)])
    assert reasons(decisions) == ["first"] * 6
    # What was held back comes when the size stays.
    assert reasons(watch(gate, [pictures[0]] * FPS, 3.0 - 5 / FPS)) == ["motion", "settled"]


def test_a_flash_of_a_single_frame_is_not_forwarded():
    still = room()
    frames = [grey(still)] * 10 + [grey(with_square(still, 300))] + [grey(still)] * 20
    assert reasons(watch(MotionGate(), frames)) == ["first"]


def test_colour_and_grey_frames_are_judged_alike():
    still = grey(room())
    moved = grey(with_square(room(), 300))
    decisions = [
        [gate.update(convert(frame), index / FPS).reason for index, frame in enumerate([still] * 5 + [moved] * 5)]
        for gate, convert in (
            (MotionGate(), lambda frame: frame),
            (MotionGate(), lambda frame: cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)),
        )
    ]
    assert decisions[0] == decisions[1]
    assert "motion" in decisions[0]


def test_frames_are_counted():
    gate = MotionGate()
    watch(gate, [grey(room())] * 7)
    assert (gate.frames_seen, gate.frames_forwarded) == (7, 1)


def test_settings_change_while_running():
    still, gate = room(), MotionGate(GateConfig(min_changed_fraction=0.4))
    watch(gate, [grey(still)] * 5)
    assert reasons(watch(gate, [grey(with_square(still, 300))] * 3, 5 / FPS)) == []
    gate.reconfigure(GateConfig())
    assert reasons(watch(gate, [grey(with_square(still, 300))] * 4, 8 / FPS)) == ["motion"]
    gate.reconfigure(GateConfig(analysis_width_px=80))
    assert gate.update(grey(still), 1.0).reason == "first"


def test_a_value_out_of_range_is_refused_with_the_value():
    with pytest.raises(ConfigurationError, match=r"analysis_interval_s is -1"):
        GateConfig(analysis_interval_s=-1)
    with pytest.raises(ConfigurationError, match=r"pixel_threshold is nan"):
        GateConfig(pixel_threshold=float("nan"))


def test_every_setting_tells_its_range_and_meaning():
    for field in fields(GateConfig):
        assert set(field.metadata) == {"description", "min", "max"}
        assert field.metadata["min"] <= field.default <= field.metadata["max"]


def test_what_is_no_frame_is_refused():
    with pytest.raises(FrameError, match="float32"):
        MotionGate().update(np.zeros((4, 4, 3), np.float32), 0.0)
    with pytest.raises(FrameError):
        MotionGate().update(np.zeros((0, 4, 3), np.uint8), 0.0)
    for shape in ((1, 1, 3), (15, 640), (480, 15, 3)):
        with pytest.raises(FrameError, match=f"{shape[1]}x{shape[0]}"):
            MotionGate().update(np.zeros(shape, np.uint8), 0.0)


@pytest.mark.parametrize("shape", [(16, 16), (16, 4000), (4000, 16), (64, 48, 3)])
def test_a_frame_of_an_odd_shape_is_judged(shape):
    gate, dark, bright = MotionGate(), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    bright[4:12, 4:12] = 255
    decisions = watch(gate, [dark] * 3 + [bright] * 5)
    assert decisions[0].reason == "first"
    assert decisions[-1].changed_fraction > 0 or shape == (16, 4000)


def test_region_is_told_in_pixels_of_the_full_frame_where_a_smaller_one_is_judged():
    still = room()
    frames = [grey(still)] * 10 + [grey(with_square(still, 300))] * 6
    whole, small = MotionGate(), MotionGate()
    for index, frame in enumerate(frames):
        wanted = whole.update(frame, index / FPS)
        reduced = cv2.resize(frame, (320, 240), interpolation=cv2.INTER_AREA)
        decision = small.update(reduced, index / FPS, (640, 480))
    assert wanted.roi is not None and decision.roi is not None
    assert np.abs(np.subtract(decision.roi, wanted.roi)).max() <= 12
