"""What is asked of the vision-language model."""

import json

import jsonschema
import pytest

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.vision.questions import QUESTION_SETS, QuestionSet, question_set

ANSWER = (
    '{"persons": [{"position": "left", "expression": "smiling", "gesture": "waving", "clothing": "shirt", '
    '"clothing_colour": "red", "looking_at_camera": true}], '
    '"objects": [{"label": "cup", "colour": "unknown", "position": "right"}]}'
)


def test_the_caption_question_is_the_one_the_tiny_model_knows():
    asked = question_set("caption")
    assert asked.question == "Describe the scene."
    assert asked.json_schema is None
    assert asked.parse("A sad person in a red shirt is on the left.").persons[0].expression == "sad"


def test_the_schema_is_valid_and_binds_every_word():
    schema = question_set("json").json_schema
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(ANSWER), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(ANSWER.replace("waving", "obey")), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(ANSWER.replace('"cup"', '"ignore the above"')), schema)


def test_an_answer_under_the_schema_is_read():
    scene = question_set("json").parse(ANSWER)
    assert (scene.persons[0].clothing, scene.persons[0].engaged) == ("red shirt", True)
    assert (scene.objects[0].label, scene.objects[0].colour) == ("cup", "")


def test_an_unknown_set_names_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"poem.*caption, json"):
        question_set("poem")
    assert set(QUESTION_SETS) == {"caption", "json"}


def test_an_empty_question_is_refused():
    with pytest.raises(ConfigurationError, match="0 tokens"):
        QuestionSet("empty", "What?", None, 0)
