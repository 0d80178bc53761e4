"""What is known before anybody speaks is evaluated before anybody speaks, in small pieces and within a budget."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import pytest
from dialogue_bench import NOD, Bench, rest, run
from scripted_model import ScriptedModel, eventually

from smolfusion_ros.dialogue import next_prompt
from smolfusion_ros.dialogue.prefill import Budget
from smolfusion_ros.dialogue.turn import SceneContext
from smolfusion_ros.errors import BackendError


@asynccontextmanager
async def ahead(bench: Bench) -> AsyncIterator[None]:
    """The engine at work while nobody speaks."""
    await bench.engine.warm_up()
    working = asyncio.create_task(bench.engine.prefill.run())
    try:
        yield
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


def evaluated(bench: Bench) -> str:
    """The last prompt that was evaluated without anything to write."""
    return bench.model.text([each for each in bench.model.requests if each.max_tokens == 0][-1].prompt)


def see(bench: Bench, line: str) -> None:
    bench.scene = SceneContext(line)
    bench.engine.prefill.wake()


def test_a_turn_evaluates_its_utterance_alone() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with ahead(bench):
            await eventually(lambda: evaluated(bench).endswith("[10:00:00 person left]\n"))
            for number in range(3):
                bench.model.answers(rest("Yes.", NOD))
                record = await bench.turn("will you wave")
                # The three words, and the six tokens from them to the opened answer.
                assert record.evaluated_tokens == 3 + 6
                see(bench, f"10:00:0{number} person right")
                await eventually(lambda line=bench.scene.line: evaluated(bench).endswith(f"[{line}]\n"))

    run(scenario())


def test_the_newest_scene_is_evaluated_and_nothing_twice() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with ahead(bench):
            await eventually(lambda: evaluated(bench).endswith("person left]\n"))
            see(bench, "10:00:07 nobody")
            await eventually(lambda: evaluated(bench).endswith("[10:00:07 nobody]\n"))
            number = len(bench.model.requests)
            bench.engine.prefill.wake()
            await asyncio.sleep(0.05)
            assert len(bench.model.requests) == number

    run(scenario())


def test_chunks_take_a_tenth_of_a_second() -> None:
    async def scenario() -> None:
        model = ScriptedModel()
        model.ms_per_token = 5.0
        bench = Bench(model)
        bench.scene = SceneContext("10:00:00 " + " ".join(f"thing{number}" for number in range(150)))
        async with ahead(bench):
            await eventually(lambda: evaluated(bench).endswith("thing149]\n"))
        lengths = [len(each.prompt) for each in model.requests if each.max_tokens == 0]
        steps = [after - before for before, after in pairwise(lengths[1:])]
        assert max(steps) == 20  # 100 ms
        assert len(steps) >= 7

    run(scenario())


def test_nothing_is_evaluated_ahead_while_a_turn_is_under_way() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with ahead(bench):
            await eventually(lambda: evaluated(bench).endswith("person left]\n"))
            gate = asyncio.Event()
            bench.model.answers("Ye", gate, rest("s.")[1:])
            turn = bench.start("one")
            await eventually(lambda: bench.listener.said("one") == "Ye")
            number = len(bench.model.requests)
            see(bench, "10:00:07 nobody")
            await asyncio.sleep(0.05)
            assert len(bench.model.requests) == number
            gate.set()
            await turn
            await eventually(lambda: evaluated(bench).endswith("[10:00:07 nobody]\n"))

    run(scenario())


def test_the_session_that_spoke_last_is_the_one_expected_to_speak() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with ahead(bench):
            await bench.turn("my name is anna", session="anna")
            await eventually(lambda: "anna" in evaluated(bench) and evaluated(bench).endswith("person left]\n"))
            await bench.turn("my name is ben", session="ben")
            await eventually(lambda: "ben" in evaluated(bench) and evaluated(bench).endswith("person left]\n"))
            assert "anna" not in evaluated(bench)

    run(scenario())


def test_what_became_of_a_command_is_evaluated_ahead_too() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with ahead(bench):
            await bench.command(NOD)
            [command] = [what for kind, _, what in bench.listener.events if kind == "command"]
            bench.engine.on_status(command.id, "failed", "battery low")
            await eventually(lambda: evaluated(bench).endswith("; nod failed: battery low]\n"))

    run(scenario())


def test_a_budget_of_nothing_evaluates_nothing_ahead() -> None:
    async def scenario() -> None:
        bench = Bench(prefill_tokens_per_minute=0)
        async with ahead(bench):
            see(bench, "10:00:07 nobody")
            await asyncio.sleep(0.05)
            assert len(bench.model.requests) == 1  # the warm-up

    run(scenario())


def test_server_that_goes_away_ends_nothing() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with ahead(bench):
            await eventually(lambda: evaluated(bench).endswith("person left]\n"))
            bench.model.away = BackendError("gone")
            see(bench, "10:00:07 nobody")
            await asyncio.sleep(0.02)
            bench.model.away = None
            see(bench, "10:00:08 nobody")
            await eventually(lambda: evaluated(bench).endswith("[10:00:08 nobody]\n"))

    run(scenario())


def test_a_turn_does_not_wait_for_what_is_evaluated_ahead() -> None:
    async def scenario() -> None:
        bench = Bench(deadline_s=5.0)
        async with ahead(bench):
            await eventually(lambda: evaluated(bench).endswith("person left]\n"))
            number, bench.model.evaluates_after = len(bench.model.requests), asyncio.Event()
            see(bench, "10:00:07 nobody")
            await eventually(lambda: len(bench.model.requests) > number)
            assert (await asyncio.wait_for(bench.turn(), 0.5 * next_prompt.LONGEST_PART_S)).error == ""

    run(scenario())


def test_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_prompt, "LONGEST_PART_S", 0.1)

    async def scenario() -> None:
        bench = Bench()
        async with ahead(bench):
            await eventually(lambda: evaluated(bench).endswith("person left]\n"))
            number, bench.model.evaluates_after = len(bench.model.requests), asyncio.Event()
            see(bench, "10:00:07 nobody")
            await eventually(lambda: len(bench.model.requests) > number)
            await asyncio.sleep(0.3)
            bench.model.evaluates_after = None
            see(bench, "10:00:08 nobody")
            await eventually(lambda: evaluated(bench).endswith("[10:00:08 nobody]\n"))

    run(scenario())


def test_nothing_is_evaluated_ahead_while_the_dialogue_rests() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with ahead(bench):
            await eventually(lambda: evaluated(bench).endswith("person left]\n"))
            await bench.engine.deactivate()
            number = len(bench.model.requests)
            see(bench, "10:00:07 nobody")
            await asyncio.sleep(0.05)
            assert len(bench.model.requests) == number
            bench.engine.activate()
            await eventually(lambda: evaluated(bench).endswith("[10:00:07 nobody]\n"))

    run(scenario())


def test_server_without_token_ids_is_left_alone() -> None:
    async def scenario() -> None:
        bench = Bench(ScriptedModel(native=False))
        async with ahead(bench):
            see(bench, "10:00:07 nobody")
            await asyncio.sleep(0.05)
            assert len(bench.model.requests) == 1

    run(scenario())


def test_same_answers_with_and_without() -> None:
    """The prompts that a turn puts to the model do not depend on what was evaluated before."""

    async def prompts(per_minute: int) -> list[tuple[int, ...]]:
        bench = Bench(prefill_tokens_per_minute=per_minute)
        async with ahead(bench):
            for heard in ("hello", "wave please", "thanks"):
                await bench.turn(heard)
                await asyncio.sleep(0.01)
        return [bench.model.text(each.prompt) for each in bench.model.requests if each.max_tokens]

    assert run(prompts(0)) == run(prompts(1_000_000))


class TestBudget:
    @pytest.fixture
    def now(self) -> list[float]:
        return [100.0]

    def test_a_minutes_tokens_may_be_spent_at_once_and_come_back_in_a_minute(self, now: list[float]) -> None:
        budget = Budget(600, lambda: now[0])
        assert budget.wait_s(600) == 0
        budget.spend(600)
        assert budget.wait_s(10) == pytest.approx(1.0)
        now[0] += 30
        assert budget.wait_s(300) == pytest.approx(0.0)
        assert budget.wait_s(310) == pytest.approx(1.0)

    def test_no_more_than_a_minutes_tokens_are_saved_up(self, now: list[float]) -> None:
        budget = Budget(600, lambda: now[0])
        now[0] += 3600
        budget.spend(600)
        assert budget.wait_s(60) == pytest.approx(6.0)

    def test_a_chunk_of_more_than_a_minutes_tokens_passes_when_the_minute_is_full(self, now: list[float]) -> None:
        budget = Budget(60, lambda: now[0])
        assert budget.wait_s(500) == 0
        budget.spend(500)
        assert budget.wait_s(8) > 400
