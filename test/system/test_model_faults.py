"""A language model's server at its worst: turns end with the reason, nothing wrong goes out, the dialogue lives."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from scripted_server import BREAK_OFF, Reply, Stream
from smolfusion_ros.msg import Turn
from smolfusion_ros.srv import Chat

from system.probe import Heard, until
from system.scripted import LAST, ScriptedModel, piece, written
from system.stack import Stack, running

pytestmark = pytest.mark.system

CUT_OFF = "the answer was cut off"
DEADLINE_S = 1.5
ANSWER_S = 3.0
# What a turn takes that asks no server.
AT_ONCE_S = 0.5
# Of a server that fails so often in a row the dialogue asks nothing for a while.
FAILURES, REST_S = 3, 1.0
SIT_DOWN = '{"name": "sit_down", "arguments": {}}'
TURN = '{"name": "turn", "arguments": {"direction": "left", "angle": '


@pytest.fixture(scope="module")
def stack(tmp_path_factory, model: ScriptedModel) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("faults"), "dialogue", "memory", llm_port=model.port) as started:
        until(lambda: "]: ready\n" in started.workplace.log("dialogue").read_text(), "a warm dialogue")
        yield started


@pytest.fixture(scope="module")
def commands(stack: Stack) -> Heard:
    return stack.probe.heard("action_command")


def _chat(stack: Stack) -> tuple[Chat.Response, Turn, float]:
    """An answer, its record, and how long it took, seconds."""
    turns, begun_s = stack.probe.heard("turn"), time.monotonic()
    answer = stack.probe.call(Chat, "chat", text="hello there", session_id="faults")
    took_s = time.monotonic() - begun_s
    turn = turns.wait_for(lambda turn: turn.id == answer.turn_id).message
    print(f"{took_s:.2f} s: {turn.said[:40]!r} {turn.error!r} {list(turn.rejected)}")
    assert (answer.reply, answer.message) == (turn.said, turn.error)
    assert list(answer.rejected) == list(turn.rejected)
    assert [command.id for command in answer.commands] == [command.id for command in turn.commands]
    return answer, turn, took_s


def _assert_lives(stack: Stack, model: ScriptedModel, commands: Heard) -> None:
    """The next good turn is answered, and its command goes out once."""
    known = len(commands)
    model.answers(written(f'Yes.", "commands": [{SIT_DOWN}]}}'))
    answer, turn, _ = _chat(stack)
    assert (answer.success, turn.said, turn.source, list(turn.rejected)) == (True, "Yes.", "llm", [])
    assert commands.wait_for(since=known).message.id == turn.commands[0].id
    assert [command.name for command in commands.messages(known)] == ["sit_down"]
    assert stack.processes["dialogue"].poll() is None


@dataclass(frozen=True)
class Fault:
    """What the server does, and what the turn must be.

    Attributes:
        error: part of the reason why there is no whole answer; empty: there is one.
        said: what was said of it; None: the canned answer.
        commanded: names of the commands that are right all the same.
    """

    reply: Reply | Stream
    error: str = ""
    said: str | None = "Yes."
    rejected: Sequence[str] = ()
    commanded: Sequence[str] = field(default_factory=list)


def _commanding(*commands: str) -> Stream:
    return written(f'Yes.", "commands": [{", ".join(commands)}]}}')


FAULTS = {
    "nothing": Fault(Stream(LAST), CUT_OFF, None),
    "no event": Fault(Stream(), CUT_OFF, None),
    "cut off in speech": Fault(Stream(piece("Well, I "), LAST), CUT_OFF, "Well, I "),
    "cut off in a command": Fault(written('Yes.", "commands": [{"name": "sit_do'), CUT_OFF),
    "cut off behind a command": Fault(written(f'Yes.", "commands": [{SIT_DOWN}'), CUT_OFF, commanded=["sit_down"]),
    "unknown action": Fault(
        _commanding('{"name": "fly", "arguments": {}}', SIT_DOWN),
        rejected=["fly: unknown action 'fly'"],
        commanded=["sit_down"],
    ),
    "out of range": Fault(
        _commanding(f'{TURN}{{"value": 999, "unit": "deg"}}}}}}'), rejected=["turn: angle_deg 999 is outside 5 to 180"]
    ),
    "no finite number": Fault(_commanding(f'{TURN}{{"value": 1e999, "unit": "deg"}}}}}}', SIT_DOWN), CUT_OFF),
    "list for arguments": Fault(
        _commanding('{"name": "nod", "arguments": [1]}'), rejected=["nod: arguments [1] are not an object"]
    ),
    "number for a name": Fault(
        _commanding('{"name": 7, "arguments": {}}'), rejected=["7: {'name': 7, 'arguments': {}} is not a command"]
    ),
    "text for a command": Fault(_commanding('"sit_down"'), rejected=["?: 'sit_down' is not a command"]),
    "argument twice": Fault(
        _commanding('{"name": "wave", "arguments": {"hand": "left", "hand": "right"}}'),
        rejected=["wave: hand is None, not a word"],
    ),
    "broken off before speech": Fault(Stream(BREAK_OFF), "127.0.0.1", None),
    "broken off in speech": Fault(Stream(piece("Well, I "), BREAK_OFF), "127.0.0.1", "Well, I "),
    "broken off in a command": Fault(Stream(piece('Yes.", "commands": [{"na'), BREAK_OFF), "127.0.0.1"),
    "error event": Fault(Stream(piece("Well, "), {"error": {"message": "out of memory"}}), "out of memory", "Well, "),
    "HTTP 500": Fault(Reply({"error": "out of memory"}, 500), "HTTP 500", None),
    "HTTP 400": Fault(Reply({"error": "the prompt is too long"}, 400), "HTTP 400", None),
    "no events": Fault(Reply(b"<html>It works!</html>"), CUT_OFF, None),
    "no JSON": Fault(Stream("data: {content: maybe}\n\n"), "not JSON", None),
    "no UTF-8": Fault(Reply(b'data: {"content": "\xff\xfe"}\n\n'), "not JSON", None),
    "another kind of JSON": Fault(Stream(7), "127.0.0.1", None),
    "other types": Fault(Stream({"content": 7, "tokens": "no"}), "127.0.0.1", None),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_ends_in_a_turn_with_its_reason(stack: Stack, model: ScriptedModel, commands: Heard, name: str) -> None:
    fault, known = FAULTS[name], len(commands)
    model.answers(fault.reply)
    answer, turn, took_s = _chat(stack)
    assert answer.success == (not fault.error)
    assert fault.error in turn.error
    assert turn.source == ("canned" if fault.said is None else "llm")
    assert turn.said if fault.said is None else turn.said == fault.said
    assert list(turn.rejected) == list(fault.rejected)
    assert [command.name for command in turn.commands] == list(fault.commanded)
    assert took_s < ANSWER_S
    _assert_lives(stack, model, commands)
    [*faulty, _] = commands.messages(known)
    assert [command.name for command in faulty] == list(fault.commanded)


def _is_silent(model: ScriptedModel) -> bool:
    pieces = model.endless_pieces
    time.sleep(0.2)
    return model.endless_pieces == pieces


def test_answer_without_an_end_is_cut_off(stack: Stack, model: ScriptedModel, commands: Heard) -> None:
    known = len(commands)
    model.answers_for_ever("and on ")
    answer, turn, took_s = _chat(stack)
    assert (answer.success, turn.error, turn.source) == (False, CUT_OFF, "llm")
    assert len(turn.said) < 10_000
    assert took_s < ANSWER_S
    # What is evaluated ahead of the next turn gets the same answer, and is cut off too.
    until(lambda: _is_silent(model), "the connections to be closed", 2.0)
    assert len(commands) == known
    _assert_lives(stack, model, commands)


def test_answer_that_is_too_slow_ends_at_the_deadline(stack: Stack, model: ScriptedModel, commands: Heard) -> None:
    known = len(commands)
    assert stack.probe.set_parameters("dialogue", deadline_s=DEADLINE_S) == []
    model.answers_slowly(["Well, ", "I ", "think ", 'so.", "commands": [', SIT_DOWN, "]}"], DEADLINE_S / 3.5)
    answer, turn, took_s = _chat(stack)
    assert stack.probe.set_parameters("dialogue", deadline_s=30.0) == []
    assert (answer.success, turn.error, turn.source) == (False, f"no answer within {DEADLINE_S:g} s", "llm")
    assert turn.said == "Well, I think "
    assert DEADLINE_S <= took_s < DEADLINE_S + AT_ONCE_S
    time.sleep(DEADLINE_S)  # the rest of the answer is written, to nobody
    assert len(commands) == known
    _assert_lives(stack, model, commands)


def test_server_that_keeps_failing_is_spared_and_taken_back(
    stack: Stack, model: ScriptedModel, commands: Heard
) -> None:
    _assert_lives(stack, model, commands)
    model.answers(Reply({"error": "out of memory"}, 500))
    for _ in range(FAILURES):
        _, turn, _ = _chat(stack)
        assert "HTTP 500" in turn.error
    asked = model.asked_in_all()
    for _ in range(3):
        answer, turn, took_s = _chat(stack)
        assert not answer.success
        assert turn.source == "canned"
        assert f"failed {FAILURES} times in a row" in turn.error
        assert took_s < AT_ONCE_S
    assert model.asked_in_all() == asked
    stack.probe.wait_for_status("dialogue: llm backend", lambda status: "struggling" in status.message)
    time.sleep(REST_S)
    _assert_lives(stack, model, commands)
    stack.probe.wait_for_status("dialogue: llm backend", lambda status: status.message == "up")
