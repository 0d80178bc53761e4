"""A keyframe becomes a scene, with the vision-language model or without it."""

import asyncio
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from smolfusion_ros.errors import BackendError, BackendUnavailableError, FrameError
from smolfusion_ros.vision.faces import Face, FaceDetector
from smolfusion_ros.vision.perceiver import Look, Perceiver
from smolfusion_ros.vision.questions import QuestionSet, question_set

PORTRAIT = (Path(__file__).parents[1] / "data" / "face.jpg").read_bytes()
EMPTY_ROOM = cv2.imencode(".png", np.full((120, 160, 3), 130, np.uint8))[1].tobytes()
HFOV_RAD = math.radians(60)
QUESTIONS = question_set("caption")


class Model:
    """A vision-language model that says one thing, or fails."""

    def __init__(self, answer: str | Exception, after_s: float = 0.0) -> None:
        self._answer = answer
        self._after_s = after_s
        self.asked: list[tuple[bytes, QuestionSet]] = []

    async def __call__(self, image: bytes, questions: QuestionSet) -> str:
        self.asked.append((image, questions))
        await asyncio.sleep(self._after_s)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class NoFaces(FaceDetector):
    def __init__(self) -> None:
        pass

    def detect(self, bgr: np.ndarray) -> list[Face]:
        return []


def look(model: Model, image: bytes, questions: QuestionSet = QUESTIONS, faces: FaceDetector | None = None) -> Look:
    perceiver = Perceiver(model, questions, faces or FaceDetector(), hfov_rad=HFOV_RAD)
    return asyncio.run(asyncio.wait_for(perceiver.look(image), 20))


def test_words_of_the_model_become_the_scene():
    model = Model("A person in a red shirt is waving. There is a blue ball.", after_s=0.02)
    seen = look(model, EMPTY_ROOM, faces=NoFaces())
    assert seen.scene.source == "vlm"
    assert [person.gesture for person in seen.scene.persons] == ["waving"]
    assert [(thing.colour, thing.label) for thing in seen.scene.objects] == [("blue", "ball")]
    assert seen.error == ""
    assert 0.02 <= seen.vlm_latency_s < 10


def test_picture_goes_to_the_model_byte_for_byte_with_the_chosen_questions():
    model = Model("nothing")
    questions = question_set("json")
    look(model, PORTRAIT, questions)
    assert model.asked == [(PORTRAIT, questions)]


def test_answer_is_read_as_the_questions_asked_for_it():
    answer = '{"persons": [], "objects": [{"label": "cup", "colour": "red", "position": "left"}]}'
    seen = look(Model(answer), EMPTY_ROOM, question_set("json"))
    assert [(thing.label, thing.colour, thing.position) for thing in seen.scene.objects] == [("cup", "red", "left")]


def test_face_gives_the_person_that_the_model_sees_a_place_in_the_picture():
    (person,) = look(Model("A man is smiling."), PORTRAIT).scene.persons
    x, y, width, height = person.roi
    assert x < 128 < x + width and y < 114 < y + height
    assert person.position == "centre"
    assert person.track_id > 0


@pytest.mark.parametrize("failure", [BackendUnavailableError("connection refused"), BackendError("HTTP 500")])
def test_model_that_fails_leaves_the_faces_and_the_reason(failure: BackendError):
    seen = look(Model(failure), PORTRAIT)
    assert seen.scene.source == "detector"
    assert [person.expression for person in seen.scene.persons] == ["smiling"]
    assert seen.scene.objects == ()
    assert (seen.error, seen.vlm_latency_s) == (str(failure), 0.0)


def test_nobody_is_seen_in_an_empty_room_without_the_model():
    seen = look(Model(BackendUnavailableError("away")), EMPTY_ROOM)
    assert seen.scene.persons == ()
    assert seen.error == "away"


@pytest.mark.parametrize("answer", ["A room.", BackendUnavailableError("away")])
@pytest.mark.parametrize("image", [b"", b"no picture", PORTRAIT[:40]])
def test_what_cannot_be_decoded_is_a_frame_error(image: bytes, answer: str | Exception):
    with pytest.raises(FrameError):
        look(Model(answer), image)


def test_faces_are_looked_for_while_the_model_thinks():
    class Noted(FaceDetector):
        done = False

        def detect(self, bgr: np.ndarray) -> list[Face]:
            self.done = True
            return []

    faces, seen_in_time = Noted(), []

    async def ask(image: bytes, questions: QuestionSet) -> str:
        for _ in range(500):
            if faces.done:
                break
            await asyncio.sleep(0.01)
        seen_in_time.append(faces.done)
        return "A room."

    asyncio.run(Perceiver(ask, QUESTIONS, faces, hfov_rad=HFOV_RAD).look(EMPTY_ROOM))
    assert seen_in_time == [True]


def test_person_keeps_a_track_id_from_picture_to_picture():
    async def scenario() -> list[int]:
        model = Model(BackendUnavailableError("away"))
        perceiver = Perceiver(model, QUESTIONS, FaceDetector(), hfov_rad=HFOV_RAD)
        return [(await perceiver.look(PORTRAIT)).scene.persons[0].track_id for _ in range(3)]

    ids = asyncio.run(scenario())
    assert len(set(ids)) == 1
