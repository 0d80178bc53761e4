"""What must hold whatever else goes wrong: stops get through, and nothing goes out that must not."""

import asyncio
from pathlib import Path

import pytest
from clock import Clock
from dialogue_bench import BOW, CANNED, CONFIG, NOD, STOP, WALK, Bench, rest, run
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


LOOK = {"name": "look_at", "arguments": {"target": "cup"}}


def test_one_session_at_a_time_moves_the_robot():
    async def scenario() -> None:
        bench = Bench()
        (walk,) = (await bench.command(WALK, session="a")).commands
        record = await bench.command(BOW, LOOK, NOD, session="b")
        assert record.rejected == ("bow: session 'a' is moving the robot",)
        assert [issued.command.name for issued in record.commands] == ["look_at", "nod"]
        bench.engine.on_status(walk.id, "succeeded")
        assert (await bench.command(BOW, session="b")).rejected == ()
        assert (await bench.command(WALK, session="a")).rejected == ("walk: session 'b' is moving the robot",)

    run(scenario())


def test_session_that_moves_the_robot_may_order_something_else_meanwhile():
    async def scenario() -> None:
        bench = Bench()
        await bench.command(WALK, BOW, LOOK)
        await bench.command(WALK)
        assert bench.listener.commanded() == ["walk", "bow", "look_at", "walk"]

    run(scenario())


@pytest.mark.parametrize("spoken", [True, False], ids=["reflex", "model"])
def test_stop_of_another_session_ends_the_motion_and_frees_the_floor(spoken: bool):
    async def scenario() -> None:
        bench = Bench()
        (walk,) = (await bench.command(WALK, session="a")).commands
        bench.engine.on_status(walk.id, "running")
        record = await (bench.turn("stop", "b") if spoken else bench.command(STOP, session="b"))
        assert [issued.command.name for issued in record.commands] == ["stop"]
        assert (await bench.command(BOW, session="c")).rejected == ()

    run(scenario())


def test_emergency_stop_beats_a_motion_that_is_under_way():
    async def scenario() -> None:
        bench = Bench()
        (walk,) = (await bench.command(WALK, session="a")).commands
        bench.engine.on_status(walk.id, "running")
        stop = bench.engine.set_emergency_stop(True)
        assert stop is not None and stop.command.action.priority > walk.command.action.priority
        for session in "ab":
            assert (await bench.command(WALK, session=session)).rejected == ("walk: emergency stop is engaged",)
        bench.engine.set_emergency_stop(False)
        assert (await bench.command(WALK, session="b")).rejected == ()

    run(scenario())


def test_engine_that_is_built_anew_around_the_policy_finds_it_as_it_was():
    async def scenario() -> None:
        clock = Clock()
        policy = CommandPolicy(clock)
        first = Bench(policy=policy)
        await first.command(NOD, WALK, session="a")
        assert (await Bench(policy=policy).command(NOD, session="a")).rejected == ("nod: again within 1 s",)
        kept_out = (await Bench(policy=policy).command(WALK, session="b")).rejected
        assert kept_out == ("walk: session 'a' is moving the robot",)
        first.engine.set_emergency_stop(True)
        clock.now_s += 100.0
        second = Bench(policy=policy)
        assert second.engine.policy.emergency_stop
        assert (await second.command(NOD)).rejected == ("nod: emergency stop is engaged",)
        second.engine.set_emergency_stop(False)
        assert (await Bench(policy=policy).command(NOD)).rejected == ()

    run(scenario())
