"""Streamed turns: partial texts, cancelling, and a new utterance that interrupts."""

import statistics
import time
from collections.abc import Iterator
from itertools import pairwise

import httpx
import pytest
from action_msgs.msg import GoalStatus
from action_msgs.srv import CancelGoal
from smolfusion_ros.action import Converse
from smolfusion_ros.msg import ActionStatus

from smolfusion_ros.nodes import _qos
from system.probe import Heard, until, wait
from system.stack import Stack, running

pytestmark = pytest.mark.system

STORY = "tell me a long story about a dragon, a princess and a wizard"
TIMES = 7
LIMIT_MS = 300.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    options = {"provider": "xllamacpp"}
    with running(tmp_path_factory.mktemp("converse"), "llm_backend", "dialogue", "memory", **options) as started:
        yield started


def _begin(stack: Stack, text: str, session_id: str):
    """A goal that is being answered: its handle and its feedback so far."""
    partial = Heard("feedback")
    goal = stack.probe.send_goal(Converse, "converse", partial.take, text=text, session_id=session_id)
    partial.wait_for()
    return goal, partial


def test_partial_texts_grow_into_the_reply(stack: Stack) -> None:
    goal, partial = _begin(stack, STORY, "growing")
    ended = wait(goal.get_result_async(), 30.0, "converse")
    result = ended.result
    assert (ended.status, result.success) == (GoalStatus.STATUS_SUCCEEDED, True), result.message
    partial.wait_for(lambda message: message.feedback.partial == result.reply)
    texts = [message.feedback.partial for message in partial.messages()]
    print(f"{len(texts)} partial texts for {len(result.reply)} characters")
    assert len(texts) >= 3
    for shorter, longer in pairwise(texts):
        assert longer.startswith(shorter)
        assert len(longer) > len(shorter)


def test_cancelling_frees_the_backend(stack: Stack) -> None:
    replies = stack.probe.heard("reply")
    times_ms = []
    with httpx.Client() as http:
        for index in range(TIMES):
            session = f"cancelled{index}"
            goal, partial = _begin(stack, STORY, session)
            assert stack.is_generating(http)
            begun = time.perf_counter()
            cancelling = goal.cancel_goal_async()
            until(lambda: not stack.is_generating(http), "an idle backend", interval_s=0.005)
            times_ms.append((time.perf_counter() - begun) * 1e3)
            assert wait(cancelling, 5.0, "cancel").return_code == CancelGoal.Response.ERROR_NONE
            ended = wait(goal.get_result_async(), 5.0, "converse")
            assert (ended.status, ended.result.success) == (GoalStatus.STATUS_CANCELED, False)
            assert ended.result.reply.startswith(partial.messages()[0].feedback.partial)
            last = replies.wait_for(lambda reply: reply.is_final and reply.session_id == session)  # noqa: B023
            assert last.message.interrupted
            [turn] = stack.probe.history(session)
            assert (turn.interrupted, turn.said) == (True, ended.result.reply)
    print(f"cancel request to idle backend: {[round(each) for each in times_ms]} ms")
    assert statistics.median(times_ms) < LIMIT_MS


def test_new_utterance_interrupts_the_reply_before_it(stack: Stack) -> None:
    first, _ = _begin(stack, STORY, "barge-in")
    second = stack.probe.send_goal(Converse, "converse", text="what is your name?", session_id="barge-in")
    cut_short = wait(first.get_result_async(), 5.0, "the first reply")
    answered = wait(second.get_result_async(), 30.0, "the second reply")
    assert (cut_short.status, cut_short.result.message) == (GoalStatus.STATUS_ABORTED, "interrupted")
    assert (answered.status, answered.result.success) == (GoalStatus.STATUS_SUCCEEDED, True)
    turns = stack.probe.history("barge-in", turns=2)
    assert [(turn.heard, turn.interrupted) for turn in turns] == [(STORY, True), ("what is your name?", False)]


def test_reply_pieces_are_in_order_and_add_up(stack: Stack) -> None:
    replies = stack.probe.heard("reply")
    known = len(replies)
    goal, _ = _begin(stack, "what is your name?", "pieces")
    reply = wait(goal.get_result_async(), 30.0, "converse").result.reply
    replies.wait_for(lambda message: message.is_final, since=known)
    pieces = [message for message in replies.messages(known) if message.session_id == "pieces"]
    assert [piece.sequence for piece in pieces] == list(range(len(pieces)))
    assert "".join(piece.delta for piece in pieces) == reply
    assert [piece.is_final for piece in pieces] == [False] * (len(pieces) - 1) + [True]


def test_turn_under_way_when_the_node_is_told_to_end_is_answered_and_remembered(stack: Stack) -> None:
    statuses = stack.probe.publisher(ActionStatus, "action_status", _qos.COMMAND)
    goal, partial = _begin(stack, STORY, "ended")
    ending = goal.get_result_async()
    # What goes on arriving meanwhile must not disturb the end.
    chatter = stack.probe.node.create_timer(0.005, lambda: statuses.publish(ActionStatus(command_id="x", state=2)))
    begun = time.perf_counter()
    stack.terminate("dialogue")
    chatter.destroy()
    print(f"SIGTERM to the end of the process: {time.perf_counter() - begun:.2f} s")
    ended = wait(ending, 5.0, "converse")
    assert (ended.status, ended.result.message) == (GoalStatus.STATUS_ABORTED, "interrupted")
    assert ended.result.reply.startswith(partial.messages()[-1].feedback.partial)
    [turn] = stack.probe.history("ended")
    assert (turn.interrupted, turn.said) == (True, ended.result.reply)
    stack.start("dialogue")
