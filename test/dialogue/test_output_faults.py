"""What a language model writes at its worst: the turn has a record, nothing wrong goes out, the dialogue lives on."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from dialogue_bench import BOW, CANNED, FLY, NOD, STOP, WALK, Bench, rest, run
from scripted_model import ScriptedModel, eventually
from scripted_server import ScriptedServer, Stream

from smolfusion_ros.dialogue.answer import CHARACTERS_PER_ANSWER_TOKEN
from smolfusion_ros.dialogue.draft import MAX_REASON_CHARACTERS, MAX_REJECTED
from smolfusion_ros.dialogue.turn import TurnRecord
from smolfusion_ros.errors import BackendUnavailableError
from smolfusion_ros.llama.client import LlamaClient

CUT_OFF = "the answer was cut off"
DEEP = "[" * 3000
WAVE = '{"name": "wave", "arguments": '
TURN = '{"name": "turn", "arguments": {"direction": "left", "angle": '


def loose() -> ScriptedModel:
    """A server that keeps to no grammar."""
    return ScriptedModel(native=False)


def answer_with(commands: str) -> str:
    return f'{{"say": "Yes.", "commands": [{commands}]}}'


async def lives(bench: Bench) -> None:
    """The next turns are answered and their command goes out, from any session and with any history."""
    bench.clock_s += 100.0
    for session in ("s", "other"):
        before = len(bench.listener.commanded())
        bench.model.answers(bench.layout.answer_text("Yes.", (BOW,) if session == "s" else (NOD,)))
        record = await bench.turn(session=session)
        assert (record.said, record.error, record.rejected) == ("Yes.", "", ())
        assert len(bench.listener.commanded()) == before + 1


def printable(record: TurnRecord) -> bool:
    texts: Sequence[str] = [*record.rejected, record.said, record.error]
    return all(text.encode("utf-8") is not None and (text.isprintable() or text == record.said) for text in texts)


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ("", CUT_OFF),
        ("   \n", CUT_OFF),
        ("Certainly! I will walk.", CUT_OFF),
        ('{"say": "', CUT_OFF),
        ('{"commands": [', CUT_OFF),
        (DEEP[:1000], CUT_OFF),
        ("\ud83d", CUT_OFF),
        ('{"say": null, "commands": [\\ud83d]}', CUT_OFF),
        ("\x00", CUT_OFF),
        ("\ufeff{}", CUT_OFF),
        ("NaN", CUT_OFF),
    ],
)
def test_output_without_speech_is_replaced_and_commands_nothing(written: str, error: str):
    async def scenario() -> None:
        bench = Bench(loose())
        bench.model.answers(*([written] if written else []))
        record = await bench.turn()
        assert (record.said, record.source, record.error, record.commands) == (CANNED, "canned", error, ())
        assert bench.listener.records() == [record] and printable(record)
        await lives(bench)

    run(scenario())


def test_empty_output_of_a_native_server_is_replaced():
    async def scenario() -> None:
        bench = Bench()
        bench.model.answers("")
        record = await bench.turn()
        assert (record.said, record.source, record.error) == (CANNED, "canned", CUT_OFF)
        bench.model.answers(rest("Yes.", NOD))
        assert (await bench.turn()).said == "Yes."

    run(scenario())


@pytest.mark.parametrize(
    ("commands", "reason"),
    [
        ('{"name": "fly", "arguments": {}}', "fly: unknown action 'fly'"),
        ('{"name": "STOP", "arguments": {}}', "STOP: unknown action 'STOP'"),
        ('{"name": 7, "arguments": {}}', "7: {'name': 7, 'arguments': {}} is not a command"),
        ('{"name": null}', "None: {'name': None} is not a command"),
        ('{"name": "nod", "arguments": [1]}', "nod: arguments [1] are not an object"),
        ('{"name": "nod", "arguments": "{}"}', "nod: arguments '{}' are not an object"),
        ('{"name": "nod", "arguments": {"": 1}}', "nod: unknown argument ''"),
        (WAVE + "{}}", "wave: argument 'hand' is missing"),
        (WAVE + '{"hand": true}}', "wave: hand is True, not a word"),
        (WAVE + '{"hand": "\\u0000"}}', "wave: hand '\\x00' is not one of left, right, both"),
        (TURN + '{"value": 999, "unit": "deg"}}}', "turn: angle_deg 999 is outside 5 to 180"),
        (TURN + '{"value": -90, "unit": "deg"}}}', "turn: angle_deg -90 is outside 5 to 180"),
        (TURN + '{"value": "90", "unit": "deg"}}}', "turn: angle_deg has the value '90', not a number"),
        (TURN + "90}}", "turn: angle_deg is 90, not a {value, unit} pair"),
        (TURN + "[[[[]]]]}}", "turn: angle_deg is [[[[]]]], not a {value, unit} pair"),
        (TURN + '{"value": 90, "value": 5, "unit": "deg"}}}', "turn: angle_deg has the value None, not a number"),
        ('{"name": "fly", "name": "nod", "arguments": {}}', "None: {'name': None, 'arguments': {}} is not a command"),
        (WAVE + '{"hand": "third", "hand": "left"}}', "wave: hand is None, not a word"),
        ('{"name": "nod", "arguments": {}, "arguments": {}}', "nod: arguments None are not an object"),
        ('"nod"', "?: 'nod' is not a command"),
        ("null", "?: None is not a command"),
        ("[[]]", "?: [[]] is not a command"),
        ('{"name": "\\ud83d", "arguments": {}}', None),
        ('{"name": "no\ud83dd", "arguments": {}}', "no\ufffdd: unknown action 'no\ufffdd'"),
        ('{"name": "a\\n[b]\\u202e", "arguments": {}}', None),
    ],
)
@pytest.mark.parametrize("native", [True, False])
def test_wrong_command_is_refused_with_the_reason_and_the_right_one_after_it_goes_out(
    commands: str, reason: str | None, native: bool
):
    async def scenario() -> None:
        bench = Bench(ScriptedModel(native=native))
        written = answer_with(f"{commands}, {json.dumps(NOD)}")
        bench.model.answers(*(list(written.removeprefix('{"say": "')) if native else [written]))
        record = await bench.turn()
        assert (record.said, record.error) == ("Yes.", CUT_OFF if "\\ud83d" in commands else "")
        assert len(record.rejected) == 1 and printable(record)
        if reason is not None:
            assert record.rejected == (reason,)
        assert bench.listener.commanded() == ["nod"]
        if not native:
            await lives(bench)

    run(scenario())


@pytest.mark.parametrize(
    "tail",
    [
        "1e999}}}",
        "-1e400}}}",
        "NaN}}}",
        "1" * 400,
        "1" * 6000,
        "0x10}}}",
        "1_0}}}",
        DEEP,
        f"{DEEP}{']' * 3000}}}}}}}",
        '{"a":' * 300,
        "}",
        "\ud83d",
    ],
)
def test_amount_that_is_no_json_ends_the_commands_there(tail: str):
    async def scenario() -> None:
        bench = Bench(loose(), max_answer_tokens=1000)
        before = json.dumps(NOD)
        bench.model.answers(answer_with(f'{before}, {TURN}{{"value": {tail}'))
        record = await bench.turn()
        assert bench.listener.commanded() == ["nod"]
        assert record.error == CUT_OFF and printable(record)
        await lives(bench)

    run(scenario())


@pytest.mark.parametrize("cut", range(0, 120, 3))
def test_output_cut_off_anywhere_commands_only_what_was_whole(cut: int):
    async def scenario() -> None:
        whole = rest("Yes.", NOD, WALK)
        bench = Bench()
        bench.model.answers(*([whole[:cut]] if cut else []))
        record = await bench.turn()
        assert record.error == (CUT_OFF if cut < len(whole) else "")
        expected = [
            name for name, end in (("nod", '{"name": "nod", "arguments": {}}'), ("walk", "}}}")) if end in whole[:cut]
        ]
        assert bench.listener.commanded() == expected
        bench.model.answers(rest("And on.", BOW))
        assert (await bench.turn()).error == ""
        assert bench.prompt_text(1).count("<|im_end|>") == (4 if cut else 2)

    run(scenario())


def test_ten_thousand_commands_give_as_many_as_a_turn_may_and_a_record_that_stays_small():
    async def scenario() -> None:
        bench = Bench(loose(), max_answer_tokens=100_000)
        looks = [{"name": "look_at", "arguments": {"target": "cup"}}] * 10_000
        bench.model.answers(bench.layout.answer_text("Yes.", looks))
        record = await bench.turn()
        assert len(record.commands) == len(bench.listener.commanded()) == bench.engine.limits.max_commands == 8
        assert set(record.rejected[:-1]) == {"look_at: a turn gives at most 8 commands"}
        assert len(record.rejected) == MAX_REJECTED + 1
        assert record.rejected[-1] == f"… and {10_000 - 8 - MAX_REJECTED} more"
        bench.engine.forget("s")
        await lives(bench)

    run(scenario())


def test_ten_thousand_refusals_stay_small():
    async def scenario() -> None:
        bench = Bench(loose(), max_answer_tokens=100_000)
        bench.model.answers(bench.layout.answer_text("Yes.", [FLY] * 10_000))
        record = await bench.turn()
        assert (len(record.rejected), record.commands) == (MAX_REJECTED + 1, ())
        assert record.rejected[-1] == f"… and {10_000 - MAX_REJECTED} more"

    run(scenario())


@pytest.mark.parametrize("count", [MAX_REJECTED - 1, MAX_REJECTED])
def test_as_many_refusals_as_a_record_holds_are_told_in_full(count: int):
    async def scenario() -> None:
        bench = Bench(loose(), max_answer_tokens=1000)
        bench.model.answers(bench.layout.answer_text("Yes.", [FLY] * count))
        assert (await bench.turn()).rejected == ("fly: unknown action 'fly'",) * count

    run(scenario())


@pytest.mark.parametrize("limit", [0, 2])
def test_stop_gets_through_after_any_number_of_commands_once(limit: int):
    async def scenario() -> None:
        bench = Bench(max_commands=limit)
        bench.model.answers(rest("Yes.", NOD, BOW, WALK, STOP, STOP, WALK, STOP))
        record = await bench.turn()
        assert bench.listener.commanded() == [*["nod", "bow"][:limit], "stop"]
        assert len(record.rejected) == 6 - limit

    run(scenario())


def test_number_of_commands_may_be_changed_between_turns():
    async def scenario() -> None:
        bench = Bench(max_commands=1)
        bench.engine.limits = replace(bench.engine.limits, max_commands=2)
        assert len((await bench.command(NOD, BOW, WALK)).commands) == 2

    run(scenario())


def test_a_new_turn_may_give_commands_again():
    async def scenario() -> None:
        bench = Bench(max_commands=1)
        for command in (NOD, BOW):
            assert (await bench.command(command)).rejected == ()

    run(scenario())


@pytest.mark.parametrize(
    "command",
    [
        {"name": "x" * 3000, "arguments": {}},
        {"name": "nod", "arguments": {"y" * 3000: 1}},
        {"name": "wave", "arguments": {"hand": "z" * 3000}},
        {"name": "turn", "arguments": {"direction": "left", "angle": {"value": "9" * 3000, "unit": "deg"}}},
        {"arguments": ["w"] * 1000},
    ],
)
def test_long_words_of_a_wrong_command_are_not_told_in_full(command: dict[str, Any]):
    async def scenario() -> None:
        bench = Bench(loose(), max_answer_tokens=1000)
        bench.model.answers(bench.layout.answer_text("Yes.", [command, NOD]))
        record = await bench.turn()
        assert [len(reason) for reason in record.rejected] == [MAX_REASON_CHARACTERS]
        assert bench.listener.commanded() == ["nod"]

    run(scenario())


@pytest.mark.parametrize("native", [True, False])
def test_speech_without_end_is_cut_off_and_the_generation_ended(native: bool):
    async def scenario() -> None:
        bench, never = Bench(ScriptedModel(native=native), max_answer_tokens=50), asyncio.Event()
        bench.model.answers(*([] if native else ['{"say": "']), *["and so on "] * 1000, never)
        record = await asyncio.wait_for(bench.turn(), 5)
        most = 50 * CHARACTERS_PER_ANSWER_TOKEN
        assert most - 30 < len(record.said) <= most
        assert (record.error, record.source) == (CUT_OFF, "llm")
        await eventually(lambda: bench.model.requests[0].ended)
        bench.model.answers(rest("Yes.") if native else bench.layout.answer_text("Yes.", ()))
        assert (await bench.turn()).said == "Yes."
        if native:
            told, after = bench.model.requests
            assert after.prompt[: len(told.prompt)] == told.prompt
            assert bench.prompt_text(1).count("<|im_end|>") == 4

    run(scenario())


def test_one_piece_that_is_too_long_is_not_read_at_all():
    async def scenario() -> None:
        bench = Bench(loose())
        bench.model.answers('{"say": "' + "a" * 1_000_000 + '", "commands": []}')
        record = await asyncio.wait_for(bench.turn(), 5)
        assert (record.said, record.error) == (CANNED, CUT_OFF)
        await lives(bench)

    run(scenario())


def test_nothing_is_tried_again():
    async def scenario() -> None:
        for steps in (
            ["nonsense"],
            [BackendUnavailableError("gone")],
            [""],
            ['{"say": "a', RuntimeError("x")],
        ):
            bench = Bench(loose())
            bench.model.answers(*steps)
            record = await bench.turn()
            await asyncio.sleep(0.01)
            assert record.error
            assert len(bench.model.requests) == 1

    run(scenario())


def test_any_rubbish_leaves_the_dialogue_alive():
    async def scenario() -> None:
        random = Random(5)
        bench = Bench(loose())
        whole = bench.layout.answer_text("Yes. And 안녕 🙂.", (NOD, WALK, FLY))
        valid = {action.name for action in bench.layout.catalogue}
        for number in range(300):
            letters = list(whole)
            for _ in range(random.randint(1, 6)):
                at = random.randrange(len(letters))
                letters[at : at + random.randint(0, 3)] = random.choice(
                    [
                        '"',
                        "{",
                        "}",
                        "[",
                        "]",
                        "\\",
                        "\\u",
                        "\ud83d",
                        "\x00",
                        ",",
                        ":",
                        "1e999",
                        "null",
                        "",
                        '{"say": "a"}',
                    ]
                )
            text = "".join(letters)
            middle = random.randrange(len(text) + 1)
            bench.model.answers(text[:middle], text[middle:])
            bench.clock_s += 100.0
            record = await bench.turn(session=f"s{number % 3}")
            assert record.said.encode() and printable(record)
            assert {issued.command.name for issued in record.commands} <= valid
        await lives(bench)

    run(scenario())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (r"\ud83d", ""),
        (r"{\"say\": \"Yes\ud83d", "Yes\ufffd"),
        (r"{\"say\": \"Yes.\", \"commands\": [{\"name\": \"\\ud83d\", \"arguments\": {}}]}", "Yes."),
    ],
)
def test_broken_characters_of_a_real_server_end_in_a_record(content: str, said: str):
    async def scenario() -> None:
        event = f'data: {{"choices": [{{"delta": {{"content": "{content}"}}, "finish_reason": null}}]}}\n\n'
        async with ScriptedServer.vllm({"/v1/chat/completions": Stream(event)}) as server:
            client = LlamaClient(server.url)
            try:
                bench = Bench(client)
                record = await bench.turn()
                assert printable(record) and record.commands == ()
                assert record.said == (said or CANNED)
                good = bench.layout.answer_text("Yes.", (NOD,))
                server.replies["/v1/chat/completions"] = Stream({"choices": [{"delta": {"content": good}}]})
                assert (await bench.turn()).said == "Yes."
                assert bench.listener.commanded() == ["nod"]
            finally:
                await client.close()

    run(scenario())
