"""The grammar and the schema: both let through what the catalogue takes, judged by llama.cpp and jsonschema."""

import json
from random import Random
from typing import Any

import gbnf
import jsonschema
import pytest
from random_commands import any_command

from smolfusion_ros.dialogue.actions import Action, Argument, Catalogue
from smolfusion_ros.dialogue.grammar import (
    ANSWER_OPENING,
    MAX_COMMANDS,
    MAX_SAY_CHARACTERS,
    MAX_SENTENCE_CHARACTERS,
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


SENTENCE = "a" * MAX_SENTENCE_CHARACTERS


@pytest.mark.parametrize(
    "say", ["Yes.", "Sì, 안녕하세요 🙂!", "I walk 1.5 meters.", "네。", "Yes. Who are you?", f"{SENTENCE}. {SENTENCE}."]
)
def test_one_or_two_sentences_may_be_said(grammar: str, validator: jsonschema.Draft202012Validator, say: str):
    assert gbnf.admits(grammar, tail(say))
    assert validator.is_valid({"say": say, "commands": []})


@pytest.mark.parametrize(
    "say", ["", "Yes", ".", "Yes. No. Well.", "Yes. ", "Yes.No.", f"{SENTENCE}a.", "Yes\\n.", "Yes\n.", "\x00."]
)
def test_other_speech_may_not_be_written(grammar: str, say: str):
    assert not gbnf.admits(grammar, f'{say}", "commands": []}}')


@pytest.mark.parametrize("number", ["0", "0.25", "1", "1.5", "90", "9999.99"])
def test_amounts_are_plain_numbers(grammar: str, number: str):
    assert gbnf.admits(grammar, tail("A.", WALK).replace(": 1,", f": {number},"))


@pytest.mark.parametrize("number", ["-1", "1e5", "12345", "007", "1.", ".5", "1.125", "NaN", '"1"', ""])
def test_other_numbers_may_not_be_written(grammar: str, number: str):
    assert not gbnf.admits(grammar, tail("A.", WALK).replace(": 1,", f": {number},"))


@pytest.mark.parametrize(
    "answer",
    [
        "A.",
        'A.", "commands": []} ',
        'A.", "commands": [], "mood": "good"}',
        tail("A.", {"name": "fly", "arguments": {}}),
        tail("A.", {"name": "wave", "arguments": {}}),
        tail("A.", {"name": "wave", "arguments": {"hand": "third"}}),
        tail("A.", {"name": "stop", "arguments": {"hand": "left"}}),
        tail("A.", {"name": "look_at", "arguments": {"target": ""}}),
        tail("A.", {"name": "look_at", "arguments": {"target": "x" * 32}}),
        tail("A.", {"name": "look_at", "arguments": {"target": 'x"y'}}),
        tail("A.", *[{"name": "nod", "arguments": {}}] * (MAX_COMMANDS + 1)),
        tail("A.", WALK).replace('"m"', '"km"'),
        tail("A.", WALK).replace('"m"', '"deg"'),
    ],
)
def test_what_is_no_answer_of_the_catalogue_may_not_be_written(grammar: str, answer: str):
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
        assert gbnf.admits(grammar, tail("A.", written)) is valid, written
        assert (
            jsonschema.Draft202012Validator(answer_schema(own)).is_valid({"say": "a", "commands": [written]}) is valid
        )


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


def test_any_letters_that_need_no_escapes_may_be_said(grammar: str):
    random = Random(2)
    letters = [chr(code) for code in (*range(0x20, 0x7F), 0xE9, 0xAC00, 0x1F642) if chr(code) not in '"\\.!?']
    for _ in range(20):
        say = "".join(random.choices(letters, k=random.randint(1, 40))) + random.choice(".!?")
        answer = f'{say}", "commands": []}}'
        assert gbnf.admits(grammar, answer), say
        assert json.loads(ANSWER_OPENING + answer)["say"] == say
