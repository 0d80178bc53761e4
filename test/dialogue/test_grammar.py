"""The grammar and the schema: both let through what the catalogue takes, judged by llama.cpp and jsonschema."""

import json
from random import Random
from typing import Any

import gbnf
import jsonschema
import pytest
from commands import any_command

from smolfusion_ros.dialogue.actions import Action, Argument, Catalogue
from smolfusion_ros.dialogue.grammar import (
    ANSWER_OPENING,
    MAX_COMMANDS,
    MAX_SAY_CHARACTERS,
    answer_grammar,
    answer_schema,
)
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.dialogue.prompt import PromptLayout

WALK = {"name": "walk", "arguments": {"direction": "left", "distance": {"value": 1, "unit": "m"}}}


@pytest.fixture(scope="module")
def grammar(catalogue: Catalogue) -> str:
    return answer_grammar(catalogue)


@pytest.fixture(scope="module")
def validator(catalogue: Catalogue) -> jsonschema.Draft202012Validator:
    schema = answer_schema(catalogue)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def tail(say: str, *commands: dict[str, Any]) -> str:
    return PromptLayout.answer_text(say, commands).removeprefix(ANSWER_OPENING)


def test_every_action_of_the_default_catalogue_passes_schema_and_grammar(
    catalogue: Catalogue, grammar: str, validator: jsonschema.Draft202012Validator
):
    random = Random(1)
    for action in catalogue:
        for _ in range(8):
            commands = [any_command(random, action) for _ in range(random.randint(1, MAX_COMMANDS))]
            validator.validate({"say": "Yes.", "commands": commands})
            assert gbnf.admits(grammar, tail("Yes.", *commands)), commands


def test_examples_of_the_persona_are_answers_that_the_model_may_write(
    persona: Persona, grammar: str, validator: jsonschema.Draft202012Validator
):
    assert len(persona.examples) >= 8
    for example in persona.examples:
        validator.validate(json.loads(PromptLayout.answer_text(example.say, example.commands)))
        assert gbnf.admits(grammar, tail(example.say, *example.commands)), example


@pytest.mark.parametrize(
    "answer",
    [
        'Sì, 안녕하세요 🙂", "commands": []}',
        f'{"a" * MAX_SAY_CHARACTERS}", "commands": []}}',
        'a", "commands": [{"name": "walk", "arguments": {"direction": "left", "distance": '
        '{"value": 0.25, "unit": "m"}}}]}',
    ],
)
def test_answer_in_form_may_be_written(grammar: str, answer: str):
    assert gbnf.admits(grammar, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "a",
        '", "commands": []}',
        f'{"a" * (MAX_SAY_CHARACTERS + 1)}", "commands": []}}',
        'a\\n", "commands": []}',
        'a\nb", "commands": []}',
        'a", "commands": []} ',
        'a", "commands": [], "mood": "good"}',
        tail("a", {"name": "fly", "arguments": {}}),
        tail("a", {"name": "wave", "arguments": {}}),
        tail("a", {"name": "wave", "arguments": {"hand": "third"}}),
        tail("a", {"name": "stop", "arguments": {"hand": "left"}}),
        tail("a", {"name": "look_at", "arguments": {"target": ""}}),
        tail("a", {"name": "look_at", "arguments": {"target": "x" * 32}}),
        tail("a", {"name": "look_at", "arguments": {"target": 'x"y'}}),
        tail("a", *[{"name": "nod", "arguments": {}}] * (MAX_COMMANDS + 1)),
        tail("a", WALK).replace('"m"', '"km"'),
        tail("a", WALK).replace('"m"', '"deg"'),
        tail("a", WALK).replace(": 1,", ": -1,"),
        tail("a", WALK).replace(": 1,", ": 1e5,"),
        tail("a", WALK).replace(": 1,", ": 12345,"),
        tail("a", WALK).replace(": 1,", ": 007,"),
        tail("a", WALK).replace(": 1,", ": 1.,"),
    ],
)
def test_anything_else_may_not_be_written(grammar: str, answer: str):
    assert not gbnf.admits(grammar, answer)


def test_judge_tells_a_grammar_that_is_none():
    with pytest.raises(ValueError, match="cannot parse"):
        gbnf.admits("root ::= (", "a")


@pytest.mark.parametrize("pattern", ["o", "or", "ro", "oo", "oro", "roo", "ooo", "orro"])
def test_arguments_that_may_be_left_out_may_stand_anywhere(pattern: str):
    arguments = tuple(
        Argument(f"a{index}", "choice", values=("x",), optional=kind == "o") for index, kind in enumerate(pattern)
    )
    own = Catalogue({"act": Action("act", "", arguments)})
    grammar = answer_grammar(own)
    for chosen in range(2 ** len(pattern)):
        given = {a.name: "x" for index, a in enumerate(arguments) if chosen >> index & 1}
        written = {"name": "act", "arguments": given}
        valid = all(a.optional or a.name in given for a in arguments)
        assert gbnf.admits(grammar, tail("a", written)) is valid, written
        assert jsonschema.Draft202012Validator(answer_schema(own)).is_valid({"say": "a", "commands": [written]}) is valid


@pytest.mark.parametrize(
    "answer",
    [
        {"say": "", "commands": []},
        {"say": "a" * (MAX_SAY_CHARACTERS + 1), "commands": []},
        {"say": "a"},
        {"commands": []},
        {"say": 1, "commands": []},
        {"say": "a", "commands": {}},
        {"say": "a", "commands": [], "mood": "good"},
        {"say": "a", "commands": ["stop"]},
        {"say": "a", "commands": [{"name": "stop"}]},
        {"say": "a", "commands": [{"name": "fly", "arguments": {}}]},
        {"say": "a", "commands": [{"name": "wave", "arguments": {}}]},
        {"say": "a", "commands": [{"name": "stop", "arguments": {"hand": "left"}}]},
        {"say": "a", "commands": [{"name": "nod", "arguments": {}}] * (MAX_COMMANDS + 1)},
        {"say": "a", "commands": [WALK | {"arguments": {"direction": "left", "distance": 1}}]},
        {"say": "a", "commands": [WALK | {"id": 1}]},
    ],
)
def test_schema_refuses_what_is_no_answer(validator: jsonschema.Draft202012Validator, answer: object):
    assert not validator.is_valid(answer)


def test_say_may_hold_what_the_grammar_of_strings_allows_without_escapes(grammar: str):
    random = Random(2)
    letters = [chr(code) for code in (*range(0x20, 0x7F), 0xE9, 0xAC00, 0x1F642) if chr(code) not in '"\\']
    for _ in range(20):
        say = "".join(random.choices(letters, k=random.randint(1, 40)))
        assert gbnf.admits(grammar, f'{say}", "commands": []}}'), say
        assert json.loads(f'{ANSWER_OPENING}{say}", "commands": []}}')["say"] == say
