"""A long conversation: every turn costs its own tokens alone, and a new dialogue process knows what was said."""

import json
from collections.abc import Iterator

import httpx
import pytest
from smolfusion_ros.msg import Turn
from smolfusion_ros.srv import Chat, GetHistory

from smolfusion_ros.bringup.paths import share_directory
from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.errors import CommandError
from system.probe import Probe
from system.stack import Stack, running

pytestmark = pytest.mark.system

SAID = (
    "hello there", "what is your name?", "wave your left hand", "how are you today?", "turn left 45 degrees",
    "nice to meet you", "nod please", "walk forward one meter", "thank you very much", "clap your hands",
)  # fmt: skip
TURNS = 22
ALLOWANCE = 8


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    options = {"provider": "xllamacpp"}
    with running(tmp_path_factory.mktemp("conversation"), "llm_backend", "dialogue", "memory", **options) as started:
        yield started


@pytest.fixture(scope="module")
def layout() -> PromptLayout:
    config = share_directory() / "config"
    catalogue = Catalogue.load(config / "actions.yaml")
    return PromptLayout(Persona.load(config / "persona.yaml", catalogue), catalogue)


@pytest.fixture(scope="module")
def conversation(stack: Stack) -> list[Turn]:
    """The turns as they were published."""
    probe = stack.probe
    probe.heard("turn")
    conversation = []
    for number in range(TURNS):
        probe.see(f"person {('left', 'centre', 'right')[number % 3]} smiling red shirt")
        conversation.append(_turn(probe, SAID[number % len(SAID)], "long"))
    return conversation


def _turn(probe: Probe, said: str, session_id: str) -> Turn:
    answer = probe.call(Chat, "chat", text=said, session_id=session_id)
    return probe.heard("turn").wait_for(lambda turn: turn.id == answer.turn_id).message


def _count(stack: Stack, text: str, special: bool) -> int:
    body = {"content": text, "add_special": False, "parse_special": special}
    return len(httpx.post(f"{stack.workplace.llm_url}/tokenize", json=body).json()["tokens"])


def test_late_turn_evaluates_its_own_tokens_alone(stack: Stack, conversation: list[Turn], layout: PromptLayout) -> None:
    for number, turn in enumerate(conversation, 1):
        print(f"turn {number}: prompt {turn.prompt_tokens}, evaluated {turn.evaluated_tokens}, {turn.said!r}")
    turn = conversation[19]
    own = sum(_count(stack, piece.text, piece.special) for piece in layout.turn(turn.scene, turn.heard))
    print(f"turn 20: {turn.evaluated_tokens} tokens evaluated, its own are {own}, the prompt's {turn.prompt_tokens}")
    assert 0 < turn.evaluated_tokens <= own + ALLOWANCE
    assert turn.evaluated_tokens < turn.prompt_tokens / 10


def test_every_turn_is_valid(conversation: list[Turn], layout: PromptLayout) -> None:
    commands = [command for turn in conversation for command in turn.commands]
    rejected = [reason for turn in conversation for reason in turn.rejected]
    print("commands:", [(command.name, command.arguments_json) for command in commands], "rejected:", rejected)
    for turn in conversation:
        assert (turn.error, turn.interrupted, turn.source) == ("", False, "llm")
        assert turn.said.strip()
        assert turn.answer_tokens > 0
    assert commands
    for command in commands:
        try:
            layout.catalogue.restored(command.name, json.loads(command.arguments_json))
        except CommandError as error:
            pytest.fail(f"{command.name} {command.arguments_json}: {error}")


def test_new_process_knows_what_was_said(stack: Stack, conversation: list[Turn]) -> None:
    history = stack.probe.call(GetHistory, "get_history", session_id="long").turns
    assert [turn.id for turn in history] == [turn.id for turn in conversation[-len(history) :]]
    words = sum(_count(stack, turn.heard + turn.said, False) for turn in history)
    stack.restart("dialogue")
    prompts = {
        session: _turn(stack.probe, "what is your name?", session).prompt_tokens for session in ("long", "never seen")
    }
    print(f"{len(history)} turns with {words} tokens of words; prompts after the restart: {prompts}")
    assert prompts["long"] >= prompts["never seen"] + words
