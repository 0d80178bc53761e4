"""A voice that was interrupted: the next prompt tells what was heard, not what was written."""

import asyncio

from dialogue_bench import NOD, Bench, rest, run
from scripted_model import eventually


async def answered(bench: Bench, turn_id: str, say: str, *commands: dict) -> None:
    bench.model.answers(rest(say, *commands))
    await bench.turn(turn_id=turn_id)


def test_of_a_finished_answer_only_what_was_heard_stands_in_the_next_prompt():
    async def scenario() -> None:
        bench = Bench()
        await answered(bench, "a", "One. Two. Three.", NOD)
        await bench.engine.cut_short("a", "s", "One. Two")
        await bench.turn("go on")
        prompt = bench.prompt_text(1)
        assert rest("One. Two", NOD) in prompt
        assert "Three" not in prompt
        asked = bench.model.requests[0].prompt
        assert bench.model.requests[1].prompt[: len(asked)] == asked

    run(scenario())


def test_answer_that_is_still_written_ends_in_the_backend_and_keeps_what_was_heard():
    async def scenario() -> None:
        bench = Bench()
        bench.model.answers("One. Two. Three.", asyncio.Event())
        turn = bench.start("a")
        await eventually(lambda: bench.listener.said("a") == "One. Two. Three.")
        await bench.engine.cut_short("a", "s", "One.")
        assert (await turn).interrupted
        assert bench.model.requests[0].ended and not bench.model.requests[0].finished
        await bench.turn("go on")
        assert rest("One.") in bench.prompt_text(1)
        assert "Two" not in bench.prompt_text(1)

    run(scenario())


def test_answer_of_which_nothing_was_heard_is_an_empty_one():
    async def scenario() -> None:
        bench = Bench()
        await answered(bench, "a", "One.")
        await bench.engine.cut_short("a", "s", "")
        await bench.turn("go on")
        assert rest("") in bench.prompt_text(1)

    run(scenario())


def test_older_turns_other_sessions_and_unknown_ones_stay_as_they_are():
    async def scenario() -> None:
        bench = Bench()
        await answered(bench, "a", "One. Two.")
        await answered(bench, "b", "Three. Four.")
        for turn_id, session in (("a", "s"), ("b", "another"), ("nobody", "s"), ("", "")):
            await bench.engine.cut_short(turn_id, session, "cut")
        await bench.turn("go on")
        assert rest("One. Two.") in bench.prompt_text(2)
        assert rest("Three. Four.") in bench.prompt_text(2)

    run(scenario())
