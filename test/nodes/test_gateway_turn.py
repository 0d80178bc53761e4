"""A turn that is waited for over HTTP: pieces from topics that keep no common order come out in a sensible one."""

import asyncio
import json
from math import nan
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from smolfusion_ros.msg import ActionCommand, PerformanceReport, Person, Reply, Scene, Turn

from smolfusion_ros.errors import InactiveError
from smolfusion_ros.gateway.schemas import ChatAnswer, Delta
from smolfusion_ros.gateway.values import Command
from smolfusion_ros.nodes._gateway_turn import AwaitedTurn
from smolfusion_ros.nodes._gateway_values import (
    command_value,
    performance_value,
    reply_value,
    scene_value,
    status_values,
    turn_value,
)

WAVE = ActionCommand(
    id="c1", session_id="anna", turn_id="t1", name="wave", arguments_json='{"hand": "left"}', target_track_id=-1
)


@pytest.fixture
def awaited() -> AwaitedTurn:
    return AwaitedTurn("t1")


def say(awaited: AwaitedTurn, sequence: int, delta: str, turn_id: str = "t1") -> None:
    awaited.on_reply(reply_value(Reply(turn_id=turn_id, session_id="anna", sequence=sequence, delta=delta)))


def record(said: str = "", turn_id: str = "t1", **fields: Any) -> Any:
    return turn_value(Turn(id=turn_id, session_id="anna", said=said, source="llm", **fields))


def pieces(awaited: AwaitedTurn) -> list[Any]:
    async def take() -> list[Any]:
        found = [await awaited.next()]
        while not isinstance(found[-1], ChatAnswer):
            found.append(await awaited.next())
        return found

    return asyncio.run(asyncio.wait_for(take(), 1.0))


def test_pieces_that_nobody_took_are_joined(awaited: AwaitedTurn) -> None:
    for number, delta in enumerate(("Wav", "", "ing ", "now.")):
        say(awaited, number, delta)
    awaited.on_turn(record("Waving now."))
    said, answer = pieces(awaited)
    assert (said, answer.reply) == (Delta(text="Waving now."), "Waving now.")


def test_command_stands_between_the_words_before_and_after_it(awaited: AwaitedTurn) -> None:
    say(awaited, 0, "Waving ")
    awaited.on_command(command_value(WAVE))
    say(awaited, 1, "now.")
    awaited.on_turn(record("Waving now.", commands=[WAVE]))
    assert [type(piece) for piece in pieces(awaited)] == [Delta, Command, Delta, ChatAnswer]


def test_record_brings_what_has_not_come(awaited: AwaitedTurn) -> None:
    say(awaited, 0, "Waving ")
    awaited.on_turn(record("Waving now.", commands=[WAVE]))
    say(awaited, 1, "now.")
    awaited.on_command(command_value(WAVE))
    said, command, answer = pieces(awaited)
    assert (said.text, command.arguments, answer.commands) == ("Waving now.", {"hand": "left"}, (command,))


def test_what_comes_twice_or_belongs_to_others_is_left_out(awaited: AwaitedTurn) -> None:
    say(awaited, 0, "Hello")
    say(awaited, 0, "Hello")
    say(awaited, 1, "elsewhere", turn_id="t2")
    awaited.on_command(command_value(ActionCommand(id="c9", session_id="anna", turn_id="t2")))
    awaited.on_turn(record("other", turn_id="t2"))
    assert not awaited.ended
    awaited.on_turn(record("Hello"))
    awaited.on_turn(record("Hello"))
    assert [type(piece) for piece in pieces(awaited)] == [Delta, ChatAnswer]


def test_failure_comes_behind_what_was_said_and_changes_no_complete_turn(awaited: AwaitedTurn) -> None:
    say(awaited, 0, "Hel")
    awaited.fail(InactiveError("gone"))
    with pytest.raises(InactiveError, match="gone"):
        pieces(awaited)
    assert (awaited.ended, awaited.complete) == (True, False)
    done = AwaitedTurn("t1")
    done.on_turn(record("Hello"))
    done.fail(InactiveError("gone"))
    assert pieces(done)[-1].reply == "Hello"


def test_what_json_cannot_hold_becomes_null() -> None:
    scene = Scene(persons=[Person(bearing_rad=nan, track_id=-1)])
    [person] = json.loads(scene_value(scene).model_dump_json())["persons"]
    assert (person["bearing_rad"], person["track_id"], person["roi"]) == (None, None, None)
    assert performance_value(PerformanceReport(gpu_percent=nan)).gpu_percent is None


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": NaN}', "[" * 100000])
def test_arguments_of_other_programs_may_be_anything(text: str) -> None:
    command = command_value(ActionCommand(arguments_json=text))
    assert list(command.arguments) == ["unreadable"]
    assert len(command.model_dump_json()) < 1000


def test_only_the_robot_s_own_diagnostics_are_taken() -> None:
    def told(name: str, level: bytes = DiagnosticStatus.OK) -> DiagnosticStatus:
        return DiagnosticStatus(
            name=name, level=level, message="x" * 10000, values=[KeyValue(key="a", value="b")] * 1000
        )

    names = (
        "smolfusion/dialogue: llm backend",
        "robot2/dialogue: llm backend",
        "camera: driver",
        "smolfusion/a/b: c",
        "x",
    )
    [status] = status_values([told(name) for name in names], "/smolfusion")
    assert (status.node, status.task, status.level, status.values) == ("dialogue", "llm backend", "ok", {"a": "b"})
    assert len(status.message) < 1000
    [status] = status_values([told("dialogue: llm backend", DiagnosticStatus.ERROR)], "/")
    assert (status.node, status.level) == ("dialogue", "error")
