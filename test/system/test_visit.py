"""The whole path: a waving person before the camera, a request, a command for the robot, and a memory that lasts."""

import json
from collections.abc import Iterator

import pytest
from smolfusion_ros.srv import Chat

from system.probe import stamp_ns
from system.stack import Stack, running

pytestmark = pytest.mark.system

REQUEST = "please wave back with your right hand"


@pytest.fixture(scope="module", params=["xllamacpp", "llama-cpp-python"])
def stack(request, tmp_path_factory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("visit"), provider=request.param) as started:
        yield started


def test_visitor_is_seen_answered_and_remembered(stack: Stack) -> None:
    probe = stack.probe
    scene, commands = probe.heard("scene"), probe.heard("action_command")
    camera = stack.camera()
    camera.show("nobody", 30)
    camera.begin("waving")
    seen = scene.wait_for(lambda message: any(person.gesture == "waving" for person in message.persons))
    [person] = seen.message.persons
    print(f"scene: {seen.message.compact!r}, {(seen.at_ns - stamp_ns(seen.message.header.stamp)) * 1e-6:.0f} ms old")
    assert (person.position, person.gesture, seen.message.source) == ("right", "waving", "vlm")

    answer = probe.call(Chat, "chat", text=REQUEST, session_id="visit")
    stamps = camera.stop()
    print(f"reply: {answer.reply!r} {[(c.name, c.arguments_json) for c in answer.commands]} {list(answer.rejected)}")
    assert answer.success, answer.message
    assert answer.reply.strip()

    commands.wait_for()
    [command] = commands.messages()
    assert (command.name, json.loads(command.arguments_json)) == ("wave", {"hand": "right"})
    assert (command.source, command.session_id, command.id) == ("llm", "visit", answer.commands[0].id)
    assert stamp_ns(command.scene_stamp) in stamps

    [turn] = probe.history("visit")
    print("stages:", {each.name: f"{stamp_ns(each.duration) * 1e-6:.0f} ms" for each in turn.stages})
    print(f"prompt {turn.prompt_tokens} tokens, evaluated {turn.evaluated_tokens}, answered {turn.answer_tokens}")
    assert (turn.id, turn.heard, turn.said) == (answer.turn_id, REQUEST, answer.reply)
    assert "person right smiling waving" in turn.scene
    if stack.options.provider == "xllamacpp":  # the other tells no timings
        assert 0 < turn.evaluated_tokens < turn.prompt_tokens / 4

    stack.restart("memory")
    [again] = probe.history("visit", tries=10)
    assert (again.id, again.heard, again.said, again.commands[0].id) == (turn.id, REQUEST, turn.said, command.id)
