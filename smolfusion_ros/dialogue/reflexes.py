"""Utterances that become a command in milliseconds, without any model.

The whole utterance must be made of phrases and courtesies, after normalising: "Stop!", "please stop", "stop, stop" and
"Robot, stop now" are the reflex, "don't stop" and "the bus stop" are not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from smolfusion_ros.dialogue.actions import STOP, Catalogue, Command
from smolfusion_ros.documents import read_mapping
from smolfusion_ros.errors import CommandError, ConfigurationError

# No reflex is this long; what is longer is for the model.
MAX_WORDS = 12
_NOT_WORD = re.compile(r"[^\w' ]+")


def normalise(text: str) -> str:
    """Case folded, compatibility forms unified, punctuation gone, single spaces.

    Unicode: NFKC of UAX #15, then case folding.
    """
    folded = unicodedata.normalize("NFKC", text).replace("\u2019", "'").casefold()
    return " ".join(_NOT_WORD.sub(" ", folded).split())


class Reflexes:
    """Phrases mapped to actions without arguments."""

    def __init__(
        self,
        catalogue: Catalogue,
        phrases: Mapping[str, Sequence[str]],
        *,
        courtesies: Sequence[str] = (),
        replies: Mapping[str, str] | None = None,
    ) -> None:
        self._courtesies = {normalise(word) for word in courtesies}
        self._replies = dict(replies or {})
        self._commands: dict[str, Command] = {}
        for name, spoken in phrases.items():
            try:
                command = catalogue.command({"name": name, "arguments": {}})
            except CommandError as error:
                raise ConfigurationError(f"reflex {name!r}: {error}") from error
            for phrase in spoken:
                self._commands[normalise(phrase)] = command
        self._by_name = {command.name: command for command in self._commands.values()}
        self._longest = max((len(phrase.split()) for phrase in (*self._commands, *self._courtesies)), default=1)

    def match(self, utterance: str) -> Command | None:
        """The command of an utterance, or None where a model has to think."""
        words = normalise(utterance).split()
        if len(words) > MAX_WORDS:
            return None
        # found[i]: what the first i words are made of, courtesies and phrases only; None: not of these.
        found: list[set[str] | None] = [set(), *([None] * len(words))]
        for end in range(1, len(words) + 1):
            for start in range(max(0, end - self._longest), end):
                before, part = found[start], " ".join(words[start:end])
                if before is None:
                    continue
                if part in self._commands:
                    found[end] = (found[end] or set()) | before | {self._commands[part].name}
                elif part in self._courtesies:
                    found[end] = (found[end] or set()) | before
        names = found[-1] or set()
        return self._by_name[names.pop()] if len(names) == 1 else None

    def reply(self, command: Command) -> str:
        """What the robot says to a reflex."""
        return self._replies.get(command.name, "")

    @classmethod
    def load(cls, path: Path, catalogue: Catalogue, *, name: str = "") -> Reflexes:
        """Read the ``reflexes`` of a catalogue file; ``name`` is the robot's, by which it may be addressed.

        Raises:
            ConfigurationError: the file cannot be read or a reflex is not in the catalogue.
        """
        section = read_mapping(path).get("reflexes") or {}
        return cls(
            catalogue,
            section.get("phrases") or {},
            courtesies=[*(section.get("courtesies") or ()), *([name] if name else [])],
            replies=section.get("replies"),
        )


def stop_command(catalogue: Catalogue) -> Command:
    """The command that ends all motion.

    Raises:
        ConfigurationError: the catalogue has none.
    """
    try:
        return catalogue.command({"name": STOP, "arguments": {}})
    except CommandError as error:
        raise ConfigurationError(f"the action catalogue needs a {STOP!r} without arguments: {error}") from error
