"""Input that makes no sense: refused with a reason, and the next good request is answered as ever."""

from array import array
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from smolfusion_ros.srv import Analyze, Chat, ClearSession, GetHistory

from smolfusion_ros.vision.render import render_scene
from smolfusion_ros.vision.specs import PersonSpec, SceneSpec
from system.camera import RIGHT_X
from system.stack import Stack, running

pytestmark = pytest.mark.system

SCENE = SceneSpec(person=PersonSpec(x=RIGHT_X, expression="smiling", waving=True, shirt="red"))


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


@pytest.mark.parametrize(
    ("text", "session_id", "reason"),
    [
        ("", "", "empty"),
        (" \n\t ", "", "empty"),
        ("\x07\x1b\x7f", "", "empty"),
        ("blah " * 20_000, "", "100000 characters"),
        ("hello", "s" * 1000, "at most 64"),
        ("hello", "a\nb", "printable"),
    ],
    ids=["nothing", "space", "control characters", "100 kB", "long session", "session with a line break"],
)
def test_nonsense_is_not_answered(stack: Stack, text: str, session_id: str, reason: str) -> None:
    answer = stack.probe.call(Chat, "chat", text=text, session_id=session_id)
    print(answer.message)
    assert (answer.success, answer.reply, list(answer.commands)) == (False, "", [])
    assert reason in answer.message


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
