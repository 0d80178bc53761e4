"""Managed nodes in the running stack: quiet when they are told to, and back at work afterwards."""

import time
from collections.abc import Iterator

import httpx
import pytest
from lifecycle_msgs.srv import GetState
from smolfusion_ros.action import Converse
from smolfusion_ros.msg import Utterance
from smolfusion_ros.srv import Analyze, Chat
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from smolfusion_ros.nodes import _qos
from system.probe import until, wait
from system.stack import Stack, running

pytestmark = pytest.mark.system

STORY = "tell me a long story about a dragon, a princess and a wizard"
IDLE_WITHIN_S = 1.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("lifecycle")
    with running(directory, "llm_backend", "vlm_backend", "motion_gate", "perception", "dialogue", "memory") as started:
        yield started


@pytest.fixture
def resting(stack: Stack) -> Iterator[None]:
    """The dialogue is told to rest for the length of a test."""
    assert stack.probe.transition("dialogue", "deactivate")
    yield
    assert stack.probe.transition("dialogue", "activate")


@pytest.mark.parametrize("node", ["perception", "dialogue"])
def test_managed_nodes_are_active_by_themselves(stack: Stack, node: str) -> None:
    assert stack.probe.call(GetState, f"{node}/get_state").current_state.label == "active"


def test_deactivating_ends_the_generation_in_the_backend(stack: Stack) -> None:
    with httpx.Client() as http:
        handle = stack.probe.send_goal(Converse, "converse", text=STORY, session_id="story")
        until(lambda: stack.is_generating(http), "the model is writing")
        begun = time.monotonic()
        assert stack.probe.transition("dialogue", "deactivate")
        until(lambda: not stack.is_generating(http), "the slot is idle", IDLE_WITHIN_S)
        print(f"deactivated and idle after {(time.monotonic() - begun) * 1e3:.0f} ms")
        result = wait(handle.get_result_async(), 10.0, "converse").result
        assert (result.success, result.message) == (False, "interrupted")
    assert stack.probe.transition("dialogue", "activate")


def test_resting_dialogue_answers_why_it_says_nothing(stack: Stack, resting: None) -> None:
    known = len(stack.probe.heard("reply"))
    answer = stack.probe.call(Chat, "chat", text="hello there")
    assert not answer.success
    assert "not active" in answer.message
    assert len(stack.probe.heard("reply")) == known


def test_resting_dialogue_still_stops_the_robot(stack: Stack, resting: None) -> None:
    commands = stack.probe.heard("action_command")
    utterances = stack.probe.publisher(Utterance, "utterance", _qos.UTTERANCE)
    known = len(commands)
    utterances.publish(Utterance(text="stop!"))
    assert commands.wait_for(since=known).message.name == "stop"
    presses = stack.probe.stop_button(_qos.LATCHED, readers=3)
    known = len(commands)
    presses.publish(Bool(data=True))
    assert commands.wait_for(since=known).message.name == "stop"
    stack.probe.node.destroy_publisher(presses)


def test_emergency_stop_outlives_every_state(stack: Stack) -> None:
    presses = stack.probe.stop_button(_qos.STOPS[1], readers=2)
    presses.publish(Bool(data=True))
    engaged = "engaged: commands are held back until reset_emergency_stop is called"
    stack.probe.wait_for_status("dialogue: emergency stop", lambda status: status.message == engaged)
    for step in ("deactivate", "cleanup", "configure", "activate"):
        assert stack.probe.transition("dialogue", step)
    stack.probe.see("14:03:05 person left waving")
    answer = stack.probe.call(Chat, "chat", text="please wave back with your right hand", session_id="halted")
    assert answer.success
    assert not answer.commands
    assert stack.probe.call(Trigger, "reset_emergency_stop").success
    stack.probe.wait_for_status("dialogue: emergency stop", lambda status: status.message == "not engaged")


def test_conversation_goes_on_after_a_new_configuration(stack: Stack) -> None:
    assert stack.probe.call(Chat, "chat", text="hello there", session_id="kept").success
    stack.probe.history("kept")
    for step in ("deactivate", "cleanup"):
        assert stack.probe.transition("dialogue", step)
    assert not stack.probe.call(Chat, "chat", text="hello there", session_id="kept").success
    assert stack.probe.set_parameters("dialogue", max_answer_tokens=40) == []
    for step in ("configure", "activate"):
        assert stack.probe.transition("dialogue", step)
    answer = stack.probe.call(Chat, "chat", text=STORY, session_id="kept")
    assert answer.reply
    [_, turn] = stack.probe.history("kept", turns=2)
    assert turn.answer_tokens <= 40
    assert turn.prompt_tokens > turn.evaluated_tokens


@pytest.mark.parametrize(
    ("node", "values", "reason"),
    [
        ("dialogue", {"llm_url": "http://127.0.0.1:9"}, "takes effect when the node is configured"),
        ("dialogue", {"deadline_s": -1.0}, "range"),
        ("perception", {"hfov_rad": 9.0}, "range"),
        ("motion_gate", {"jpeg_quality": 1000}, "range"),
        ("motion_gate", {"image_transport": "compressed"}, "read-only"),
        ("motion_gate", {"jpeg_quality": "high"}, "type"),
    ],
)
def test_parameter_that_cannot_be_is_refused_with_the_reason(
    stack: Stack, node: str, values: dict, reason: str
) -> None:
    [told] = stack.probe.set_parameters(node, **values)
    print(told)
    assert reason in told


def test_sensible_changes_are_taken_while_the_node_works(stack: Stack) -> None:
    assert stack.probe.set_parameters("dialogue", deadline_s=20.0, max_waiting=4) == []
    assert stack.probe.set_parameters("perception", hfov_rad=1.2, scene_deadline_s=4.0) == []
    assert stack.probe.set_parameters("motion_gate", jpeg_quality=90, min_changed_fraction=0.003) == []


def test_resting_perception_leaves_the_model_alone_and_looks_at_once_when_it_is_back(stack: Stack) -> None:
    camera, scenes = stack.camera(), stack.probe.heard("scene")
    camera.show("nobody", 30)
    scenes.wait_for(lambda scene: scene.source == "vlm")
    assert stack.probe.transition("perception", "deactivate")
    time.sleep(0.5)
    known = len(scenes)
    camera.show("waving", 60)
    answer = stack.probe.call(Analyze, "analyze", question="what do you see?")
    assert (answer.success, answer.message) == (False, "perception is not active")
    assert len(scenes) == known
    assert stack.probe.transition("perception", "activate")
    scene = scenes.wait_for(since=known).message
    print(scene.compact)
    assert "person" in scene.compact
