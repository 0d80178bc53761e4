"""The dialogue engine when things go otherwise: interruptions, deadlines, the backend away, the emergency stop."""

import asyncio

import pytest
from dialogue_bench import BOW, CANNED, NOD, Bench, rest, run
from scripted_model import ScriptedModel, eventually

from smolfusion_ros.errors import BackendError, BackendUnavailableError, BusyError

CUT = '", "commands": []}<|im_end|>\n'


async def held(bench: Bench, turn_id: str = "first", session: str = "s", begun: str = "Hello ") -> asyncio.Task:
    """A turn whose model has said its first word and then waits for ever."""
    bench.model.answers(*([begun] if begun else []), asyncio.Event())
    before = len(bench.model.requests)
    turn = bench.start(turn_id, f"heard {turn_id}", session)
    await eventually(lambda: len(bench.model.requests) == before + 1 and bench.listener.said(turn_id) == begun)
    return turn


def test_second_utterance_of_a_session_interrupts_the_first():
    async def scenario() -> None:
        bench = Bench()
        first = await held(bench)
        second = await bench.turn("never mind", turn_id="second")
        record = await first
        assert (record.interrupted, record.said, record.error, record.source) == (True, "Hello ", "", "llm")
        assert (second.interrupted, second.said) == (False, "Yes.")
        assert [one.id for one in bench.listener.records()] == ["first", "second"]
        assert bench.model.requests[0].ended and not bench.model.requests[0].finished

    run(scenario())


def test_answer_that_was_cut_off_in_speech_is_closed_in_the_history():
    async def scenario() -> None:
        bench = Bench()
        await held(bench)
        await bench.turn("never mind")
        earlier, later = bench.model.requests
        kept = (*earlier.prompt, *earlier.written_ids)
        assert later.prompt[: len(kept)] == kept
        assert bench.model.text(later.prompt[len(kept) :]).startswith(CUT + "<|im_start|>user")

    run(scenario())


def test_answer_that_was_cut_off_among_its_commands_is_a_whole_one_in_the_history():
    async def scenario() -> None:
        bench = Bench()
        bench.model.answers('Well then.", "commands": [{"name": "no', asyncio.Event())
        bench.start("first")
        await eventually(lambda: bench.listener.said("first") == "Well then.")
        await bench.turn("never mind")
        assert f"Well then.{CUT}<|im_start|>user" in bench.prompt_text(1)
        asked = bench.model.requests[0].prompt
        assert bench.model.requests[1].prompt[: len(asked)] == asked

    run(scenario())


def test_turn_that_said_nothing_leaves_no_trace_in_the_history():
    async def scenario() -> None:
        bench = Bench()
        await held(bench, begun="")
        await bench.turn("never mind")
        assert "heard first" not in bench.prompt_text(1)

    run(scenario())


def test_of_many_utterances_at_once_the_last_is_answered():
    async def scenario() -> None:
        bench = Bench()
        turns = [await held(bench, "0")]
        turns += [bench.start(str(number), f"heard {number}") for number in range(1, 5)]
        records = await asyncio.gather(*turns)
        assert [record.interrupted for record in records] == [True, True, True, True, False]
        assert records[-1].said == "Yes."
        assert len(bench.listener.records()) == 5

    run(scenario())


def test_named_turn_is_interrupted_while_it_waits_for_the_backend():
    async def scenario() -> None:
        bench = Bench(concurrency=1)
        first = await held(bench, "first", "a")
        second = bench.start("second", session="b")
        third = bench.start("third", session="c")
        await asyncio.sleep(0.01)
        bench.engine.interrupt(turn_id="second")
        record = await second
        assert (record.interrupted, record.said, record.error, record.source) == (True, "", "", "llm")
        assert not first.done() and not third.done()
        assert len(bench.model.requests) == 1
        bench.engine.interrupt(turn_id="first")
        assert (await first).interrupted
        assert (await third).said == "Yes."

    run(scenario())


def test_unknown_turn_interrupts_nothing_and_no_name_interrupts_all():
    async def scenario() -> None:
        bench = Bench(concurrency=2)
        turns = [await held(bench, "first", "a"), await held(bench, "second", "b")]
        bench.engine.interrupt(turn_id="third")
        await asyncio.sleep(0.01)
        assert not any(turn.done() for turn in turns)
        bench.engine.interrupt()
        assert [record.interrupted for record in await asyncio.gather(*turns)] == [True, True]

    run(scenario())


def test_turn_whose_caller_goes_away_ends_in_the_backend_and_still_has_a_record():
    async def scenario() -> None:
        bench = Bench()
        turn = await held(bench)
        turn.cancel()
        record = await turn
        assert (record.interrupted, record.said) == (True, "Hello ")
        assert bench.model.requests[0].ended
        assert (await bench.turn()).said == "Yes."

    run(scenario())


def test_turn_whose_caller_goes_away_before_its_turn_comes_has_a_record_too():
    async def scenario() -> None:
        bench, gate = Bench(), asyncio.Event()
        first = await held(bench)
        bench.model.before_tokenize = lambda text, special: gate.wait()  # the first takes long to end
        second = bench.start("second")
        await eventually(lambda: len(bench.listener.records()) == 1)
        second.cancel()
        record = await second
        assert (record.id, record.interrupted, record.said) == ("second", True, "")
        assert [one.id for one in bench.listener.records()] == ["first", "second"]
        gate.set()
        await first
        assert (await bench.turn()).said == "Yes."

    run(scenario())


def test_turn_that_is_interrupted_before_its_turn_comes_never_reaches_the_model():
    async def scenario() -> None:
        bench, gate = Bench(), asyncio.Event()
        first = await held(bench)
        bench.model.before_tokenize = lambda text, special: gate.wait()  # the first takes long to end
        second = bench.start("second")
        await eventually(lambda: len(bench.listener.records()) == 1)
        bench.engine.interrupt(turn_id="second")
        gate.set()
        record = await second
        assert (record.interrupted, record.said, record.source) == (True, "", "llm")
        assert len(bench.model.requests) == 1
        await first

    run(scenario())


@pytest.mark.parametrize("concurrency", [1, 2])
def test_as_many_turns_run_at_once_as_the_backend_has_slots(concurrency: int):
    async def scenario() -> None:
        bench, gate = Bench(concurrency=concurrency), asyncio.Event()
        for _ in range(3):
            bench.model.answers(gate, rest("Yes."))
        turns = [bench.start(name, session=name) for name in "abc"]
        await eventually(lambda: len(bench.model.requests) == concurrency)
        await asyncio.sleep(0.01)
        assert len(bench.model.requests) == concurrency
        gate.set()
        assert [record.said for record in await asyncio.gather(*turns)] == ["Yes."] * 3

    run(scenario())


def test_more_turns_than_may_wait_are_refused_and_later_ones_taken_again():
    async def scenario() -> None:
        bench = Bench(concurrency=1, max_waiting=2)
        turns = [await held(bench, "0", "0"), *(bench.start(name, session=name) for name in "12")]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="3 turns are waiting"):
            await bench.turn(session="3")
        stopped = await bench.turn("stop", session="3")
        assert stopped.source == "reflex"
        assert all(record.interrupted for record in await asyncio.gather(*turns))
        assert (await bench.turn(session="3")).said == "Yes."

    run(scenario())


@pytest.mark.parametrize(
    "failure", [BackendUnavailableError("connection refused"), BackendError("HTTP 500: out of memory")]
)
def test_backend_that_is_away_gives_the_canned_answer_and_the_reason(failure: Exception):
    async def scenario() -> None:
        bench = Bench()
        bench.model.away = failure
        record = await bench.turn(turn_id="t")
        assert (record.said, record.source, record.error) == (CANNED, "canned", str(failure))
        assert bench.listener.said("t") == CANNED
        assert (record.interrupted, record.commands) == (False, ())
        bench.model.away = None
        assert (await bench.turn()).said == "Yes."
        assert CANNED not in bench.prompt_text(0)

    run(scenario())


def test_backend_that_dies_in_an_answer_leaves_what_was_said_and_commanded():
    async def scenario() -> None:
        bench = Bench()
        bench.model.answers('Yes.", "commands": [', '{"name": "nod", "arguments": {}}', BackendUnavailableError("died"))
        record = await bench.turn(turn_id="t")
        assert (record.said, record.source, record.error) == ("Yes.", "llm", "died")
        assert [issued.command.name for issued in record.commands] == ["nod"]
        assert bench.listener.said("t") == "Yes."

    run(scenario())


@pytest.mark.parametrize("end", ['", "commands": [{"name": "nod", "arguments": {}}', '", "commands": [', ""])
def test_answer_that_ends_too_early_is_an_error_that_keeps_its_commands(end: str):
    async def scenario() -> None:
        bench = Bench()
        bench.model.answers("Yes.", end)
        record = await bench.turn()
        assert (record.said, record.error, record.source) == ("Yes.", "the answer was cut off", "llm")
        assert bench.listener.commanded() == (["nod"] if "nod" in end else [])
        await bench.turn("again")
        issued = '{"name": "nod", "arguments": {}}' if "nod" in end else ""
        assert f'Yes.", "commands": [{issued}]}}<|im_end|>' in bench.prompt_text(1)

    run(scenario())


@pytest.mark.parametrize("answer", ["", "{}", "I would rather chat.", '{"commands": []}', '{"say": 5}', "null"])
def test_answer_without_speech_of_a_loose_server_is_replaced_by_the_canned_one(answer: str):
    async def scenario() -> None:
        bench = Bench(ScriptedModel(native=False))
        bench.model.answers(answer)
        record = await bench.turn()
        assert (record.said, record.source, record.error) == (CANNED, "canned", "the answer was cut off")
        await bench.turn("again")
        assert len(bench.model.requests[1].messages) == 2

    run(scenario())


@pytest.mark.parametrize(("begun", "said", "source"), [("", CANNED, "canned"), ("Hello ", "Hello ", "llm")])
def test_deadline_ends_a_turn_with_what_it_has(begun: str, said: str, source: str):
    async def scenario() -> None:
        bench = Bench(deadline_s=0.1)
        record = await (await held(bench, begun=begun))
        assert (record.said, record.source, record.error) == (said, source, "no answer within 0.1 s")
        assert not record.interrupted
        assert 0.1 <= record.stages_s["total"] < 5
        assert bench.model.requests[0].ended
        assert (await bench.turn()).said == "Yes."

    run(scenario())


def test_deadline_counts_the_wait_for_the_backend():
    async def scenario() -> None:
        bench, gate = Bench(deadline_s=0.1), asyncio.Event()
        bench.model.evaluates_after = gate
        warming = asyncio.create_task(bench.engine.warm_up())
        await eventually(lambda: len(bench.model.requests) == 1)
        record = await bench.turn()
        assert (record.error, record.said) == ("no answer within 0.1 s", CANNED)
        assert len(bench.model.requests) == 1
        gate.set()
        await warming

    run(scenario())


def test_stop_is_a_command_at_once_and_ends_every_running_turn():
    async def scenario() -> None:
        bench = Bench(concurrency=2)
        turns = [await held(bench, "first", "a"), await held(bench, "second", "b")]
        before = len(bench.listener.events)
        record = await bench.turn("Robot, stop!", session="c", turn_id="stop")
        assert [kind for kind, _, _ in bench.listener.events[before:]] == ["command", "text", "finished"]
        assert (record.source, record.said, record.error) == ("reflex", "Stopping.", "")
        assert [(issued.command.name, issued.source) for issued in record.commands] == [("stop", "reflex")]
        assert (record.answer_tokens, record.prompt_tokens) == (0, 0)
        assert [one.interrupted for one in await asyncio.gather(*turns)] == [True, True]
        assert len(bench.model.requests) == 2

    run(scenario())


def test_stop_needs_no_backend():
    async def scenario() -> None:
        bench = Bench()
        bench.model.away = BackendUnavailableError("no server")
        record = await bench.turn("멈춰!")
        assert (record.source, record.said) == ("reflex", "Stopping.")
        assert bench.listener.commanded() == ["stop"]

    run(scenario())


def test_emergency_stop_ends_turns_and_refuses_commands_until_it_is_released():
    async def scenario() -> None:
        bench = Bench()
        turn = await held(bench)
        stop = bench.engine.set_emergency_stop(True)
        assert stop is not None and stop.command.name == "stop"
        assert (await turn).interrupted
        bench.model.answers(rest("Yes.", NOD, {"name": "stop", "arguments": {}}, BOW))
        record = await bench.turn()
        refused = "emergency stop is engaged"
        assert record.rejected == (f"nod: {refused}", f"bow: {refused}")
        assert [issued.command.name for issued in record.commands] == ["stop"]
        assert (await bench.turn("stop")).commands[0].command.name == "stop"
        assert bench.engine.set_emergency_stop(False) is None
        bench.model.answers(rest("Yes.", NOD))
        assert (await bench.turn()).rejected == ()

    run(scenario())


def test_commands_that_come_after_an_emergency_stop_do_not_go_out():
    async def scenario() -> None:
        bench, gate = Bench(), asyncio.Event()
        bench.model.answers('Yes.", "commands": [{"name": "nod", "arguments": {}}', gate, ", ", rest("", BOW)[14:])
        turn = bench.start("t")
        await eventually(lambda: bench.listener.commanded() == ["nod"])
        gate.set()
        bench.engine.set_emergency_stop(True)
        record = await turn
        assert record.interrupted
        assert bench.listener.commanded() == ["nod"]

    run(scenario())
