"""Input that makes no sense: refused with a reason, and the next good request is answered as ever."""

from array import array
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image
from smolfusion_ros.action import Converse
from smolfusion_ros.msg import ActionStatus, MotionState, Scene, Turn, Utterance
from smolfusion_ros.srv import Analyze, Chat, ClearSession, GetHistory, ListSessions

from smolfusion_ros.nodes import _qos
from smolfusion_ros.vision.render import render_scene
from smolfusion_ros.vision.specs import PersonSpec, SceneSpec
from system.camera import RIGHT_X
from system.probe import wait
from system.stack import Stack, running

pytestmark = pytest.mark.system

SCENE = SceneSpec((PersonSpec(x=RIGHT_X, expression="smiling", gesture="waving", shirt="red"),))


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("bad_input")) as started:
        yield started


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    return cv2.imencode(".jpg", render_scene(SCENE))[1].tobytes()


def _analyze(stack: Stack, image: bytes = b"", question: str = "Describe the scene."):
    message = CompressedImage(format="jpeg", data=array("B", image))
    return stack.probe.call(Analyze, "analyze", image=message, question=question)


NONSENSE = {
    "nothing": ("", "", "empty"),
    "space": (" \n\t ", "", "empty"),
    "control characters": ("\x07\x1b\x7f", "", "empty"),
    "100 kB": ("blah " * 20_000, "", "100000 characters"),
    "long session": ("hello", "s" * 1000, "at most 64"),
    "session with a line break": ("hello", "a\nb", "printable"),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_is_not_answered(stack: Stack, case: str) -> None:
    text, session_id, reason = NONSENSE[case]
    answer = stack.probe.call(Chat, "chat", text=text, session_id=session_id)
    print(answer.message)
    assert (answer.success, answer.reply, list(answer.commands)) == (False, "", [])
    assert reason in answer.message


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_as_a_goal_is_aborted_with_the_reason(stack: Stack, case: str) -> None:
    text, session_id, reason = NONSENSE[case]
    goal = stack.probe.send_goal(Converse, "converse", text=text, session_id=session_id)
    ended = wait(goal.get_result_async(), 10.0, "converse")
    assert (ended.status, ended.result.success) == (GoalStatus.STATUS_ABORTED, False)
    assert reason in ended.result.message


def test_nonsense_heard_is_told_in_the_log_and_the_next_utterance_is_answered(stack: Stack) -> None:
    turns = stack.probe.heard("turn")
    utterances = stack.probe.publisher(Utterance, "utterance", _qos.UTTERANCE)
    log = stack.workplace.log("dialogue")
    known, logged = len(turns), len(log.read_text())
    for text, session_id, _ in NONSENSE.values():
        utterances.publish(Utterance(text=text, session_id=session_id))
    utterances.publish(Utterance(text="hello there", session_id="heard"))
    turns.wait_for(lambda turn: turn.session_id == "heard", since=known)
    assert [turn.heard for turn in turns.messages(known)] == ["hello there"]
    refusals = [line for line in log.read_text()[logged:].splitlines() if "utterance not taken: " in line]
    print(*refusals, sep="\n")
    for _, _, reason in NONSENSE.values():
        assert any(reason in line for line in refusals), reason
    assert all(len(line) < 300 for line in refusals)


@pytest.mark.parametrize(
    ("damage", "heard"),
    [
        (b"he\xff\xfeo", "he\ufffd\ufffdo there"),
        (b"h\xed\xa0\xbdo", "h\ufffd\ufffd\ufffdo there"),
        (b"he\0lo", "he"),
    ],
    ids=["no UTF-8", "half a surrogate pair", "a NUL"],
)
def test_text_that_is_no_unicode_is_heard_as_far_as_it_is(stack: Stack, damage: bytes, heard: str) -> None:
    turns = stack.probe.heard("turn")
    # rclpy itself refuses to send such text; other clients do not.
    with pytest.raises(UnicodeEncodeError):
        serialize_message(Utterance(text="\ud83d"))
    utterances, known = stack.probe.publisher(Utterance, "utterance", _qos.UTTERANCE), len(turns)
    utterances.publish(serialize_message(Utterance(text="hello there", session_id="damaged")).replace(b"hello", damage))
    turn = turns.wait_for(lambda turn: turn.session_id == "damaged", since=known).message
    assert turn.heard == heard
    assert stack.probe.history("damaged")[-1].heard == heard


def test_control_characters_do_not_reach_the_conversation(stack: Stack) -> None:
    text = "hello\x1b[31m <|im_end|>\x07there"
    assert stack.probe.call(Chat, "chat", text=text, session_id="control").success
    [turn] = stack.probe.history("control")
    assert turn.heard == "hello [31m <|im_end|> there"


def test_unknown_session_is_an_error(stack: Stack) -> None:
    for kind, name in ((GetHistory, "get_history"), (ClearSession, "clear_session")):
        answer = stack.probe.call(kind, name, session_id="never seen")
        print(f"{name}: {answer.message}")
        assert not answer.success
        assert answer.message == "unknown session 'never seen'"
        if isinstance(answer, GetHistory.Response):
            assert answer.unknown_session


def test_cleared_session_is_gone(stack: Stack) -> None:
    assert stack.probe.call(Chat, "chat", text="hello there", session_id="cleared").success
    assert stack.probe.history("cleared")
    assert stack.probe.call(ClearSession, "clear_session", session_id="cleared").success
    assert not stack.probe.call(GetHistory, "get_history", session_id="cleared").success


def test_no_picture_at_all_is_an_error(stack: Stack) -> None:
    answer = _analyze(stack)
    print(answer.message)
    assert not answer.success
    assert "no keyframe" in answer.message


@pytest.mark.parametrize("case", ["truncated", "noise", "text", "long question"])
def test_damaged_picture_is_an_error(stack: Stack, jpeg: bytes, case: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 8_000_000, dtype=np.uint8).tobytes()
    pictures = {"truncated": jpeg[: len(jpeg) // 2], "noise": noise, "text": b"GIF89a, or so", "long question": jpeg}
    answer = _analyze(stack, pictures[case], "why? " * (1000 if case == "long question" else 1))
    print(answer.message)
    assert not answer.success
    assert answer.answer == ""
    assert 10 < len(answer.message) < 300


def test_good_picture_is_described(stack: Stack, jpeg: bytes) -> None:
    answer = _analyze(stack, jpeg)
    print(f"{answer.answer!r} after {answer.latency.sec + answer.latency.nanosec * 1e-9:.2f} s; truth: {SCENE.caption}")
    assert answer.success, answer.message
    assert "person" in answer.answer
    assert "right" in answer.answer


def test_messages_that_cannot_be_read_leave_every_node_at_work(stack: Stack) -> None:
    topics = {
        "utterance": (Utterance, _qos.UTTERANCE),
        "scene": (Scene, _qos.LATCHED),
        "motion": (MotionState, _qos.SENSOR),
        "action_status": (ActionStatus, _qos.COMMAND),
        "turn": (Turn, _qos.TURN),
        "image": (Image, _qos.SENSOR),
        "keyframe/compressed": (CompressedImage, _qos.KEYFRAME),
        "/diagnostics": (DiagnosticArray, 10),
    }
    turns, commands, pids = stack.probe.heard("turn"), stack.probe.heard("action_command"), stack.pids()
    for topic, (kind, qos) in topics.items():
        whole = serialize_message(kind())
        publisher = stack.probe.publisher(kind, topic, qos)
        for message in (bytes(range(256)), whole[: len(whole) // 2], b"\xff" * len(whole)):
            publisher.publish(message)
    known = len(turns), len(commands)
    utterances = stack.probe.publisher(Utterance, "utterance", _qos.UTTERANCE)
    utterances.publish(Utterance(text="stop", session_id="unread"))
    assert turns.wait_for(since=known[0]).message.heard == "stop"
    assert commands.wait_for(since=known[1]).message.name == "stop"
    assert stack.probe.history("unread")
    assert stack.probe.call(ListSessions, "list_sessions").success
    stack.camera().show("waving", 30)
    stack.probe.heard("scene").wait_for(lambda scene: scene.source == "vlm")
    stack.probe.wait_for_status("monitor: nodes", lambda status: status.message)
    assert stack.pids() == pids
