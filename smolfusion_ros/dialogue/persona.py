"""Who the robot is: its system text, canned answers, and the examples that show the model an answer's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.documents import read_mapping
from smolfusion_ros.errors import CommandError, ConfigurationError


@dataclass(frozen=True)
class Example:
    """One turn of the constant part of the prompt."""

    scene: str
    heard: str
    say: str
    commands: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Persona:
    """The contents of ``config/persona.yaml``; ``examples`` are checked against the catalogue.

    ``looks`` are phrases that ask for what is seen now. ``canned_stale_scene`` says how many ``{seconds}`` old the
    scene is that such a question was answered from; empty: nothing is said.
    """

    name: str
    text: str
    canned_unavailable: str
    examples: tuple[Example, ...] = ()
    looks: tuple[str, ...] = ()
    canned_stale_scene: str = ""

    def without_examples(self) -> Persona:
        """The same robot, for a model that was taught what an answer looks like."""
        return replace(self, examples=())

    @classmethod
    def load(cls, path: Path, catalogue: Catalogue) -> Persona:
        """Read a persona.

        Raises:
            ConfigurationError: the file cannot be read, a key is missing, or an example's command is not in
                the catalogue.
        """
        document = read_mapping(path)
        try:
            examples = tuple(_example(entry, catalogue) for entry in document.get("examples", ()))
            return cls(
                name=str(document["name"]),
                text=" ".join(str(document["persona"]).split()),
                canned_unavailable=str(document["canned"]["unavailable"]),
                examples=examples,
                looks=tuple(map(str, document.get("looks", ()))),
                canned_stale_scene=_stale_scene(str(document["canned"].get("stale_scene", ""))),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{path}: missing or wrong: {error}") from error
        except CommandError as error:
            raise ConfigurationError(f"{path}: examples: {error}") from error
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error}") from error


def _stale_scene(text: str) -> str:
    try:
        text.format(seconds=1)
    except (LookupError, ValueError) as error:
        raise ConfigurationError(f"canned.stale_scene {text!r}: {{seconds}} alone can stand in it: {error}") from error
    return text


def _example(entry: Mapping[str, Any], catalogue: Catalogue) -> Example:
    commands = tuple(entry.get("commands", ()))
    for command in commands:
        catalogue.command(command)
    return Example(str(entry["scene"]), str(entry["heard"]), str(entry["say"]), commands)
