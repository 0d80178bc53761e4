"""Values of the core packages to messages and back; nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from math import isnan, nan

from builtin_interfaces.msg import Duration, Time
from sensor_msgs.msg import RegionOfInterest

from smolfusion_ros.dialogue.actions import STATES
from smolfusion_ros.dialogue.turn import IssuedCommand, TurnRecord
from smolfusion_ros.errors import BusyError, InactiveError, SessionError, SmolFusionError, UtteranceError
from smolfusion_ros.msg import ActionCommand, ActionStatus, MotionState, Person, Scene, SceneObject, StageTime, Turn
from smolfusion_ros.vision.gate import GateDecision
from smolfusion_ros.vision.scene import Roi, SceneDescription, compact_line

_NS = 1_000_000_000
_PERSON_WORDS = ("person", "me", "you")


def time_message(stamp_ns: int) -> Time:
    """Nanoseconds since the epoch as a stamp."""
    return Time(sec=stamp_ns // _NS, nanosec=stamp_ns % _NS)


def stamp_ns(stamp: Time | Duration) -> int:
    """A stamp as nanoseconds since the epoch, or a duration in nanoseconds."""
    return int(stamp.sec * _NS + stamp.nanosec)


def seconds(message: Time | Duration) -> float:
    """A stamp or a duration in seconds."""
    return stamp_ns(message) * 1e-9


def duration_message(seconds: float) -> Duration:
    """Seconds as a duration."""
    total = round(seconds * _NS)
    return Duration(sec=total // _NS, nanosec=total % _NS)


def roi_message(roi: Sequence[int] | None) -> RegionOfInterest:
    """(x, y, width, height) in pixels as a region; width 0 where there is none."""
    x, y, width, height = roi or (0, 0, 0, 0)
    return RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)


def roi_of(message: RegionOfInterest) -> Roi | None:
    """A region as (x, y, width, height) in pixels; None where there is none."""
    return (message.x_offset, message.y_offset, message.width, message.height) if message.width else None


def known(number: float) -> float | None:
    """A number of a message; None for NaN, which stands for one that is not known."""
    return None if isnan(number) else float(number)


_STATES = {getattr(ActionStatus, word.upper()): word for word in STATES}


def status_word(status: ActionStatus) -> str:
    """The state of a status in one word; empty for a number that means nothing."""
    return _STATES.get(status.state, "")


_REFUSALS: tuple[tuple[type[SmolFusionError], str], ...] = (
    (BusyError, "busy"),
    (InactiveError, "inactive"),
    (UtteranceError, "invalid"),
    (SessionError, "invalid"),
)


def refusal_of(error: Exception) -> str:
    """Why there was no turn, as ``Chat`` and ``Converse`` tell it."""
    return next((word for kind, word in _REFUSALS if isinstance(error, kind)), "failed")


def refused(refusal: str, message: str) -> SmolFusionError:
    """The error that ``refusal_of`` was told of."""
    return next((kind for kind, word in _REFUSALS if word == refusal), SmolFusionError)(message)


def motion_message(decision: GateDecision, size: tuple[int, int], seen: int, forwarded: int) -> MotionState:
    """Without its header; ``size`` is the full frame's width and height, pixels."""
    return MotionState(
        width=size[0],
        height=size[1],
        score=decision.score,
        changed_fraction=decision.changed_fraction,
        roi=roi_message(decision.roi),
        active=decision.active,
        camera_moving=decision.camera_moving,
        frames_seen=seen,
        frames_forwarded=forwarded,
    )


def scene_message(scene: SceneDescription, latency_s: float) -> Scene:
    """A scene without its header."""
    persons = [
        Person(
            roi=roi_message(person.roi),
            position=person.position,
            bearing_rad=nan if person.bearing_rad is None else person.bearing_rad,
            expression=person.expression,
            gesture=person.gesture,
            clothing=person.clothing,
            engaged=person.engaged,
            confidence=person.confidence,
            track_id=person.track_id or -1,
        )
        for person in scene.persons
    ]
    objects = [
        SceneObject(
            label=each.label,
            colour=each.colour,
            position=each.position,
            roi=roi_message(each.roi),
            confidence=each.confidence,
        )
        for each in scene.objects
    ]
    return Scene(
        summary=scene.summary,
        compact=compact_line(scene),
        persons=persons,
        objects=objects,
        source=scene.source,
        vlm_latency=duration_message(latency_s),
    )


def target_of(arguments: Mapping[str, object], needs_person: bool, scene: Scene | None) -> tuple[int, float]:
    """Track id and bearing of what a command is about, where the scene shows it; (-1, NaN) otherwise."""
    if scene is None or not (needs_person or arguments.get("target", arguments.get("recipient")) in _PERSON_WORDS):
        return -1, nan
    persons = sorted(scene.persons, key=lambda person: (not person.engaged, -person.confidence))
    return (persons[0].track_id, persons[0].bearing_rad) if persons else (-1, nan)


def command_message(issued: IssuedCommand, now: Time, scene: Scene | None) -> ActionCommand:
    action = issued.command.action
    arguments = dict(issued.command.arguments)
    track_id, bearing_rad = target_of(arguments, action.needs_person, scene)
    message = ActionCommand(
        id=issued.id,
        session_id=issued.session_id,
        turn_id=issued.turn_id,
        name=action.name,
        arguments_json=json.dumps(arguments, ensure_ascii=False),
        source=issued.source,
        priority=action.priority,
        target_track_id=track_id,
        target_bearing_rad=bearing_rad,
        lifetime=duration_message(action.lifetime_s),
        scene_stamp=time_message(issued.scene_stamp_ns),
    )
    message.header.stamp = now
    return message


def turn_message(record: TurnRecord, stamp: Time, commands: Iterable[ActionCommand]) -> Turn:
    message = Turn(
        id=record.id,
        session_id=record.session_id,
        heard=record.heard,
        said=record.said,
        scene=record.scene,
        commands=list(commands),
        rejected=list(record.rejected),
        source=record.source,
        interrupted=record.interrupted,
        error=record.error,
        stages=[StageTime(name=name, duration=duration_message(seconds)) for name, seconds in record.stages_s.items()],
        prompt_tokens=record.prompt_tokens,
        evaluated_tokens=record.evaluated_tokens,
        answer_tokens=record.answer_tokens,
    )
    message.header.stamp = stamp
    return message
