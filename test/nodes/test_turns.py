"""Turns survive the way into memory and back, and into the prompt."""

import json

import pytest
from smolfusion_ros.msg import ActionCommand, StageTime, Turn

from smolfusion_ros.bringup.paths import share_directory
from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.nodes._messages import duration_message, time_message
from smolfusion_ros.nodes._turns import remembered_turn, restored_turn, stored_turn


@pytest.fixture(scope="module")
def layout() -> PromptLayout:
    config = share_directory() / "config"
    catalogue = Catalogue.load(config / "actions.yaml")
    return PromptLayout(Persona.load(config / "persona.yaml", catalogue), catalogue)


def command(name: str, arguments: dict[str, object]) -> ActionCommand:
    message = ActionCommand(id="c", session_id="s", name=name, arguments_json=json.dumps(arguments), source="llm")
    message.priority = ActionCommand.PRIORITY_NORMAL
    message.target_track_id = 3
    message.header.stamp = time_message(1_700_000_000_123_456_789)
    return message


def turn() -> Turn:
    message = Turn(id="t", session_id="s", heard="한 걸음 뒤로", said="Yes.", scene="10:00:00 nobody", source="llm")
    message.header.stamp = time_message(1_700_000_000_000_000_001)
    message.commands = [command("walk", {"direction": "backward", "distance_m": 0.5})]
    message.rejected = ["dance: again within 5 s"]
    message.stages = [StageTime(name="total", duration=duration_message(1.25))]
    message.evaluated_tokens, message.answer_tokens, message.prompt_tokens = 40, 20, 900
    return message


def test_a_turn_is_the_same_after_memory() -> None:
    before = turn()
    stored = stored_turn(before)
    after = restored_turn(stored)
    for field in ("id", "session_id", "heard", "said", "scene", "source", "prompt_tokens", "header", "stages"):
        assert getattr(after, field) == getattr(before, field), field
    assert list(after.rejected) == list(before.rejected)
    assert after.commands[0].arguments_json == before.commands[0].arguments_json
    assert after.commands[0].header.stamp == before.commands[0].header.stamp
    assert stored.tokens == 60
    json.dumps(stored.document)


def test_a_turn_costs_tokens_even_where_the_server_told_none() -> None:
    message = turn()
    message.evaluated_tokens = message.answer_tokens = 0
    assert stored_turn(message).tokens > 0


def test_commands_return_to_the_prompt_as_the_model_writes_them(layout: PromptLayout) -> None:
    scene, heard, answer = remembered_turn(turn(), layout)
    assert (scene, heard) == ("10:00:00 nobody", "한 걸음 뒤로")
    assert json.loads(answer)["commands"] == [
        {"name": "walk", "arguments": {"direction": "backward", "distance": {"value": 0.5, "unit": "m"}}}
    ]


@pytest.mark.parametrize("arguments", [{"direction": "upward", "distance_m": 0.5}, {"direction": "left"}])
def test_a_command_that_the_catalogue_no_longer_knows_is_left_out(
    layout: PromptLayout, arguments: dict[str, object]
) -> None:
    message = turn()
    message.commands = [command("walk", arguments), command("fly", {}), command("nod", {})]
    assert json.loads(remembered_turn(message, layout)[2])["commands"] == [{"name": "nod", "arguments": {}}]
