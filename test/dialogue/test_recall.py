"""Sessions taken from memory: also when it fails, comes back, or takes its time."""

import asyncio
from collections.abc import Sequence

from dialogue_bench import Bench, rest, run
from scripted_model import eventually

from smolfusion_ros.errors import MemoryStoreError


def remembered(bench: Bench, *heard: str) -> Sequence[tuple[str, str, str]]:
    return [("", each, bench.layout.answer_text("Yes.", ())) for each in heard]


def test_memory_that_failed_is_asked_again_and_what_was_said_meanwhile_stays():
    async def scenario() -> None:
        bench = Bench()
        bench.memory["s"] = MemoryStoreError("disk away")
        first = await bench.turn("said while memory was away")
        await bench.turn("and this")
        assert bench.asked_memory == ["s", "s"]
        # Back, and the first of the two has reached it.
        known = (first.scene, first.heard, bench.layout.answer_text(first.said, ()))
        bench.memory["s"] = [*remembered(bench, "long ago"), known]
        await bench.turn("now")
        prompt = bench.prompt_text(2)
        positions = [prompt.index(each) for each in ("long ago", "said while memory was away", "and this", "now")]
        assert positions == sorted(positions)
        assert prompt.count("said while memory was away") == 1
        await bench.turn("later")
        assert bench.asked_memory == ["s", "s", "s"]

    run(scenario())


def test_session_whose_memory_is_slow_delays_no_other():
    async def scenario() -> None:
        answer = asyncio.Event()

        async def slow(session_id: str) -> Sequence[tuple[str, str, str]]:
            if session_id == "slow":
                await answer.wait()
            return ()

        bench = Bench(remembered=slow)
        first = bench.start("first", session="slow")
        await asyncio.sleep(0)
        record = await asyncio.wait_for(bench.turn("hello", session="quick"), 5.0)
        assert (record.said, first.done()) == ("Yes.", False)
        answer.set()
        assert (await first).said == "Yes."

    run(scenario())


def test_session_forgotten_while_memory_was_away_is_asked_for_once_more():
    async def scenario() -> None:
        bench = Bench()
        bench.memory["s"] = MemoryStoreError("disk away")
        await bench.turn("first")
        bench.engine.forget("s")
        bench.memory["s"] = ()
        bench.model.answers(rest("Yes."))
        await bench.turn("second")
        await bench.turn("third")
        assert bench.asked_memory == ["s", "s"]
        assert "first" not in bench.prompt_text(1)

    run(scenario())


def test_session_that_is_cleared_while_memory_answers_starts_empty():
    async def scenario() -> None:
        asked = 0
        bench = Bench()

        async def clearing(session_id: str) -> Sequence[tuple[str, str, str]]:
            nonlocal asked
            asked += 1
            if asked > 1:
                return ()
            found = remembered(bench, "a secret")
            bench.engine.forget(session_id)  # while the answer is on its way
            return found

        bench = Bench(remembered=clearing)
        await bench.turn("hello")
        assert asked == 2
        assert "a secret" not in bench.prompt_text(0)

    run(scenario())


def test_session_that_waits_for_the_backend_is_not_dropped_for_newer_ones():
    async def scenario() -> None:
        bench = Bench(max_sessions=2, max_waiting=8)
        await bench.turn("first", session="old")
        await bench.turn("second", session="other")
        holding = asyncio.Event()
        bench.model.answers("Hello ", holding)
        speaking = bench.start("speaking", session="other")
        await eventually(lambda: bench.listener.said("speaking") == "Hello ")
        waiting = bench.start("waiting", "third", "old")
        newcomer = bench.start("newcomer", "hello", "new")
        await asyncio.sleep(0.05)
        holding.set()
        await asyncio.gather(speaking, waiting, newcomer)
        assert bench.asked_memory.count("old") == 1

    run(scenario())


def test_clearing_one_session_does_not_make_another_be_asked_for_again():
    async def scenario() -> None:
        asked: list[str] = []
        bench = Bench()

        async def clearing(session_id: str) -> Sequence[tuple[str, str, str]]:
            asked.append(session_id)
            bench.engine.forget("another")
            return ()

        bench = Bench(remembered=clearing)
        await bench.turn("hello")
        assert asked == ["s"]

    run(scenario())
