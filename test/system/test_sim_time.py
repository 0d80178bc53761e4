"""ROS time that stands still or jumps: the dialogue answers, and its deadlines are the steady clock's."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from smolfusion_ros.msg import Turn
from smolfusion_ros.srv import Chat

from system.probe import until
from system.scripted import ScriptedModel, written
from system.stack import Stack, running

pytestmark = pytest.mark.system

DEADLINE_S = 1.0
AT_ONCE_S = 0.5
PARAMETERS = f"""/**:
  ros__parameters:
    use_sim_time: true
/**/dialogue:
  ros__parameters:
    deadline_s: {DEADLINE_S}
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory, model: ScriptedModel) -> Iterator[Stack]:
    directory: Path = tmp_path_factory.mktemp("sim_time")
    file = directory / "parameters.yaml"
    file.write_text(PARAMETERS, encoding="utf-8")
    options = {"llm_port": model.port, "params_file": str(file)}
    with running(directory / "stack", "dialogue", "memory", **options) as started:
        yield started


@pytest.fixture(scope="module")
def clock(stack: Stack):
    return stack.probe.publisher(Clock, "/clock", QoSProfile(depth=1), readers=2)


def _tell(stack: Stack, clock, seconds: int) -> None:
    """Let it be so late, and wait until the dialogue knows it."""
    now = Clock()
    now.clock.sec = seconds

    def told() -> bool:
        clock.publish(now)
        return _chat(stack, "stop")[0].header.stamp.sec == seconds

    until(told, f"a dialogue whose clock shows {seconds} s", 5.0)


def _chat(stack: Stack, text: str = "hello there") -> tuple[Turn, float]:
    """The record of a turn, and how long its answer took, seconds of the steady clock."""
    begun_s, turns = time.monotonic(), stack.probe.heard("turn")
    answer = stack.probe.call(Chat, "chat", text=text, session_id="sim")
    took_s = time.monotonic() - begun_s
    return turns.wait_for(lambda turn: turn.id == answer.turn_id).message, took_s


def _assert_works(stack: Stack, model: ScriptedModel, seconds: int) -> None:
    """A turn is answered and stamped, and one that takes too long ends at its deadline."""
    model.answers(written('Yes.", "commands": []}'))
    turn, took_s = _chat(stack)
    assert (turn.said, turn.error, turn.header.stamp.sec) == ("Yes.", "", seconds)
    assert took_s < AT_ONCE_S
    model.answers_slowly(["Well, ", "I "], 3 * DEADLINE_S / 4)
    turn, took_s = _chat(stack)
    print(f"clock at {seconds} s: {turn.error} after {took_s:.2f} s")
    assert (turn.said, turn.error) == ("Well, ", f"no answer within {DEADLINE_S:g} s")
    assert DEADLINE_S <= took_s < DEADLINE_S + AT_ONCE_S
    total = next(each.duration for each in turn.stages if each.name == "total")
    assert total.sec + total.nanosec * 1e-9 == pytest.approx(took_s, abs=AT_ONCE_S)


def test_without_a_clock_the_dialogue_answers_and_keeps_its_deadline(stack: Stack, model: ScriptedModel) -> None:
    _assert_works(stack, model, 0)


def test_clock_that_jumps_back_changes_nothing(stack: Stack, model: ScriptedModel, clock) -> None:
    for seconds in (2_000_000_000, 1_000, 7):
        _tell(stack, clock, seconds)
        _assert_works(stack, model, seconds)


def test_clock_that_jumps_back_while_an_answer_is_awaited_does_not_prolong_it(
    stack: Stack, model: ScriptedModel, clock
) -> None:
    _tell(stack, clock, 1_000)
    model.answers_slowly([""], 5 * DEADLINE_S)
    chat = stack.probe.node.create_client(Chat, "chat")
    assert chat.wait_for_service(5.0)
    begun_s = time.monotonic()
    future = chat.call_async(Chat.Request(text="hello there", session_id="sim"))
    time.sleep(DEADLINE_S / 3)
    clock.publish(Clock())
    until(future.done, "an answer", 3 * DEADLINE_S, 0.005)
    assert future.result().message == f"no answer within {DEADLINE_S:g} s"
    assert DEADLINE_S <= time.monotonic() - begun_s < DEADLINE_S + AT_ONCE_S


def test_history_is_told_in_the_order_of_what_was_said(stack: Stack) -> None:
    stamps = [turn.header.stamp.sec for turn in stack.probe.history("sim")]
    print(stamps)
    assert len(stamps) > 3
    assert stamps != sorted(stamps)
