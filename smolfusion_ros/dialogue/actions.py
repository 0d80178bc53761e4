"""The action catalogue: what the robot can be told to do, and the check of every command against it.

``config/actions.yaml`` is the only place where actions are written down. From it come the validator here,
the grammar that constrains decoding (``grammar.py``) and the list in the prompt (``prompt.py``).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolfusion_ros.documents import read_mapping
from smolfusion_ros.errors import CommandError, ConfigurationError

# Factors to metres and degrees. Foot and inch: international yard and pound agreement of 1959.
LENGTH_UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "ft": 0.3048, "in": 0.0254}
ANGLE_UNITS = {"deg": 1.0, "rad": 180.0 / math.pi, "turn": 360.0}
UNITS = {"m": LENGTH_UNITS, "deg": ANGLE_UNITS}

STOP = "stop"
PRIORITIES = {"low": 0, "normal": 100, "stop": 255}
# What becomes of a command, as the constants of msg/ActionStatus.msg in lower case and in their order.
RUNNING = "running"
STATES = ("accepted", "rejected", RUNNING, "succeeded", "failed", "cancelled")
FINAL_STATES = frozenset({"rejected", "succeeded", "failed", "cancelled"})
MAX_LIFETIME_S = 3600.0
KINDS = ("choice", "target", "noun", "quantity")
MAX_NOUN_LENGTH = 32
_LARGEST = sys.float_info.max  # math.isfinite fails on integers that are larger


@dataclass(frozen=True)
class Argument:
    """One argument of an action.

    Attributes:
        name: as published, with its unit (``angle_deg``).
        kind: ``choice``, ``target``, ``noun`` or ``quantity``.
        values: the words of a choice.
        unit: ``m`` or ``deg`` for a quantity.
        minimum, maximum: bounds of a quantity, in ``unit``, inclusive.
        optional: may be left out.
    """

    name: str
    kind: str
    values: tuple[str, ...] = ()
    unit: str = ""
    minimum: float = 0.0
    maximum: float = 0.0
    optional: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigurationError(f"argument {self.name}: kind {self.kind!r} is not one of {', '.join(KINDS)}")
        if self.kind == "choice" and not self.values:
            raise ConfigurationError(f"argument {self.name}: a choice needs values")
        for value in self.values:
            # YAML 1.1 reads a bare on, off, yes or no as a truth value.
            if not isinstance(value, str) or value != " ".join(value.lower().split()):
                raise ConfigurationError(f"argument {self.name}: value {value!r} is not a word in lower case")
        if self.kind == "quantity":
            if self.unit not in UNITS:
                raise ConfigurationError(f"argument {self.name}: unit {self.unit!r} is not one of {', '.join(UNITS)}")
            if not self.minimum < self.maximum:
                raise ConfigurationError(f"argument {self.name}: range [{self.minimum}, {self.maximum}] is empty")

    @property
    def spoken_name(self) -> str:
        """The name the model writes: without the unit (``angle``)."""
        return self.name.removesuffix(f"_{self.unit}") if self.kind == "quantity" else self.name

    def check(self, value: object) -> str | float:
        """Convert a value as written by the model to the published one.

        Raises:
            CommandError: the value is not of this argument's kind or out of range.
        """
        if self.kind == "quantity":
            return self._quantity(value)
        if not isinstance(value, str):
            raise CommandError(f"{self.name} is {value!r}, not a word")
        word = " ".join(value.split()).lower()
        if self.kind == "choice" and word not in self.values:
            raise CommandError(f"{self.name} {value!r} is not one of {', '.join(self.values)}")
        if not word or len(word) > MAX_NOUN_LENGTH:
            raise CommandError(f"{self.name} must have 1 to {MAX_NOUN_LENGTH} characters, not {len(word)}")
        if self.kind != "choice" and not (word[0].isalpha() and all(char.isalpha() or char in " -" for char in word)):
            raise CommandError(f"{self.name} {value!r} is not a noun")
        return word

    def _quantity(self, value: object) -> float:
        if not isinstance(value, Mapping) or set(value) != {"value", "unit"}:
            raise CommandError(f"{self.name} is {value!r}, not a {{value, unit}} pair")
        number, unit = value["value"], value["unit"]
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) <= _LARGEST:
            raise CommandError(f"{self.name} has the value {number!r}, not a number")
        factor = UNITS[self.unit].get(unit) if isinstance(unit, str) else None
        if factor is None:
            raise CommandError(f"{self.name} is in {unit!r}, not one of {', '.join(UNITS[self.unit])}")
        amount = round(number * factor, 3)
        if not self.minimum <= amount <= self.maximum:
            raise CommandError(f"{self.name} {amount:g} is outside {self.minimum:g} to {self.maximum:g}")
        return amount


@dataclass(frozen=True)
class Action:
    """One entry of the catalogue.

    Attributes:
        name: as published.
        description: for people.
        arguments: in the order in which the model writes them.
        priority: as published, one of ``PRIORITIES``' numbers.
        motion: moves the body; one session at a time may.
        needs_person: only while a person is seen.
        max_scene_age_s, cooldown_s: seconds, 0 where there is no limit.
        lifetime_s: seconds after which the robot ignores the command, at most ``MAX_LIFETIME_S``.
    """

    name: str
    description: str
    arguments: tuple[Argument, ...] = ()
    priority: int = PRIORITIES["normal"]
    motion: bool = False
    needs_person: bool = False
    max_scene_age_s: float = 0.0
    cooldown_s: float = 0.0
    lifetime_s: float = 10.0

    def __post_init__(self) -> None:
        for field in ("max_scene_age_s", "cooldown_s"):
            if not 0.0 <= getattr(self, field) < math.inf:
                raise ConfigurationError(f"{field} is {getattr(self, field)}, not 0 or more seconds")
        if not 0.0 < self.lifetime_s <= MAX_LIFETIME_S:
            raise ConfigurationError(f"lifetime_s is {self.lifetime_s}, not more than 0, at most {MAX_LIFETIME_S:g}")

    @property
    def signature(self) -> str:
        """The action as the prompt lists it, e.g. ``wave{hand: left|right|both}``."""
        parts = []
        for argument in self.arguments:
            kind = "|".join(argument.values) if argument.kind == "choice" else argument.kind
            if argument.kind == "quantity":
                kind = "|".join(UNITS[argument.unit])
            parts.append(f"{argument.spoken_name}{'?' if argument.optional else ''}: {kind}")
        return f"{self.name}{{{', '.join(parts)}}}"


@dataclass(frozen=True)
class Command:
    """A command that is valid by the catalogue. ``arguments`` as published: SI units and degrees."""

    action: Action
    arguments: Mapping[str, str | float]

    @property
    def name(self) -> str:
        return self.action.name

    def as_written(self) -> dict[str, Any]:
        """The command in the form in which the model writes it."""
        arguments: dict[str, Any] = {}
        for spec in self.action.arguments:
            if spec.name in self.arguments:
                value = self.arguments[spec.name]
                arguments[spec.spoken_name] = {"value": value, "unit": spec.unit} if spec.kind == "quantity" else value
        return {"name": self.name, "arguments": arguments}


# For a stop that cannot wait for a catalogue to be read.
PLAIN_STOP = Command(Action(STOP, "stop moving at once", priority=PRIORITIES["stop"], lifetime_s=5.0), {})


class Catalogue:
    """The actions of one robot, by name, in the order of the file."""

    def __init__(self, actions: Mapping[str, Action]) -> None:
        if not actions:
            raise ConfigurationError("the action catalogue is empty")
        self._actions = dict(actions)

    def __iter__(self) -> Iterator[Action]:
        return iter(self._actions.values())

    def __getitem__(self, name: str) -> Action:
        try:
            return self._actions[name]
        except KeyError:
            raise CommandError(f"unknown action {name!r}") from None

    def command(self, written: object) -> Command:
        """Check one command as the model wrote it, ``{"name": …, "arguments": {…}}``.

        Raises:
            CommandError: with the reason, fit for ``Turn.rejected``.
        """
        if not isinstance(written, Mapping) or not isinstance(written.get("name"), str):
            raise CommandError(f"{written!r} is not a command")
        action = self[written["name"]]
        given = written.get("arguments", {})
        if not isinstance(given, Mapping):
            raise CommandError(f"arguments {given!r} are not an object")
        by_name = {argument.spoken_name: argument for argument in action.arguments}
        unknown = set(given) - set(by_name)
        if unknown:
            raise CommandError(f"unknown argument {sorted(unknown)[0]!r}")
        for spoken_name, argument in by_name.items():
            if spoken_name not in given and not argument.optional:
                raise CommandError(f"argument {spoken_name!r} is missing")
        return Command(action, {by_name[key].name: by_name[key].check(value) for key, value in given.items()})

    def restored(self, name: str, arguments: Mapping[str, Any]) -> Command:
        """A command from its published form, as it is kept in memory.

        Raises:
            CommandError: it is not valid by this catalogue (any more).
        """
        action = self[name]
        written = {
            spec.spoken_name: {"value": arguments[spec.name], "unit": spec.unit}
            if spec.kind == "quantity"
            else arguments[spec.name]
            for spec in action.arguments
            if spec.name in arguments
        }
        return self.command({"name": name, "arguments": written})

    @classmethod
    def load(cls, path: Path) -> Catalogue:
        """Read the ``actions`` of a catalogue file.

        Raises:
            ConfigurationError: the file cannot be read or an entry is wrong; names the entry.
        """
        document = read_mapping(path)
        entries = document.get("actions")
        if not isinstance(entries, Mapping):
            raise ConfigurationError(f"{path}: no `actions`")
        return cls({name: _action(path, name, entry or {}) for name, entry in entries.items()})


def _action(path: Path, name: str, entry: object) -> Action:
    if not isinstance(entry, Mapping):
        raise ConfigurationError(f"{path}: {name}: {entry!r} is not a mapping")
    known = {"description", "arguments", "priority", "motion", "needs", "max_scene_age_s", "cooldown_s", "lifetime_s"}
    unknown = set(entry) - known
    if unknown:
        raise ConfigurationError(f"{path}: {name}: unknown key {sorted(unknown)[0]!r}")
    priority = entry.get("priority", "stop" if name == STOP else "normal")
    if priority not in tuple(PRIORITIES):
        raise ConfigurationError(f"{path}: {name}: priority {priority!r} is not one of {', '.join(PRIORITIES)}")
    if (priority == "stop") != (name == STOP):
        raise ConfigurationError(f"{path}: {name}: priority {priority!r}; `stop` is that of the action stop alone")
    if not isinstance(entry.get("motion", False), bool):
        raise ConfigurationError(f"{path}: {name}: motion {entry['motion']!r} is not true or false")
    if entry.get("needs") not in (None, "person"):
        raise ConfigurationError(f"{path}: {name}: needs {entry['needs']!r}; only `person` is known")
    try:
        return Action(
            name=name,
            description=str(entry.get("description", name)),
            arguments=tuple(_argument(key, value) for key, value in (entry.get("arguments") or {}).items()),
            priority=PRIORITIES[priority],
            motion=entry.get("motion", False),
            needs_person=entry.get("needs") == "person",
            max_scene_age_s=float(entry.get("max_scene_age_s", 0.0)),
            cooldown_s=float(entry.get("cooldown_s", 0.0)),
            lifetime_s=float(entry.get("lifetime_s", 10.0)),
        )
    except (ConfigurationError, AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{path}: {name}: {error}") from error


def _argument(name: str, entry: object) -> Argument:
    if not isinstance(entry, Mapping):
        raise ConfigurationError(f"argument {name}: {entry!r} is not a mapping")
    low, high = entry.get("range", (0.0, 0.0))
    return Argument(
        name=name,
        kind=str(entry.get("kind")),
        values=tuple(entry.get("values", ())),
        unit=str(entry.get("unit", "")),
        minimum=float(low),
        maximum=float(high),
        optional=bool(entry.get("optional", False)),
    )
