"""What the model may write: the answer's form as a GBNF grammar and as a JSON schema.

Native llama.cpp servers decode under the grammar, which continues an answer whose first characters the
prompt has already written (``{"say": "``). Servers that take chat messages get the schema of the whole answer.
Both are made from the action catalogue.
"""

from __future__ import annotations

from typing import Any

from smolfusion_ros.dialogue.actions import UNITS, Action, Argument, Catalogue

ANSWER_OPENING = '{"say": "'
MAX_SAY_CHARACTERS = 160
MAX_COMMANDS = 4


def answer_grammar(catalogue: Catalogue) -> str:
    """GBNF of everything that may follow ``ANSWER_OPENING``.

    The notation is that of llama.cpp's ``grammars/README.md``.
    """
    calls = {f"call-{index}": _call(action) for index, action in enumerate(catalogue)}
    separator, opening = _literal('", "commands": ['), _literal('{"name": "')
    rules = {
        "root": f'say {separator} (command (", " command){{0,{MAX_COMMANDS - 1}}})? "]}}"',
        "say": f'[^"\\\\\\x00-\\x1F]{{1,{MAX_SAY_CHARACTERS}}}',
        "command": f'{opening} ({" | ".join(calls)}) "}}"',
        **calls,
        "noun": '"\\"" [a-z] [a-z -]{0,30} "\\""',
        "number": '[0-9]{1,4} ("." [0-9]{1,2})?',
    }
    for unit, factors in UNITS.items():
        rules[f"unit-{unit}"] = " | ".join(_literal(name) for name in factors)
    return "\n".join(f"{name} ::= {body}" for name, body in rules.items()) + "\n"


def answer_schema(catalogue: Catalogue) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a whole answer ``{"say": …, "commands": […]}``."""
    return {
        "type": "object",
        "properties": {
            "say": {"type": "string", "minLength": 1, "maxLength": MAX_SAY_CHARACTERS},
            "commands": {
                "type": "array",
                "maxItems": MAX_COMMANDS,
                "items": {"anyOf": [_command_schema(action) for action in catalogue]},
            },
        },
        "required": ["say", "commands"],
        "additionalProperties": False,
    }


def _literal(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _call(action: Action) -> str:
    parts = [_literal(f'{action.name}", "arguments": {{')]
    for index, argument in enumerate(action.arguments):
        key = f'"{argument.spoken_name}": '
        body = f"{_literal(', ' + key if index else key)} {_value(argument)}"
        parts.append(f"({body})?" if argument.optional else body)
    return " ".join([*parts, '"}"'])


def _value(argument: Argument) -> str:
    if argument.kind == "choice":
        return "(" + " | ".join(_literal(f'"{value}"') for value in argument.values) + ")"
    if argument.kind == "quantity":
        opening, middle, closing = _literal('{"value": '), _literal(', "unit": "'), _literal('"}')
        return f"{opening} number {middle} unit-{argument.unit} {closing}"
    return "noun"


def _command_schema(action: Action) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "name": {"const": action.name},
            "arguments": {
                "type": "object",
                "properties": {argument.spoken_name: _value_schema(argument) for argument in action.arguments},
                "required": [argument.spoken_name for argument in action.arguments if not argument.optional],
                "additionalProperties": False,
            },
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _value_schema(argument: Argument) -> dict[str, Any]:
    if argument.kind == "choice":
        return {"enum": list(argument.values)}
    if argument.kind == "quantity":
        return {
            "type": "object",
            "properties": {"value": {"type": "number"}, "unit": {"enum": list(UNITS[argument.unit])}},
            "required": ["value", "unit"],
            "additionalProperties": False,
        }
    return {"type": "string", "minLength": 1, "maxLength": 32}
