"""Phrasings with optional parts, alternatives and slots: ``[please] (turn|rotate) {direction} by {angle}``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

_TOKEN = re.compile(r"\{(?P<slot>\w+)\}|(?P<mark>[\[\]()|])|(?P<text>[^\[\](){}|]+)|(?P<wrong>.)")


@dataclass(frozen=True)
class Slot:
    """A place that is filled in."""

    name: str


@dataclass(frozen=True)
class Choice:
    """One of several sequences."""

    options: tuple[Sequence, ...]


Sequence = tuple["str | Slot | Choice", ...]


@dataclass(frozen=True)
class Template:
    """A parsed phrasing."""

    source: str
    sequence: Sequence

    @classmethod
    def parse(cls, source: str) -> Template:
        """Read a phrasing.

        Raises:
            ValueError: brackets do not match, or a character has no meaning where it stands.
        """
        tokens = list(_TOKEN.finditer(source))
        options, rest = _options(tokens, 0, "")
        if rest != len(tokens) or len(options) != 1:
            raise ValueError(f"brackets or bars do not match in {source!r}")
        return cls(source, options[0])

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of all slots, in order, each once."""
        return tuple(dict.fromkeys(_slots(self.sequence)))

    def expand(self, random: Random, fill: Callable[[str], str]) -> str:
        """One of the texts it stands for.

        Args:
            fill: gives what stands in a slot; asked once for each, however often it occurs.
        """
        filled: dict[str, str] = {}

        def text(sequence: Sequence) -> str:
            parts = []
            for part in sequence:
                if isinstance(part, Choice):
                    parts.append(text(random.choice(part.options)))
                elif isinstance(part, Slot):
                    if part.name not in filled:
                        filled[part.name] = fill(part.name)
                    parts.append(filled[part.name])
                else:
                    parts.append(part)
            return "".join(parts)

        return tidy(text(self.sequence))


def tidy(text: str) -> str:
    """One space between words, none before a comma, no comma at either end."""
    return re.sub(r"\s+,", ",", " ".join(text.split())).strip(", ")


def _options(tokens: list[re.Match[str]], at: int, closing: str) -> tuple[tuple[Sequence, ...], int]:
    """The alternatives from a position to the closing bracket, and the position behind it."""
    options: list[Sequence] = []
    parts: list[str | Slot | Choice] = []
    while at < len(tokens):
        token, at = tokens[at], at + 1
        mark = token["mark"]
        if token["wrong"]:
            raise ValueError(f"{token['wrong']!r} at character {token.start() + 1} of {token.string!r}")
        if token["slot"]:
            parts.append(Slot(token["slot"]))
        elif token["text"]:
            parts.append(token["text"])
        elif mark == "|" and closing:
            options.append(tuple(parts))
            parts = []
        elif mark and mark in "[(":
            inner, at = _options(tokens, at, "]" if mark == "[" else ")")
            parts.append(Choice((*inner, ()) if mark == "[" else inner))
        elif mark == closing:
            return (*options, tuple(parts)), at
        else:
            raise ValueError(f"{mark!r} at character {token.start() + 1} of {token.string!r}")
    if closing:
        raise ValueError(f"{closing!r} is missing in {tokens[0].string!r}")
    return (*options, tuple(parts)), at


def _slots(sequence: Sequence) -> Iterator[str]:
    for part in sequence:
        if isinstance(part, Slot):
            yield part.name
        elif isinstance(part, Choice):
            for option in part.options:
                yield from _slots(option)
