"""What became of commands in the conversation: told once, in the prompt, and nothing follows by itself."""

import asyncio

import pytest
from clock import Clock
from dialogue_bench import BOW, CANNED, NOD, WALK, Bench, rest, run
from scripted_model import ScriptedModel, eventually

from smolfusion_ros.dialogue.actions import FINAL_STATES, STATES
from smolfusion_ros.dialogue.policy import CommandPolicy
from smolfusion_ros.dialogue.turn import IssuedCommand, SceneContext
from smolfusion_ros.errors import BackendError, BackendUnavailableError, CommandError

SCENE = "10:00:00 person left"


async def issued(bench: Bench, *written: dict, session: str = "s") -> list[IssuedCommand]:
    """Commands that went out in a turn of their own."""
    return list((await bench.command(*written, session=session)).commands)


def test_next_turn_is_told_how_commands_ended_and_the_one_after_it_is_not():
    async def scenario() -> None:
        bench = Bench()
        walk, nod = await issued(bench, WALK, NOD)
        assert bench.engine.on_status(walk.id, "failed", "obstacle ahead")
        assert bench.engine.on_status(nod.id, "succeeded", "")
        line = f"{SCENE}; walk failed: obstacle ahead, nod succeeded"
        assert await bench.scene_told() == line
        assert f"[{line}]\nand now?" in bench.prompt_text(1)
        assert await bench.scene_told() == SCENE
        assert bench.prompt_text(2).count("walk failed") == 1  # in the history

    run(scenario())


@pytest.mark.parametrize("state", sorted(set(STATES) - FINAL_STATES))
def test_command_that_is_under_way_is_not_told(state: str):
    async def scenario() -> None:
        bench = Bench()
        (walk,) = await issued(bench, WALK)
        assert bench.engine.on_status(walk.id, state, "on my way")
        assert await bench.scene_told() == SCENE

    run(scenario())


def test_command_whose_lifetime_passed_without_a_word_is_not_told_and_a_late_word_is():
    async def scenario() -> None:
        bench = Bench()
        (walk,) = await issued(bench, WALK)
        bench.clock_s += 1000.0
        assert await bench.scene_told() == SCENE
        assert bench.engine.on_status(walk.id, "failed", "timed out")
        assert await bench.scene_told() == f"{SCENE}; walk failed: timed out"

    run(scenario())


def test_status_of_an_unknown_command_is_told_apart_and_of_an_unknown_state_refused():
    async def scenario() -> None:
        bench = Bench()
        (walk,) = await issued(bench, WALK)
        assert not bench.engine.on_status("never issued", "failed", "what?")
        with pytest.raises(CommandError, match=r"state 'exploded' of command .* is not one of accepted"):
            bench.engine.on_status(walk.id, "exploded")
        assert await bench.scene_told() == SCENE

    run(scenario())


def test_news_belong_to_the_session_that_gave_the_command():
    async def scenario() -> None:
        bench = Bench()
        (walk,) = await issued(bench, WALK, session="a")
        bench.engine.on_status(walk.id, "failed", "fell")
        assert await bench.scene_told("b") == SCENE
        assert await bench.scene_told("a") == f"{SCENE}; walk failed: fell"

    run(scenario())


@pytest.mark.parametrize("native", [True, False])
def test_history_with_news_stays_the_beginning_of_the_next_prompt(native: bool):
    async def scenario() -> None:
        bench = Bench(ScriptedModel(native=native))
        bench.model.answers(rest("Yes.", NOD) if native else bench.layout.answer_text("Yes.", (NOD,)))
        (nod,) = (await bench.turn()).commands
        bench.engine.on_status(nod.id, "failed", "neck <|im_end|> stuck]")
        for _ in range(2):
            if not native:
                bench.model.answers(bench.layout.answer_text("Yes.", ()))
            await bench.turn()
        _, told, after = bench.model.requests
        if native:
            kept = (*told.prompt, *told.written_ids)
            assert after.prompt[: len(kept)] == kept
            controls = [sum(map(bench.model.is_control, request.prompt)) for request in bench.model.requests]
            assert controls[2] - controls[1] == controls[1] - controls[0]  # each turn brings as many
        else:
            assert after.messages[: len(told.messages)] == told.messages
            line = f"{SCENE}; nod failed: neck im_end stuck"
            assert told.messages[-1]["content"] == f"[{line}]\nhello"

    run(scenario())


def test_memory_restores_the_prompt_with_its_news():
    async def scenario() -> None:
        bench = Bench()
        (nod,) = await issued(bench, NOD)
        bench.engine.on_status(nod.id, "failed", "obstacle")
        record = await bench.turn("and now?")
        text = bench.prompt_text(1)
        other = Bench()
        first = bench.listener.records()[0]
        nodded = bench.layout.answer_text(first.said, [each.command.as_written() for each in first.commands])
        answer = bench.layout.answer_text(record.said, ())
        other.memory["s"] = [(first.scene, first.heard, nodded), (record.scene, record.heard, answer)]
        await other.turn("go on")
        assert "nod failed: obstacle]" in text
        assert other.prompt_text(0).startswith(text)

    run(scenario())


@pytest.mark.parametrize("when", ["away", "dies before a word", "says nothing"])
def test_news_that_no_answer_was_based_on_wait_for_the_next_turn(when: str):
    async def scenario() -> None:
        bench = Bench()
        (walk,) = await issued(bench, WALK)
        bench.engine.on_status(walk.id, "failed", "fell")
        if when == "away":
            bench.model.away = BackendUnavailableError("no server")
        elif when == "dies before a word":
            bench.model.answers(BackendError("HTTP 500"))
        else:
            bench.model.answers("")
        record = await bench.turn()
        assert (record.said, record.source) == (CANNED, "canned")
        bench.model.away = None
        assert await bench.scene_told() == f"{SCENE}; walk failed: fell"
        assert await bench.scene_told() == SCENE

    run(scenario())


def test_news_stay_where_a_turn_is_interrupted_before_its_first_word_and_go_after_it():
    async def scenario() -> None:
        bench = Bench()
        (walk,) = await issued(bench, WALK)
        bench.engine.on_status(walk.id, "failed", "fell")
        for begun, told in (("", f"{SCENE}; walk failed: fell"), ("Well ", f"{SCENE}; walk failed: fell")):
            bench.model.answers(*([begun] if begun else []), asyncio.Event())
            before = len(bench.model.requests)
            turn = bench.start(f"t{begun}")
            expected = before + 1
            await eventually(
                lambda expected=expected, begun=begun: (
                    len(bench.model.requests) == expected and bench.listener.said(f"t{begun}") == begun
                )
            )
            bench.engine.interrupt()
            assert (await turn).scene == told
        assert await bench.scene_told() == SCENE

    run(scenario())


def test_what_comes_while_the_answer_is_written_is_told_at_the_turn_after_it():
    async def scenario() -> None:
        bench, gate = Bench(), asyncio.Event()
        walk, nod = await issued(bench, WALK, NOD)
        bench.engine.on_status(walk.id, "failed", "fell")
        bench.model.answers("Oh", gate, rest("."))
        turn = bench.start("t")
        await eventually(lambda: bench.listener.said("t") == "Oh")
        bench.engine.on_status(nod.id, "succeeded")
        gate.set()
        assert (await turn).scene == f"{SCENE}; walk failed: fell"
        assert await bench.scene_told() == f"{SCENE}; nod succeeded"

    run(scenario())


def test_status_while_the_commands_own_turn_goes_on_is_news_of_the_next():
    async def scenario() -> None:
        bench, gate = Bench(), asyncio.Event()
        bench.model.answers('Yes.", "commands": [{"name": "nod", "arguments": {}}', gate, "]}")
        turn = bench.start("t")
        await eventually(lambda: bench.listener.commanded() == ["nod"])
        (command,) = [what for kind, _, what in bench.listener.events if kind == "command"]
        assert bench.engine.on_status(command.id, "rejected", "no neck")
        gate.set()
        assert (await turn).scene == SCENE
        assert await bench.scene_told() == f"{SCENE}; nod rejected: no neck"

    run(scenario())


@pytest.mark.parametrize("state", sorted(FINAL_STATES - {"succeeded"}))
def test_failure_makes_the_robot_do_nothing_by_itself(state: str):
    async def scenario() -> None:
        bench = Bench()
        (walk,) = await issued(bench, WALK)
        asked, events = len(bench.model.requests), len(bench.listener.events)
        for _ in range(3):
            bench.engine.on_status(walk.id, state, "try again")
            await asyncio.sleep(0.01)
        assert (len(bench.model.requests), len(bench.listener.events)) == (asked, events)
        record = await bench.turn("what happened?")
        assert record.commands == ()
        assert bench.listener.commanded() == ["walk"]

    run(scenario())


def test_without_a_scene_the_news_are_told_all_the_same():
    async def scenario() -> None:
        bench = Bench()
        bench.scene = SceneContext()
        (nod,) = await issued(bench, NOD)
        bench.engine.on_status(nod.id, "failed")
        assert await bench.scene_told() == "nothing seen; nod failed"
        assert await bench.scene_told() == ""

    run(scenario())


def test_outcome_of_a_reflex_is_told_at_the_next_turn_with_the_model():
    async def scenario() -> None:
        bench = Bench()
        (walk,) = await issued(bench, WALK)
        stop = (await bench.turn("stop")).commands[0]
        bench.engine.on_status(walk.id, "cancelled", "stopped")
        bench.engine.on_status(stop.id, "succeeded")
        assert await bench.scene_told() == f"{SCENE}; walk cancelled: stopped, stop succeeded"

    run(scenario())


def test_forgotten_session_hears_nothing_of_what_went_before():
    async def scenario() -> None:
        bench = Bench()
        walk, nod = await issued(bench, WALK, NOD)
        bench.engine.on_status(walk.id, "failed")
        bench.engine.forget("s")
        assert not bench.engine.on_status(nod.id, "failed")
        assert await bench.scene_told() == SCENE

    run(scenario())


def test_history_that_is_taken_from_memory_again_keeps_its_news():
    async def scenario() -> None:
        bench = Bench()

        def fail(text: str, special: bool) -> None:
            if bench.listener.records():
                raise BackendUnavailableError("gone")

        bench.model.before_tokenize = fail
        (nod,) = await issued(bench, NOD)
        bench.model.before_tokenize = None
        bench.engine.on_status(nod.id, "failed", "stuck")
        assert await bench.scene_told() == f"{SCENE}; nod failed: stuck"

    run(scenario())


def test_emergency_stop_is_a_command_whose_status_is_known_and_nobodys_news():
    async def scenario() -> None:
        bench = Bench()
        stop = bench.engine.set_emergency_stop(True)
        assert stop is not None
        assert bench.engine.on_status(stop.id, "succeeded")
        assert await bench.scene_told() == SCENE
        assert await bench.scene_told("default") == SCENE

    run(scenario())


def test_status_frees_the_floor_also_of_an_engine_that_was_built_after_the_command():
    async def scenario() -> None:
        policy = CommandPolicy(Clock())
        (walk,) = await issued(Bench(policy=policy), WALK)
        later = Bench(policy=policy)
        assert not later.engine.on_status(walk.id, "succeeded")
        await issued(later, WALK, BOW, session="other")
        assert later.listener.commanded() == ["walk", "bow"]

    run(scenario())
