"""Turn messages to JSON documents, as memory keeps them, and back."""

from __future__ import annotations

import json
from math import isnan, nan
from typing import Any

from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.dialogue.recall import RememberedTurn
from smolfusion_ros.errors import CommandError
from smolfusion_ros.memory.store import StoredTurn
from smolfusion_ros.msg import ActionCommand, StageTime, Turn
from smolfusion_ros.nodes._messages import duration_message, seconds, stamp_ns, time_message

_PLAIN = [
    "heard",
    "said",
    "scene",
    "rejected",
    "source",
    "interrupted",
    "error",
    "prompt_tokens",
    "evaluated_tokens",
    "answer_tokens",
]
_COMMAND = ["id", "name", "arguments_json", "source", "priority", "target_track_id"]


def stored_turn(turn: Turn) -> StoredTurn:
    """A turn as it is stored; its share of a prompt is what it cost when it happened."""
    document: dict[str, Any] = {name: getattr(turn, name) for name in _PLAIN}
    document["rejected"] = list(turn.rejected)
    document["stages_s"] = {each.name: seconds(each.duration) for each in turn.stages}
    document["commands"] = [
        {name: getattr(command, name) for name in _COMMAND}
        | {
            "stamp_ns": stamp_ns(command.header.stamp),
            "lifetime_ns": stamp_ns(command.lifetime),
            "scene_stamp_ns": stamp_ns(command.scene_stamp),
            "target_bearing_rad": None if isnan(command.target_bearing_rad) else command.target_bearing_rad,
        }
        for command in turn.commands
    ]
    tokens = turn.evaluated_tokens + turn.answer_tokens or (len(turn.heard) + len(turn.said)) // 4
    return StoredTurn(turn.id, turn.session_id, stamp_ns(turn.header.stamp), tokens, document)


def restored_turn(stored: StoredTurn) -> Turn:
    """The message of a stored turn."""
    document = stored.document
    turn = Turn(id=stored.id, session_id=stored.session_id, **{name: document[name] for name in _PLAIN})
    turn.header.stamp = time_message(stored.stamp_ns)
    turn.stages = [
        StageTime(name=name, duration=duration_message(seconds)) for name, seconds in document["stages_s"].items()
    ]
    for fields in document["commands"]:
        command = ActionCommand(session_id=stored.session_id, **{name: fields[name] for name in _COMMAND})
        command.header.stamp = time_message(fields["stamp_ns"])
        command.lifetime = duration_message(fields["lifetime_ns"] * 1e-9)
        command.scene_stamp = time_message(fields["scene_stamp_ns"])
        bearing_rad = fields["target_bearing_rad"]
        command.target_bearing_rad = nan if bearing_rad is None else bearing_rad
        turn.commands.append(command)
    return turn


def remembered_turn(turn: Turn, layout: PromptLayout) -> RememberedTurn:
    """A turn as the prompt holds it; commands that are not in the catalogue any more are left out."""
    commands = []
    for command in turn.commands:
        try:
            restored = layout.catalogue.restored(command.name, json.loads(command.arguments_json))
        except CommandError:
            continue
        commands.append(restored.as_written())
    return turn.scene, turn.heard, layout.answer_text(turn.said, commands)
