"""Messages to the gateway's values; nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Bool

from smolfusion_ros.dialogue.actions import Action, Argument
from smolfusion_ros.gateway import schemas, values
from smolfusion_ros.msg import (
    ActionCommand,
    ActionStatus,
    MotionState,
    PerformanceReport,
    Reply,
    Scene,
    Turn,
    Utterance,
)
from smolfusion_ros.nodes._messages import known, roi_of, seconds, status_word

_LEVELS: dict[bytes, values.Level] = {
    DiagnosticStatus.OK: "ok",
    DiagnosticStatus.WARN: "warning",
    DiagnosticStatus.ERROR: "error",
    DiagnosticStatus.STALE: "stale",
}
# What is shown of a task: other programs may write into /diagnostics too.
MAX_STATUS_VALUES = 64
MAX_STATUS_CHARACTERS = 500


def scene_value(scene: Scene) -> values.Scene:
    return values.Scene(
        stamp=seconds(scene.header.stamp),
        summary=scene.summary,
        compact=scene.compact,
        persons=tuple(
            values.Person(
                position=each.position,
                bearing_rad=known(each.bearing_rad),
                expression=each.expression,
                gesture=each.gesture,
                clothing=each.clothing,
                engaged=each.engaged,
                confidence=each.confidence,
                track_id=_track(each.track_id),
                roi=_region(each.roi),
            )
            for each in scene.persons
        ),
        objects=tuple(
            values.SceneObject(
                label=each.label,
                colour=each.colour,
                position=each.position,
                confidence=each.confidence,
                roi=_region(each.roi),
            )
            for each in scene.objects
        ),
        source=scene.source,
        vlm_latency_s=seconds(scene.vlm_latency),
    )


def motion_value(motion: MotionState) -> values.Motion:
    return values.Motion(
        stamp=seconds(motion.header.stamp),
        width=motion.width,
        height=motion.height,
        score=motion.score,
        changed_fraction=motion.changed_fraction,
        active=motion.active,
        camera_moving=motion.camera_moving,
        frames_seen=motion.frames_seen,
        frames_forwarded=motion.frames_forwarded,
        roi=_region(motion.roi),
    )


def command_value(command: ActionCommand) -> values.Command:
    return values.Command(
        id=command.id,
        session_id=command.session_id,
        turn_id=command.turn_id,
        name=command.name,
        arguments=_arguments(command.arguments_json),
        source=command.source,
        priority=command.priority,
        target_track_id=_track(command.target_track_id),
        target_bearing_rad=known(command.target_bearing_rad),
        lifetime_s=seconds(command.lifetime),
        stamp=seconds(command.header.stamp),
    )


def command_status_value(status: ActionStatus) -> values.CommandStatus:
    return values.CommandStatus(
        command_id=status.command_id,
        state=status_word(status) or str(status.state),
        detail=status.detail,
        stamp=seconds(status.header.stamp),
    )


def reply_value(reply: Reply) -> values.Reply:
    return values.Reply(
        session_id=reply.session_id,
        turn_id=reply.turn_id,
        sequence=reply.sequence,
        delta=reply.delta,
        clause=reply.clause,
        is_final=reply.is_final,
        interrupted=reply.interrupted,
    )


def utterance_value(utterance: Utterance) -> values.Utterance:
    return values.Utterance(
        session_id=utterance.session_id,
        text=utterance.text,
        language=utterance.language,
        confidence=known(utterance.confidence) or None,
        stamp=seconds(utterance.header.stamp),
    )


def turn_value(turn: Turn) -> values.Turn:
    return values.Turn(
        id=turn.id,
        session_id=turn.session_id,
        stamp=seconds(turn.header.stamp),
        heard=turn.heard,
        said=turn.said,
        scene=turn.scene,
        commands=tuple(map(command_value, turn.commands)),
        rejected=tuple(turn.rejected),
        source=turn.source,
        interrupted=turn.interrupted,
        error=turn.error,
        stages_s={each.name: seconds(each.duration) for each in turn.stages},
        prompt_tokens=turn.prompt_tokens,
        evaluated_tokens=turn.evaluated_tokens,
        answer_tokens=turn.answer_tokens,
    )


def answer_value(turn: values.Turn) -> schemas.ChatAnswer:
    """The answer to a chat out of its turn."""
    return schemas.ChatAnswer(
        reply=turn.said,
        commands=turn.commands,
        rejected=turn.rejected,
        turn_id=turn.id,
        session_id=turn.session_id,
        source=turn.source,
        interrupted=turn.interrupted,
        error=turn.error,
    )


def performance_value(report: PerformanceReport) -> values.Performance:
    return values.Performance(
        stamp=seconds(report.header.stamp),
        stages=tuple(
            values.Stage(name=each.name, count=each.count, p50_ms=each.p50_ms, p95_ms=each.p95_ms, p99_ms=each.p99_ms)
            for each in report.stages
        ),
        processes=tuple(
            values.Process(
                name=each.name,
                pid=each.pid,
                cpu_percent=each.cpu_percent,
                memory_bytes=each.memory_bytes,
                threads=each.threads,
                open_files=each.open_files,
            )
            for each in report.processes
        ),
        gpu_percent=known(report.gpu_percent),
        gpu_memory_bytes=report.gpu_memory_bytes or None,
        gate_skipped_fraction=report.gate_skipped_fraction,
        temperatures_c={each.name: each.value for each in report.temperatures_c},
        powers_w={each.name: each.value for each in report.powers_w},
    )


def emergency_stop_value(engaged: Bool) -> values.EmergencyStop:
    return values.EmergencyStop(engaged=engaged.data)


def status_values(statuses: Iterable[DiagnosticStatus], namespace: str) -> list[values.Status]:
    """The statuses of one robot's nodes, named ``<namespace>/<node>: <task>``."""
    prefix, found = f"{namespace.strip('/')}/".lstrip("/"), []
    for each in statuses:
        node, separator, task = each.name.removeprefix(prefix).partition(": ")
        if not separator or not each.name.startswith(prefix) or "/" in node:
            continue
        told = {
            pair.key[:MAX_STATUS_CHARACTERS]: pair.value[:MAX_STATUS_CHARACTERS]
            for pair in each.values[:MAX_STATUS_VALUES]
        }
        found.append(
            values.Status(
                node=node,
                task=task,
                level=_LEVELS.get(each.level, "error"),
                message=each.message[:MAX_STATUS_CHARACTERS],
                values=told,
            )
        )
    return found


def action_value(action: Action) -> schemas.Action:
    return schemas.Action(
        name=action.name,
        description=action.description,
        priority=action.priority,
        motion=action.motion,
        needs_person=action.needs_person,
        max_scene_age_s=action.max_scene_age_s,
        cooldown_s=action.cooldown_s,
        lifetime_s=action.lifetime_s,
        arguments=tuple(map(_argument_value, action.arguments)),
    )


def _argument_value(argument: Argument) -> schemas.ActionArgument:
    return schemas.ActionArgument(
        name=argument.name,
        kind=argument.kind,
        optional=argument.optional,
        values=argument.values,
        unit=argument.unit,
        range=(argument.minimum, argument.maximum) if argument.kind == "quantity" else None,
    )


def _arguments(text: str) -> dict[str, Any]:
    # A command of another program need not be what dialogue makes sure of.
    try:
        found = json.loads(text or "{}", parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {"unreadable": text[:MAX_STATUS_CHARACTERS]}
    return found if isinstance(found, dict) else {"unreadable": text[:MAX_STATUS_CHARACTERS]}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _track(track_id: int) -> int | None:
    return None if track_id < 0 else track_id


def _region(message: RegionOfInterest) -> values.Region | None:
    if (roi := roi_of(message)) is None:
        return None
    x, y, width, height = roi
    return values.Region(x=x, y=y, width=width, height=height)
