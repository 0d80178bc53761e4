"""Utterances that become a command in milliseconds, without any model.

The whole utterance is compared, after normalising: "Stop!", "please stop" and "Robot, stop now" are the reflex,
"don't stop" and "the bus stop" are not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from smolfusion_ros.dialogue.actions import Catalogue, Command
from smolfusion_ros.documents import read_mapping
from smolfusion_ros.errors import CommandError, ConfigurationError

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

    def match(self, utterance: str) -> Command | None:
        """The command of an utterance, or None where a model has to think."""
        words = normalise(utterance).split()
        while words:
            command = self._commands.get(" ".join(words))
            if command is not None:
                return command
            if words[0] in self._courtesies:
                del words[0]
            elif words[-1] in self._courtesies:
                del words[-1]
            else:
                return None
        return None

    def reply(self, command: Command) -> str:
        """What the robot says to a reflex."""
        return self._replies.get(command.name, "")

    @classmethod
    def load(cls, path: Path, catalogue: Catalogue) -> Reflexes:
        """Read the ``reflexes`` of a catalogue file.

        Raises:
            ConfigurationError: the file cannot be read or a reflex is not in the catalogue.
        """
        section = read_mapping(path).get("reflexes") or {}
        return cls(
            catalogue,
            section.get("phrases") or {},
            courtesies=section.get("courtesies") or (),
            replies=section.get("replies"),
        )
