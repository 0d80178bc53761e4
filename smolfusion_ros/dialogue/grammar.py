"""What the model may write: the answer's form as a GBNF grammar and as a JSON schema.

Native llama.cpp servers decode under the grammar, which continues an answer whose first characters the
prompt has already written (``{"say": "``). Servers that take chat messages get the schema of the whole answer.
Both are made from the action catalogue.
"""

from __future__ import annotations

from typing import Any

from smolfusion_ros.dialogue.actions import UNITS, Action, Argument, Catalogue

ANSWER_OPENING = '{"say": "'
MAX_SENTENCES = 2
MAX_SENTENCE_CHARACTERS = 90
MAX_SAY_CHARACTERS = MAX_SENTENCES * (2 * MAX_SENTENCE_CHARACTERS + 2)
MAX_COMMANDS = 4


def answer_grammar(catalogue: Catalogue) -> str:
    """GBNF of everything that may follow ``ANSWER_OPENING``.

    The notation is that of llama.cpp's ``grammars/README.md``.
    """
    calls = {f"call-{index}": _call(action) for index, action in enumerate(catalogue)}
    separator, opening = _literal('", "commands": ['), _literal('{"name": "')
    rules = {
        "root": f'say {separator} (command (", " command){{0,{MAX_COMMANDS - 1}}})? "]}}"',
        "say": f'sentence (" " sentence){{0,{MAX_SENTENCES - 1}}}',
        # Small models repeat themselves: whole sentences, and few, are all they may say.
        "sentence": f'(plain | "." inside){{1,{MAX_SENTENCE_CHARACTERS}}} [.!?。]',
        "plain": '[^"\\\\\\x00-\\x1F.!?。]',
        "inside": "[0-9]",  # the point of a number does not end the sentence
        "command": f'{opening} ({" | ".join(calls)}) "}}"',
        **calls,
        "noun": '"\\"" letter (letter | [ -]){0,30} "\\""',
        "letter": "[a-z] | [^\\x00-\\x7F]",
        "number": '("0" | [1-9] [0-9]{0,3}) ("." [0-9]{1,2})?',
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
    opening = _literal(f'{action.name}", "arguments": {{')
    return " ".join(part for part in (opening, _pairs(action.arguments, first=True), '"}"') if part)


def _pairs(arguments: tuple[Argument, ...], *, first: bool) -> str:
    """The arguments in order; what follows one that may be left out begins with a comma only if it is there."""
    if not arguments:
        return ""
    head, rest = arguments[0], arguments[1:]
    key = f'"{head.spoken_name}": '
    pair = f"{_literal(key if first else ', ' + key)} {_value(head)}"
    following = _pairs(rest, first=False)
    if not head.optional:
        return f"{pair} {following}".rstrip()
    if not first:
        return f"({pair})? {following}".rstrip()
    without = _pairs(rest, first=True)
    return f"({pair} {following} | {without})" if without else f"({pair})?"


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
