"""What must hold whatever else goes wrong: stops get through, and nothing goes out that must not."""

import asyncio
from pathlib import Path

import pytest
from dialogue_bench import CANNED, CONFIG, NOD, Bench, rest, run
from scripted_model import ScriptedModel, eventually

from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.engine import DialogueEngine
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.dialogue.policy import CommandPolicy, Situation
from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.dialogue.reflexes import Reflexes
from smolfusion_ros.dialogue.turn import SceneContext
from smolfusion_ros.errors import ConfigurationError, SessionError


def engine_of(path: Path, default_session: str = "default") -> DialogueEngine:
    catalogue = Catalogue.load(path)
    return DialogueEngine(
        ScriptedModel(),
        PromptLayout(Persona("Ro", "You are Ro.", CANNED), catalogue),
        reflexes=Reflexes(catalogue, {}),
        policy=CommandPolicy(lambda: 0.0),
        default_session=default_session,
    )


@pytest.mark.parametrize("session", ["x" * 65, "a\nb"])
def test_a_stop_gets_through_from_a_session_whose_name_is_refused(session: str):
    async def scenario() -> None:
        bench = Bench()
        record = await bench.turn("stop", session)
        assert bench.listener.commanded() == ["stop"]
        assert record.session_id == "default"
        with pytest.raises(SessionError):
            await bench.turn("hello", session)

    run(scenario())


def test_a_stop_gets_through_when_everything_is_engaged_and_nobody_is_seen():
    async def scenario() -> None:
        bench = Bench()
        bench.scene = SceneContext()
        bench.engine.set_emergency_stop(True)
        for _ in range(3):
            await bench.turn("stop")
        assert bench.listener.commanded() == ["stop"] * 3

    run(scenario())


def test_every_press_of_the_emergency_stop_commands_a_stop_and_a_release_commands_nothing():
    async def scenario() -> None:
        bench = Bench()
        pressed = [bench.engine.set_emergency_stop(True) for _ in range(2)]
        assert [issued.command.name for issued in pressed] == ["stop", "stop"]
        assert pressed[0].id != pressed[1].id
        assert bench.engine.set_emergency_stop(False) is None

    run(scenario())


def test_a_command_is_judged_by_the_scene_of_its_own_moment():
    async def scenario() -> None:
        bench, gate = Bench(), asyncio.Event()
        bench.model.answers('Yes.", "commands": [', gate, '{"name": "follow", "arguments": {"target": "person"}}]}')
        turn = bench.start("t")
        await eventually(lambda: bench.listener.said("t") == "Yes.")
        bench.scene = SceneContext("10:00:09 nobody", Situation(person_seen=False, scene_age_s=0.1), 43)
        gate.set()
        record = await turn
        assert bench.listener.commanded() == []
        assert record.rejected == ("follow: needs a person, nobody is seen",)

    run(scenario())


def test_trouble_of_one_turn_is_told_and_the_next_one_is_answered():
    async def scenario() -> None:
        bench = Bench()
        bench.memory["s"] = RuntimeError("unforeseen")
        record = await bench.turn()
        assert (record.said, record.error) == (CANNED, "RuntimeError: unforeseen")
        bench.memory.clear()
        bench.model.answers(rest("Yes.", NOD))
        assert (await bench.turn()).said == "Yes."
        assert bench.listener.commanded() == ["nod"]

    run(scenario())


def test_history_is_bounded_where_the_server_takes_no_token_ids():
    async def scenario() -> None:
        bench = Bench(ScriptedModel(native=False), max_history_tokens=300)
        lengths = []
        for number in range(8):
            bench.model.answers(bench.layout.answer_text("Yes. " * 20, ()))
            await bench.turn(f"{number} " + "word " * 20)
            lengths.append(len(bench.model.requests[-1].messages))
        assert max(lengths) < 2 + 2 * 4
        assert lengths[-1] < lengths[2] + 4

    run(scenario())


@pytest.mark.parametrize("actions", ["{nod: {}}", "{stop: {arguments: {how: {kind: noun}}}}"])
def test_a_catalogue_without_a_plain_stop_is_refused_at_the_start(tmp_path: Path, actions: str):
    path = tmp_path / "actions.yaml"
    path.write_text(f"actions: {actions}")
    with pytest.raises(ConfigurationError, match="needs a 'stop' without arguments"):
        engine_of(path)


def test_a_default_session_that_nobody_could_use_is_refused_at_the_start():
    with pytest.raises(SessionError):
        engine_of(CONFIG / "actions.yaml", default_session="x" * 65)
