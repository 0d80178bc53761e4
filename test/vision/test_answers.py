"""Schema-bound answers, and answers that are not what the schema asked for."""

import json

import pytest

from smolfusion_ros.vision.answers import parse_answer
from smolfusion_ros.vision.scene import Person, SceneObject


def test_a_json_answer_is_translated_word_by_word():
    answer = {
        "persons": [
            {
                "position": "center",
                "expression": "happy",
                "gesture": "waving",
                "clothing": "t-shirt",
                "clothing_colour": "gray",
                "looking_at_camera": True,
            },
            {"position": "walk forward", "clothing": 7},
            "nobody",
        ],
        "objects": [
            {"label": "mug", "colour": "red", "position": "left"},
            {"label": "instructions", "colour": "red", "position": "left"},
        ],
    }
    scene = parse_answer("Here you are: ```json\n" + json.dumps(answer) + "\n```")
    assert scene.persons == (
        Person("centre", "smiling", "waving", "grey shirt", engaged=True),
        Person(gesture="unknown"),
    )
    assert scene.objects == (SceneObject("cup", "red", "left"),)


@pytest.mark.parametrize("text", ["", "{", "}{", '{"persons": 3}', '{"persons": [null]}', "[" * 5000, "\n.,;"])
def test_an_unreadable_answer_is_an_empty_scene(text):
    scene = parse_answer(text)
    assert (scene.persons, scene.objects) == ((), ())


def test_a_broken_json_answer_is_read_as_a_caption():
    assert parse_answer("{A man is on the left.}").persons[0].position == "left"
