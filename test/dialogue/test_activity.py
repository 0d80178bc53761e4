"""The dialogue switched off: it takes no turns, ends those under way, and stops get through."""

import asyncio

import pytest
from dialogue_bench import NOD, Bench, rest, run
from scripted_model import eventually

from smolfusion_ros.dialogue import engine as engine_module
from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.reflexes import Reflexes
from smolfusion_ros.errors import InactiveError, SmolFusionError, UtteranceError


def test_dialogue_is_active_at_first():
    assert Bench().engine.active


def test_inactive_dialogue_refuses_a_turn_and_takes_it_when_it_is_active_again():
    async def scenario() -> None:
        bench = Bench()
        await bench.engine.deactivate()
        assert not bench.engine.active
        with pytest.raises(InactiveError, match=r"not active.*activate it first"):
            await bench.turn()
        assert bench.listener.events == [] and bench.model.requests == []
        bench.engine.activate()
        assert (await bench.turn()).said == "Yes."

    run(scenario())


def test_inactive_dialogue_tells_nonsense_from_what_it_does_not_take():
    async def scenario() -> None:
        bench = Bench()
        bench.engine.active = False
        with pytest.raises(UtteranceError):
            await bench.turn("")
        assert issubclass(InactiveError, SmolFusionError)

    run(scenario())


@pytest.mark.parametrize("heard", ["stop", "멈춰!", "Robot, stop now"])
def test_stop_gets_through_an_inactive_dialogue(heard: str):
    async def scenario() -> None:
        bench = Bench()
        await bench.engine.deactivate()
        record = await bench.turn(heard)
        assert (record.source, record.said) == ("reflex", "Stopping.")
        assert bench.listener.commanded() == ["stop"]

    run(scenario())


def test_stop_gets_through_when_what_is_seen_cannot_be_told():
    async def scenario() -> None:
        bench = Bench()
        bench.scene = None  # type: ignore[assignment]
        await bench.engine.deactivate()
        await bench.turn("stop")
        assert bench.listener.commanded() == ["stop"]

    run(scenario())


def test_other_reflexes_do_not_move_an_inactive_robot(catalogue: Catalogue):
    async def scenario() -> None:
        bench = Bench()
        bench.engine._reflexes = Reflexes(catalogue, {"dance": ["dance"], "stop": ["stop"]})
        bench.engine.active = False
        with pytest.raises(InactiveError):
            await bench.turn("dance")
        assert bench.listener.events == []

    run(scenario())


@pytest.mark.parametrize("active", [True, False])
def test_emergency_stop_works_in_both_states_and_lasts_through_both(active: bool):
    async def scenario() -> None:
        bench = Bench()
        bench.engine.active = active
        stop = bench.engine.set_emergency_stop(True)
        assert stop is not None and stop.command.name == "stop"
        await bench.engine.deactivate()
        bench.engine.activate()
        assert (await bench.command(NOD)).rejected == ("nod: emergency stop is engaged",)
        assert bench.engine.set_emergency_stop(False) is None

    run(scenario())


def test_deactivating_ends_all_turns_and_waits_for_their_records():
    async def scenario() -> None:
        bench = Bench(concurrency=2)
        for _ in range(2):
            bench.model.answers("Hello ", asyncio.Event())
        turns = [bench.start(name, session=name) for name in ("a", "b", "waiting")]
        await eventually(lambda: bench.listener.said("a") == bench.listener.said("b") == "Hello ")
        await bench.engine.deactivate()
        assert [record.interrupted for record in bench.listener.records()] == [True] * 3
        records = await asyncio.gather(*turns)
        assert {record.said for record in records} == {"Hello ", ""}
        assert all(request.ended for request in bench.model.requests)

    run(scenario())


def test_turn_that_waits_for_the_one_before_it_ends_with_the_dialogue():
    async def scenario() -> None:
        bench = Bench()
        bench.model.answers("Hello ", asyncio.Event())
        first = bench.start("first")
        await eventually(lambda: bench.listener.said("first") == "Hello ")
        second = bench.start("second")
        await asyncio.sleep(0)
        await bench.engine.deactivate()
        assert [record.interrupted for record in await asyncio.gather(first, second)] == [True, True]
        assert len(bench.model.requests) == 1

    run(scenario())


def test_commands_that_come_while_it_is_switched_off_do_not_go_out():
    async def scenario() -> None:
        bench, gate = Bench(), asyncio.Event()
        bench.model.answers('Yes.", "commands": [', gate, '{"name": "nod", "arguments": {}}]}')
        turn = bench.start("t")
        await eventually(lambda: bench.listener.said("t") == "Yes.")
        gate.set()
        await bench.engine.deactivate()
        assert (await turn).interrupted
        assert bench.listener.commanded() == []

    run(scenario())


def test_turn_that_does_not_end_holds_deactivating_up_no_longer_than_the_bound(monkeypatch: pytest.MonkeyPatch):
    async def scenario() -> None:
        monkeypatch.setattr(engine_module, "DEACTIVATE_S", 0.05)
        bench, gate = Bench(), asyncio.Event()
        bench.model.before_tokenize = lambda text, special: gate.wait() if bench.listener.records() else None
        bench.model.answers(rest("Yes."))
        turn = bench.start("t")
        await eventually(lambda: len(bench.listener.records()) == 1)
        await asyncio.wait_for(bench.engine.deactivate(), 1.0)
        assert not turn.done()
        gate.set()
        await turn

    run(scenario())


def test_deactivating_twice_or_with_nothing_under_way_is_harmless():
    async def scenario() -> None:
        bench = Bench()
        await asyncio.gather(bench.engine.deactivate(), bench.engine.deactivate())
        await bench.engine.deactivate()
        bench.engine.activate()
        bench.engine.activate()
        assert (await bench.turn()).said == "Yes."

    run(scenario())
