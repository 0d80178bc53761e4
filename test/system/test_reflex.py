"""Stopping: within milliseconds, whatever the language model is doing, and without asking it."""

import statistics
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from lifecycle_msgs.srv import GetState
from rclpy.qos import QoSProfile, ReliabilityPolicy
from smolfusion_ros.action import Converse
from smolfusion_ros.msg import Utterance
from smolfusion_ros.srv import Chat
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._emergency_stop import ONE_PRESS_S
from system.probe import MATCHING_S, Heard, until, wait
from system.stack import Stack, running

pytestmark = pytest.mark.system

STORY = "tell me a long story about a dragon, a princess and a wizard"
REQUEST = "please wave your right hand"
TIMES, PRESSES = 30, 5
LIMIT_MS = 10.0
QUIET_S = 1.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("reflex"), "llm_backend", "dialogue", "memory") as started:
        yield started


@pytest.fixture(scope="module")
def commands(stack: Stack) -> Heard:
    return stack.probe.heard("action_command")


@pytest.fixture(scope="module")
def utterances(stack: Stack):
    return stack.probe.publisher(Utterance, "utterance", _qos.UTTERANCE)


def _stop_ms(utterances, commands: Heard) -> float:
    """Say stop; the time until the command is here, in milliseconds."""
    known, said = len(commands), Utterance(text="Stop!", session_id="reflex")
    begun = time.perf_counter()
    utterances.publish(said)
    arrival = commands.wait_for(since=known)
    assert (arrival.message.name, arrival.message.source) == ("stop", "reflex")
    return (arrival.at_s - begun) * 1e3


def _tell(what: str, times_ms: list[float]) -> float:
    median = statistics.median(times_ms)
    print(f"{what}: median {median:.1f} ms, worst {max(times_ms):.1f} ms of {len(times_ms)}")
    return median


def _once_prefilled(slots: str) -> list[dict[str, Any]]:
    """The server's slots, as soon as nothing more is evaluated ahead of the first utterance."""
    newest = httpx.get(slots).json()

    def is_unchanged() -> bool:
        nonlocal newest
        before, newest = newest, httpx.get(slots).json()
        return newest == before

    until(is_unchanged, "nothing is evaluated ahead any more", 15.0, QUIET_S)
    return newest


def test_stop_takes_milliseconds_and_asks_no_model(stack: Stack, utterances, commands: Heard) -> None:
    slots = f"{stack.workplace.llm_url}/slots"
    before = _once_prefilled(slots)
    times_ms = []
    for _ in range(TIMES):
        times_ms.append(_stop_ms(utterances, commands))
        time.sleep(0.03)
    assert _tell("utterance to command, idle", times_ms) < LIMIT_MS
    after = httpx.get(slots).json()
    print("task of the slot:", [slot.get("id_task") for slot in before], [slot.get("id_task") for slot in after])
    assert after == before


def test_stop_takes_milliseconds_while_a_reply_is_generated(stack: Stack, utterances, commands: Heard) -> None:
    times_ms, interrupted = [], 0
    for index in range(TIMES):
        partial = Heard("feedback")
        goal = stack.probe.send_goal(Converse, "converse", partial.take, text=STORY, session_id=f"story{index % 3}")
        partial.wait_for()
        times_ms.append(_stop_ms(utterances, commands))
        interrupted += wait(goal.get_result_async(), 15.0, "converse").result.message == "interrupted"
    print(f"{interrupted} of {TIMES} replies were cut short")
    assert _tell("utterance to command, during a reply", times_ms) < LIMIT_MS
    assert interrupted >= 0.9 * TIMES


@pytest.mark.parametrize(
    "qos",
    [QoSProfile(depth=10), QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)],
    ids=["ordinary", "best effort"],
)
def test_emergency_stop_is_heard_from_every_publisher(stack: Stack, commands: Heard, qos: QoSProfile) -> None:
    button, known = stack.probe.stop_button(qos), len(commands)
    button.publish(Bool(data=True))
    button.publish(Bool(data=False))
    assert commands.wait_for(since=known).message.name == "stop"
    assert stack.probe.call(Trigger, "reset_emergency_stop").success
    time.sleep(ONE_PRESS_S)
    assert len(commands) == known + 1


def test_emergency_stop_holds_until_it_is_reset(stack: Stack, commands: Heard) -> None:
    probe, turns = stack.probe, stack.probe.heard("turn")
    button = probe.stop_button(QoSProfile(depth=1, durability=_qos.LATCHED.durability), readers=3)
    probe.see("person right smiling waving blue shirt")
    times_ms = []
    for _ in range(PRESSES):
        known, begun = len(commands), time.perf_counter()
        button.publish(Bool(data=True))
        stop = commands.wait_for(since=known)
        times_ms.append((stop.at_s - begun) * 1e3)
        time.sleep(ONE_PRESS_S)
        assert (stop.message.name, stop.message.source, stop.message.priority) == ("stop", "reflex", 255)
        assert stop.message.session_id == ""
    print(f"emergency stop to command: {[round(each, 1) for each in times_ms]} ms")

    refused = probe.call(Chat, "chat", text=REQUEST, session_id="stopped")
    turn = turns.wait_for(lambda turn: turn.id == refused.turn_id).message
    print("rejected:", list(turn.rejected))
    assert list(turn.commands) == []
    assert list(turn.rejected) == list(refused.rejected) == ["wave: emergency stop is engaged"]

    assert probe.call(Trigger, "reset_emergency_stop").success
    again = probe.call(Trigger, "reset_emergency_stop")
    assert (again.success, again.message) == (False, "the emergency stop is not engaged")
    probe.node.destroy_publisher(button)  # it would engage the next dialogue's
    known = len(commands)
    allowed = probe.call(Chat, "chat", text=REQUEST, session_id="released")
    assert [command.name for command in allowed.commands] == ["wave"]
    assert commands.wait_for(since=known).message.id == allowed.commands[0].id


def test_emergency_stop_outlives_the_process_and_is_told(stack: Stack, commands: Heard) -> None:
    probe, engaged = stack.probe, stack.probe.heard("emergency_stop_engaged")
    button = probe.stop_button(QoSProfile(depth=1), readers=2)
    assert not engaged.wait_for().message.data
    button.publish(Bool(data=True))
    engaged.wait_for(lambda message: message.data)
    # The stop command came first; the file follows at once.
    until(lambda: list((stack.workplace.directory / "state").rglob("*.emergency_stop")), "a file", 1.0)
    probe.node.destroy_publisher(button)
    known = len(engaged)
    _restart(stack)
    assert engaged.wait_for(since=known).message.data
    assert probe.call(Chat, "chat", text=REQUEST, session_id="after").rejected == ["wave: emergency stop is engaged"]
    known = len(engaged)
    assert probe.call(Trigger, "reset_emergency_stop").message == "released"
    assert not engaged.wait_for(since=known).message.data
    _restart(stack)
    allowed = probe.call(Chat, "chat", text=REQUEST, session_id="after all")
    assert [command.name for command in allowed.commands] == ["wave"]


def _restart(stack: Stack) -> None:
    """Kill the dialogue, and wait until its successor is found both ways and sees a person."""
    stack.restart("dialogue")
    stack.probe.call(GetState, "dialogue/get_state", tries=8)
    time.sleep(MATCHING_S)
    stack.probe.see("person right smiling waving blue shirt")
