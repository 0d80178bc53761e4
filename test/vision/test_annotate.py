"""What is drawn over a keyframe, pixel by pixel where it matters."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from smolfusion_ros.errors import FrameError
from smolfusion_ros.vision.annotate import ENGAGED, MOTION, NOT_ENGAGED, annotate, words_of
from smolfusion_ros.vision.faces import FaceDetector
from smolfusion_ros.vision.scene import Person, SceneDescription, SceneObject, from_faces

FACE = Path(__file__).parents[1] / "data" / "face.jpg"
GREY = 128


@pytest.fixture
def frame() -> np.ndarray:
    return np.full((480, 640, 3), GREY, np.uint8)


def seen(*persons: Person, source: str = "vlm") -> SceneDescription:
    return SceneDescription(persons=persons, objects=(SceneObject("cup", "red", "right"),), source=source)


def changed(frame: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    return np.any(frame != drawn, axis=2)


def test_a_face_gets_a_box_on_its_edge_and_stays_as_it_is_inside(frame: np.ndarray) -> None:
    drawn = annotate(frame, seen(Person("centre", roi=(300, 200, 60, 80), engaged=True)))
    for x, y in ((300, 240), (359, 240), (330, 279)):
        assert tuple(drawn[y, x]) == ENGAGED
    assert np.all(drawn[204:276, 304:356] == GREY)
    assert not changed(frame, drawn)[300:400, :].any()


def test_who_does_not_address_the_robot_has_another_colour(frame: np.ndarray) -> None:
    drawn = annotate(frame, seen(Person("centre", roi=(300, 200, 60, 80), engaged=False)))
    assert tuple(drawn[240, 300]) == NOT_ENGAGED


def test_words_stand_above_the_box_and_below_it_at_the_upper_edge(frame: np.ndarray) -> None:
    low = annotate(frame, seen(Person("left", "smiling", roi=(100, 200, 60, 80), engaged=True)))
    assert tuple(low[197, 102]) == ENGAGED
    assert not changed(frame, low)[290:420, :].any()
    high = annotate(frame, seen(Person("left", "smiling", roi=(100, 0, 60, 80), engaged=True)))
    assert tuple(high[84, 102]) == ENGAGED


def test_words_at_the_right_edge_stay_in_the_picture(frame: np.ndarray) -> None:
    person = Person("right", "surprised", "pointing", "yellow jacket", roi=(600, 200, 40, 60), engaged=True)
    label = np.all(annotate(frame, seen(person))[190, :] == ENGAGED, axis=1)
    assert label[:639].any()
    assert label.argmax() < 500


def test_the_part_that_moved_is_framed(frame: np.ndarray) -> None:
    drawn = annotate(frame, seen(), (50, 60, 100, 110))
    for x, y in ((50, 100), (149, 100), (100, 60), (100, 169)):
        assert tuple(drawn[y, x]) == MOTION
    assert np.all(drawn[61:169, 51:149] == GREY)
    assert np.all(annotate(frame, seen())[:400] == GREY)


def test_the_scene_line_stands_at_the_bottom_on_a_dark_strip(frame: np.ndarray) -> None:
    drawn = annotate(frame, seen())
    strip = drawn[-6:]
    assert np.median(strip) == GREY // 3
    assert drawn[-30:].max() > 200
    assert np.all(drawn[:440] == GREY)
    assert not np.array_equal(drawn, annotate(frame, seen(Person("left"))))
    assert not np.array_equal(drawn, annotate(frame, seen(source="detector")))


def test_a_long_line_takes_several_rows(frame: np.ndarray) -> None:
    narrow = frame[:, :320]
    crowd = seen(*(Person("left", "smiling", "waving", "yellow sweater") for _ in range(3)))
    rows = np.flatnonzero(changed(narrow, annotate(narrow, crowd)).any(axis=1))
    assert 480 - rows[0] > 30


def test_the_frame_that_was_given_is_not_drawn_on(frame: np.ndarray) -> None:
    frame.flags.writeable = False
    annotate(frame, seen(Person("left", roi=(10, 10, 50, 50))), (0, 0, 10, 10))
    assert np.all(frame == GREY)


@pytest.mark.parametrize("roi", [(-20, -20, 60, 60), (630, 470, 100, 100), (0, 0, 640, 480), (5000, 5000, 9, 9)])
def test_a_box_that_reaches_beyond_the_picture_is_cut(frame: np.ndarray, roi: tuple[int, int, int, int]) -> None:
    assert annotate(frame, seen(Person("left", "smiling", roi=roi)), roi).shape == frame.shape


@pytest.mark.parametrize("shape", [(1, 1, 3), (16, 16, 3), (2160, 3840, 3)])
def test_pictures_of_every_size_are_drawn_on(shape: tuple[int, int, int]) -> None:
    assert annotate(np.zeros(shape, np.uint8), seen(Person("left", roi=(0, 0, 5, 5)))).shape == shape


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(FrameError, match="HxWx3 uint8 BGR is needed"):
        annotate(wrong, seen())


def test_words_are_those_that_are_known() -> None:
    assert words_of(Person("left", "smiling", "waving", "red shirt", track_id=4)) == "#4 left smiling waving red shirt"
    assert words_of(Person()) == ""


def test_the_face_of_a_photograph_is_framed() -> None:
    photo = np.asarray(cv2.imread(str(FACE)), dtype=np.uint8)
    scene = from_faces(FaceDetector().detect(photo), photo.shape[1], 1.0)
    x, y, width, _ = scene.persons[0].roi or (0, 0, 0, 0)
    colour = ENGAGED if scene.persons[0].engaged else NOT_ENGAGED
    assert tuple(annotate(photo, scene)[y, x + width // 2]) == colour
