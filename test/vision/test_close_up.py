"""The nearest person is looked at once more, in its part of the picture, where that tells more."""

import asyncio
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from smolfusion_ros.errors import BackendUnavailableError
from smolfusion_ros.vision.faces import FaceDetector
from smolfusion_ros.vision.perceiver import Look, Perceiver
from smolfusion_ros.vision.questions import QuestionSet, question_set
from smolfusion_ros.vision.scene import Person

PORTRAIT = cv2.imread(str(Path(__file__).parents[1] / "data" / "face.jpg"))
LOOKS = {"gesture": "none", "clothing": "unknown", "clothing_colour": "unknown", "looking_at_camera": True}
FAR = {"persons": [{"position": "left", "expression": "neutral", **LOOKS}], "objects": []}
NEAR = {"persons": [{**LOOKS, "expression": "smiling", "clothing": "shirt", "clothing_colour": "red"}]}


def room_with_portrait() -> np.ndarray:
    """640x480, somebody on the left, in front of a wall in every shade."""
    room = np.tile(np.linspace(0, 255, 640)[None, :, None], (480, 1, 3)).astype(np.uint8)
    height, width = PORTRAIT.shape[:2]
    room[100 : 100 + height, 20 : 20 + width] = PORTRAIT
    return room


class Model:
    """Says what each question set is told to get, or fails."""

    def __init__(self, whole: object, closer: object) -> None:
        self._answers = {"json": whole, "close-up": closer}
        self.pictures: list[bytes] = []

    async def __call__(self, image: bytes, questions: QuestionSet) -> str:
        self.pictures.append(image)
        answer = self._answers[questions.name]
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer)


def look(model: Model, picture: np.ndarray, *, close_up: bool = True, questions: str = "json") -> Look:
    image = cv2.imencode(".png", picture)[1].tobytes()
    perceiver = Perceiver(model, question_set(questions), FaceDetector(), hfov_rad=math.radians(60), close_up=close_up)
    return asyncio.run(asyncio.wait_for(perceiver.look(image), 20))


def only_person(seen: Look) -> Person:
    [person] = seen.scene.persons
    return person


def test_looks_come_from_the_close_up_and_the_place_from_the_whole_picture():
    person = only_person(look(Model(FAR, NEAR), room_with_portrait()))
    assert (person.expression, person.clothing, person.position) == ("smiling", "red shirt", "left")


def test_what_the_close_up_does_not_tell_stays():
    whole = {"persons": [{**FAR["persons"][0], "clothing": "coat", "clothing_colour": "blue"}], "objects": []}
    closer = {"persons": [{**LOOKS, "expression": "unknown"}]}
    person = only_person(look(Model(whole, closer), room_with_portrait()))
    assert (person.expression, person.clothing) == ("neutral", "blue coat")


def test_close_up_holds_the_face_larger_than_the_whole_picture_does():
    model = Model(FAR, NEAR)
    look(model, room_with_portrait())
    whole, closer = (cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR) for each in model.pictures)
    shares = [FaceDetector().detect(each)[0].width / each.shape[1] for each in (whole, closer)]
    assert shares[1] > 1.5 * shares[0]


def test_without_an_answer_to_the_close_up_the_whole_picture_counts():
    seen = look(Model(FAR, BackendUnavailableError("away")), room_with_portrait())
    assert only_person(seen).expression == "neutral"
    assert (seen.scene.source, seen.error) == ("vlm", "")


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (room_with_portrait(), {"close_up": False}),
        (np.full((480, 640, 3), 130, np.uint8), {}),
        (PORTRAIT[40:200, 60:200], {}),
    ],
    ids=["not wanted", "no face", "a face that fills the picture"],
)
def test_model_is_asked_once_where_a_close_up_would_tell_no_more(picture: np.ndarray, options: dict):
    model = Model(FAR, NEAR)
    look(model, picture, **options)
    assert len(model.pictures) == 1


def test_question_set_without_a_close_up_asks_for_none():
    class Words(Model):
        async def __call__(self, image: bytes, questions: QuestionSet) -> str:
            self.pictures.append(image)
            return "A person is on the left."

    model = Words(FAR, NEAR)
    look(model, room_with_portrait(), questions="caption")
    assert len(model.pictures) == 1
