"""Backends that are absent, die or hang: told within seconds, survived meanwhile, and forgotten when they are back."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from smolfusion_ros.srv import Chat

from system.stack import Stack, running

pytestmark = pytest.mark.system

TOLD_WITHIN_S = 3.0
LLM, VLM = "dialogue: llm backend", "perception: vlm backend"


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    """Only the nodes are started: the backends are absent."""
    with running(
        tmp_path_factory.mktemp("healing"), "motion_gate", "perception", "dialogue", "memory", provider="xllamacpp"
    ) as started:
        yield started


def _is_well(status: DiagnosticStatus) -> bool:
    return status.level == DiagnosticStatus.OK and "up" in status.message


def _is_away(status: DiagnosticStatus) -> bool:
    return status.level == DiagnosticStatus.ERROR and "away" in status.message


@contextmanager
def _told_of(stack: Stack, *tasks: str) -> Iterator[None]:
    """What happens inside is told in /diagnostics in time."""
    begun = time.monotonic()
    yield
    for task in tasks:
        status, _ = stack.probe.wait_for_status(task, _is_away)
        after_s = time.monotonic() - begun
        print(f"{task} told after {after_s:.1f} s: {status.message}")
        assert after_s < TOLD_WITHIN_S


def _assert_civil_without_the_model(stack: Stack) -> None:
    begun = time.monotonic()
    answer = stack.probe.call(Chat, "chat", text="hello there", session_id="civil")
    print(f"{answer.reply!r} after {time.monotonic() - begun:.2f} s: {answer.message}")
    assert not answer.success
    assert answer.reply
    assert time.monotonic() - begun < 1.0
    [command] = stack.probe.call(Chat, "chat", text="stop", session_id="civil").commands
    assert (command.name, command.source) == ("stop", "reflex")


def test_absent_backends_are_told_and_survived(stack: Stack) -> None:
    with _told_of(stack, LLM, VLM):
        pass
    _assert_civil_without_the_model(stack)
    scenes, camera = stack.probe.heard("scene"), stack.camera()
    camera.show("waving", 30)
    scenes.wait_for(lambda scene: scene.source == "detector")


def test_backends_that_come_later_are_taken_into_use_by_themselves(stack: Stack) -> None:
    known = len(stack.probe.heard("scene"))
    stack.start("llm_backend", "vlm_backend")
    for task in (LLM, VLM):
        stack.probe.wait_for_status(task, _is_well)
    scene = stack.probe.heard("scene").wait_for(lambda scene: scene.source == "vlm", since=known)
    print(f"without a new frame: {scene.message.compact}")
    assert stack.probe.call(Chat, "chat", text="hello there", session_id="late").success


def test_killed_language_model_is_told_survived_and_warm_when_it_is_back(stack: Stack) -> None:
    with _told_of(stack, LLM):
        stack.kill("llm_backend")
    _assert_civil_without_the_model(stack)
    log = stack.workplace.log("dialogue")
    written = len(log.read_text())
    stack.start("llm_backend")
    begun = time.monotonic()
    while not log.read_text()[written:].rstrip().endswith("ready"):
        assert time.monotonic() - begun < 15.0
        time.sleep(0.1)
    print(f"warm {time.monotonic() - begun:.1f} s after it was up")
    assert stack.probe.call(Chat, "chat", text="hello there", session_id="warm").success
    [turn] = stack.probe.history("warm")
    assert turn.evaluated_tokens < turn.prompt_tokens / 2, "the constant part of the prompt was evaluated beforehand"


def test_killed_vision_model_leaves_faces_and_comes_back_without_a_new_frame(stack: Stack) -> None:
    scenes, camera = stack.probe.heard("scene"), stack.camera()
    with _told_of(stack, VLM):
        stack.kill("vlm_backend")
    known = len(scenes)
    camera.show("nobody", 30)
    camera.show("standing", 30)
    scenes.wait_for(lambda scene: scene.source == "detector", since=known)
    known = len(scenes)
    stack.start("vlm_backend")
    scene = scenes.wait_for(lambda scene: scene.source == "vlm", since=known).message
    assert "person" in scene.compact


def test_hung_language_model_is_told_like_a_dead_one(stack: Stack) -> None:
    process = stack.processes["llm_backend"]
    with _told_of(stack, LLM):
        process.send_signal(signal.SIGSTOP)
    _assert_civil_without_the_model(stack)
    process.send_signal(signal.SIGCONT)
    stack.probe.wait_for_status(LLM, _is_well)
    assert stack.probe.call(Chat, "chat", text="hello there", session_id="awake").success
