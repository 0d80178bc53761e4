"""An answer read while it is written: speech as it grows, a command when its object closes."""

import json
import tracemalloc
from random import Random
from typing import Any

import pytest

from smolfusion_ros.dialogue.grammar import ANSWER_OPENING
from smolfusion_ros.dialogue.reply_stream import ReplyStream, Update

NOD = {"name": "nod", "arguments": {}}
WALK = {"name": "walk", "arguments": {"direction": "left", "distance": {"value": 0.5, "unit": "m"}}}
ANSWERS: list[dict[str, Any]] = [
    {"say": "Hello.", "commands": []},
    {"say": "Walking }]{[ now: \", \\ / and 'so on'.", "commands": [WALK, NOD, WALK]},
    {"say": "안녕하세요 🙂 Größe\n\t", "commands": [NOD]},
    {"say": "{", "commands": [{"name": "look_at", "arguments": {"target": "}"}}]},
]


def pieces_of(text: str, random: Random) -> list[str]:
    cuts = sorted(random.sample(range(1, len(text)), random.randint(0, min(12, len(text) - 1))))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def read(stream: ReplyStream, pieces: list[str]) -> tuple[str, list[Any]]:
    updates = [stream.feed(piece) for piece in pieces]
    return "".join(update.say for update in updates), [found for update in updates for found in update.commands]


def texts(answer: dict[str, Any]) -> list[str]:
    """With and without escapes for what is not ASCII, loose and tight."""
    return [
        json.dumps(answer),
        json.dumps(answer, ensure_ascii=False),
        json.dumps(answer, ensure_ascii=False, separators=(",", ":")),
        json.dumps(answer, indent=2),
    ]


@pytest.mark.parametrize("answer", ANSWERS)
def test_answer_in_any_pieces_gives_the_same_speech_and_commands(answer: dict[str, Any]):
    random = Random(3)
    for text in texts(answer):
        for pieces in [[text], list(text), *(pieces_of(text, random) for _ in range(30))]:
            stream = ReplyStream(opened="")
            assert read(stream, pieces) == (answer["say"], answer["commands"]), pieces
            assert stream.say == answer["say"]
            assert stream.text == text
            assert stream.complete


@pytest.mark.parametrize("answer", ANSWERS)
def test_answer_that_the_prompt_opened_is_read_from_there(answer: dict[str, Any]):
    tail = json.dumps(answer, ensure_ascii=False).removeprefix(ANSWER_OPENING)
    stream = ReplyStream()
    assert read(stream, list(tail)) == (answer["say"], answer["commands"])
    assert stream.text == ANSWER_OPENING + tail
    assert stream.complete


def test_speech_is_handed_on_with_every_piece():
    stream = ReplyStream()
    assert [stream.feed(piece).say for piece in ("Hel", "lo ", "you", '.", "com')] == ["Hel", "lo ", "you", "."]


@pytest.mark.parametrize("commands", [[NOD], [NOD, WALK], [WALK, WALK, NOD]])
def test_command_is_handed_on_exactly_with_its_closing_brace(commands: list[dict[str, Any]]):
    text = json.dumps({"say": "Yes.", "commands": commands})
    closed, end = [], text.index("[")
    for command in commands:
        written = json.dumps(command)
        end = text.index(written, end) + len(written)
        closed.append((end - 1, command))
    stream = ReplyStream(opened="")
    found = [(index, command) for index, char in enumerate(text) for command in stream.feed(char).commands]
    assert found == closed


def test_speaking_lasts_as_long_as_the_speech_and_complete_comes_with_the_end():
    tail = 'Hi there.", "commands": [{"name": "nod", "arguments": {}}]}'
    stream = ReplyStream()
    states = [(stream.speaking, stream.complete)]
    for char in tail:
        stream.feed(char)
        states.append((stream.speaking, stream.complete))
    assert states[:10] == [(True, False)] * 10
    assert states[10:-1] == [(False, False)] * (len(tail) - 10)
    assert states[-1] == (False, True)


@pytest.mark.parametrize(
    ("text", "say", "commands"),
    [
        ("Certainly! I will walk.", "", []),
        ("```json\n{}", "", []),
        ('{"say": "a" "commands": [{"name": "nod", "arguments": {}}]}', "a", []),
        (
            '{"say": "a", "commands": [{"name": "nod", "arguments": {}}, }, {"name": "nod", "arguments": {}}]}',
            "a",
            [NOD],
        ),
        ('{"say": "a", "commands": [{"name": "nod"', "a", []),
        ('{"say": "a"}}}', "a", []),
        ('{"say": 5, "commands": []}', "", []),
        ('{"say": ["a"], "commands": {"name": "nod"}}', "", []),
        ('{"say": "a\\ud83d, b", "commands": []}', "a?, b", []),
        ('{"say": "a", "commands": [{"name": "nod", "arguments": {}}, "\\ud83d"]}', "a", [NOD, "?"]),
        ('{"say": "a\x00b", "commands": []}', "a", []),
        ("[" * 3000, "", []),
        ("", "", []),
    ],
)
def test_broken_answer_brings_what_came_before_and_raises_nothing(text: str, say: str, commands: list[Any]):
    for pieces in ([text], list(text[:300])):
        stream = ReplyStream(opened="")
        said, found = read(stream, pieces)
        assert said in (say, "")
        assert found == commands
        if len(pieces) > 1:
            assert said == say
    assert stream.feed(" more") == Update()


@pytest.mark.parametrize("text", ["{}", "null", "5", '"hello"', "[]", '{"commands": []}', '{"say": null}'])
def test_json_without_speech_is_no_whole_answer(text: str):
    stream = ReplyStream(opened="")
    assert stream.feed(text) == Update()
    assert not stream.complete


def test_what_was_said_is_never_taken_back():
    stream = ReplyStream(opened="")
    assert read(stream, list('{"say": "Yes.", "commands": [], "say": "No, never."}')) == ("Yes.", [])
    assert stream.say == "Yes."


def test_entries_that_are_no_objects_are_handed_on_for_the_catalogue_to_refuse():
    stream = ReplyStream(opened="")
    assert stream.feed('{"say": "a", "commands": ["nod", 5, null]}').commands == ("nod", 5, None)


def test_numbers_come_as_plain_numbers():
    stream = ReplyStream(opened="")
    (command,) = stream.feed(json.dumps({"say": "a", "commands": [WALK]})).commands
    value = command["arguments"]["distance"]["value"]
    assert (type(value), value) == (float, 0.5)


def test_commands_before_the_speech_are_read_too():
    stream = ReplyStream(opened="")
    assert read(stream, list(json.dumps({"commands": [NOD], "say": "Yes."}))) == ("Yes.", [NOD])


@pytest.mark.parametrize(
    ("command", "read_as"),
    [
        ('{"name": "nod", "name": "walk", "arguments": {}}', {"name": None, "arguments": {}}),
        ('{"name": "nod", "arguments": {"a": 1}, "arguments": {"a": 2}}', {"name": "nod", "arguments": None}),
        ('{"name": "nod", "arguments": {"a": 1, "a": 1}}', {"name": "nod", "arguments": {"a": None}}),
        ('{"n": 1, "n": 2, "n": 3}', {"n": None}),
    ],
)
def test_of_two_values_under_one_key_neither_counts(command: str, read_as: dict[str, Any]):
    stream = ReplyStream(opened="")
    assert read(stream, list(f'{{"say": "a", "commands": [{command}]}}')) == ("a", [read_as])


def test_second_list_of_commands_brings_nothing():
    text = '{"say": "a", "commands": [{"name": "nod", "arguments": {}}], "commands": [{"name": "bow"}]}'
    assert read(ReplyStream(opened=""), list(text)) == ("a", [NOD])
    assert read(ReplyStream(opened=""), ['{"say": "a", "commands": 5, "commands": [{}]}']) == ("a", [])


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_answer_that_nests_without_end_is_read_no_further_and_takes_no_memory(opening: str):
    text = '{"say": "a", "commands": [{"name": "nod", "arguments": {}}, ' + opening * 100_000
    stream = ReplyStream(opened="")
    tracemalloc.start()
    try:
        found = stream.feed(text).commands
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == (NOD,)
    assert most < 200 * len(text)
    assert stream.feed("]}").commands == ()


def test_lists_elsewhere_are_no_commands():
    text = '{"other": {"commands": [1]}, "say": "a", "commands": [{"x": {"commands": [2]}}], "x": [3]}'
    assert read(ReplyStream(opened=""), list(text))[1] == [{"x": {"commands": [2]}}]
    assert read(ReplyStream(opened=""), ['[{"commands": [1]}, [2]]']) == ("", [])


@pytest.mark.parametrize("pieces", [["a\ud83d", "b"], ["a", "\ud83d", "b"], ["a\ud83db"]])
def test_half_a_character_is_shown_as_one_that_is_missing(pieces: list[str]):
    stream = ReplyStream()
    assert read(stream, [*pieces, '", "commands": []}']) == ("a\ufffdb", [])
    assert stream.text == '{"say": "a\ufffdb", "commands": []}'
    assert stream.complete


def test_speech_of_an_answer_that_is_broken_behind_it_is_the_first():
    stream = ReplyStream(opened="")
    text = '{"say": "Yes.", "commands": ["\\ud83d"], "say": "No."}'
    assert stream.feed(text) == Update("Yes.", ("?",))
    assert not stream.complete
