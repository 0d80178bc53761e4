"""What the robot says, commands and sees, as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from smolfusion_ros.action import Converse
from smolfusion_ros.msg import ActionCommand
from smolfusion_ros.msg import Scene as SceneMessage
from smolfusion_ros.nodes._messages import known, seconds
from smolfusion_ros.srv import Chat


@dataclass(frozen=True)
class Command:
    """Something the robot's body is to do.

    Attributes:
        name: an action of config/actions.yaml.
        arguments: SI units and degrees, such as ``{"direction": "left", "angle_deg": 90.0}``.
        turn_id: of the turn it came from; empty for the emergency stop.
        source: reflex, llm or api.
        priority: higher wins; 255 is a stop.
        bearing_rad: of what it is about, positive to the robot's left; None where it is not seen.
        expires_s: on the steady clock (``time.monotonic``); it must not be begun later.
    """

    id: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    session_id: str = ""
    source: str = ""
    priority: int = 0
    turn_id: str = ""
    bearing_rad: float | None = None
    expires_s: float = float("inf")

    @property
    def expired(self) -> bool:
        return monotonic() > self.expires_s


@dataclass(frozen=True)
class Answer:
    """One turn of a conversation.

    Attributes:
        said: the answer, as far as it was given.
        rejected: ``<command>: <reason>`` for what was not published.
        interrupted: it was cancelled, or the person said something else meanwhile.
        error: why the model gave no answer; empty: it did.
    """

    said: str
    commands: tuple[Command, ...] = ()
    rejected: tuple[str, ...] = ()
    session_id: str = ""
    turn_id: str = ""
    interrupted: bool = False
    error: str = ""


@dataclass(frozen=True)
class Analysis:
    """What the vision-language model said of a picture, and how long it took, seconds."""

    answer: str
    latency_s: float


@dataclass(frozen=True)
class Person:
    """Somebody in a scene; left and right are the picture's, a bearing is positive to the robot's left."""

    position: str
    expression: str
    gesture: str
    clothing: str
    engaged: bool
    bearing_rad: float | None


@dataclass(frozen=True)
class Thing:
    """An object in a scene; left and right are the picture's."""

    label: str
    colour: str
    position: str


@dataclass(frozen=True)
class Scene:
    """What the robot sees.

    Attributes:
        line: the line that the language model gets, enumerated words only.
        summary: the vision-language model's own words, for people.
        source: vlm, or detector where only faces were looked for.
        stamp_s: time of the frame, seconds since the epoch.
    """

    line: str
    summary: str
    persons: tuple[Person, ...]
    things: tuple[Thing, ...]
    source: str
    stamp_s: float


def command_of(message: ActionCommand, now_s: float) -> Command:
    """A command out of its message.

    Args:
        now_s: the clock that messages are stamped with. A stamp in the future counts as now.
    """
    age_s = max(0.0, now_s - seconds(message.header.stamp))
    return Command(
        id=message.id,
        name=message.name,
        arguments=json.loads(message.arguments_json or "{}"),
        session_id=message.session_id,
        turn_id=message.turn_id,
        source=message.source,
        priority=message.priority,
        bearing_rad=known(message.target_bearing_rad),
        expires_s=monotonic() + seconds(message.lifetime) - age_s,
    )


def answer_of(
    result: Chat.Response | Converse.Result, session_id: str, now_s: float, *, cancelled: bool = False
) -> Answer:
    """An answer out of what ``chat`` or ``converse`` came to.

    Args:
        now_s: as for ``command_of``.
    """
    interrupted = cancelled or result.message == "interrupted"
    return Answer(
        said=result.reply,
        commands=tuple(command_of(each, now_s) for each in result.commands),
        rejected=tuple(result.rejected),
        session_id=session_id,
        turn_id=result.turn_id,
        interrupted=interrupted,
        error="" if result.success or interrupted else result.message,
    )


def scene_of(message: SceneMessage) -> Scene:
    """A scene out of its message."""
    return Scene(
        line=message.compact,
        summary=message.summary,
        persons=tuple(
            Person(
                each.position,
                each.expression,
                each.gesture,
                each.clothing,
                bool(each.engaged),
                known(each.bearing_rad),
            )
            for each in message.persons
        ),
        things=tuple(Thing(each.label, each.colour, each.position) for each in message.objects),
        source=message.source,
        stamp_s=seconds(message.header.stamp),
    )
