"""The page's pure modules, run where they are used: in the browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from browser import PAGE
from scripted_robot import served

from smolfusion_ros.gateway.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SSE = """async ([bytes, size]) => {
  const { serverSentEvents } = await import("./streams.js");
  const stream = new ReadableStream({ start(to) {
    for (let at = 0; at < bytes.length; at += size) to.enqueue(new Uint8Array(bytes.slice(at, at + size)));
    to.close();
  } });
  const found = [];
  for await (const event of serverSentEvents(stream)) found.push([event.name, event.data]);
  return found;
}"""
MULTIPART = SSE.replace("serverSentEvents", "multipart").replace(
    "[event.name, event.data]", "[event.blob.type, await event.blob.text(), event.stamp]"
)


@pytest.fixture(scope="module")
def modules(browser: Browser) -> Iterator[Page]:
    """The page, of which these tests use the modules alone."""
    with served(settings=Settings(requests_per_minute=100000, page=PAGE)) as gateway:
        page = browser.new_page()
        page.goto(gateway.url)
        yield page
        page.close()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_however_they_are_cut(modules: Page, size: int) -> None:
    text = 'retry: 2000\nevent: delta\ndata: {"text":"손 né"}\n\n: ping\n\n'
    text += "event: a\r\ndata: 1\r\ndata:2\r\n\r\ndata: x\n\n"
    found = modules.evaluate(SSE, [list(text.encode()), size])
    assert found == [["delta", '{"text":"손 né"}'], ["comment", ""], ["a", "1\n2"], ["message", "x"]]


def test_an_event_without_its_end_is_none(modules: Page) -> None:
    assert modules.evaluate(SSE, [list(b"event: a\ndata: 1\n\nevent: b\ndata: 2\n"), 5]) == [["a", "1"]]


@pytest.mark.parametrize("size", [1, 5, 64, 10000])
def test_pictures_are_the_same_however_they_are_cut(modules: Page, size: int) -> None:
    part = b"Content-Type: image/png\r\nContent-Length: 6\r\nX-Timestamp: 12.500000\r\n\r\n\r\n\r\nab"
    stream = b"--frame\r\n" + part + b"\r\n--frame\r\n" + part + b"\r\n--frame\r\n"
    assert modules.evaluate(MULTIPART, [list(stream), size]) == [["image/png", "\r\n\r\nab", 12.5]] * 2


def test_a_part_of_absurd_length_ends_the_stream(modules: Page) -> None:
    stream = b"--frame\r\nContent-Length: 99999999999\r\n\r\n"
    with pytest.raises(Exception, match="99999999999"):
        modules.evaluate(MULTIPART, [list(stream), 100])


CLOCK = """async (steps) => {
  const { RobotClock } = await import("./clock.js");
  let now = 0;
  const clock = new RobotClock(() => now);
  const ages = [];
  for (const [atS, stamp, asked] of steps) {
    now = 1000 * atS;
    if (stamp !== null) clock.hear(stamp);
    const age = clock.age(asked);
    ages.push(Number.isNaN(age) ? null : Math.round(10 * age) / 10);
  }
  return ages;
}"""


def test_age_is_told_by_the_robots_clock_alone(modules: Page) -> None:
    steps = [[0, None, 5], [1, 1000.0, 999.0], [2, 990.0, 999.0], [5, None, 999.0]]
    assert modules.evaluate(CLOCK, steps) == [None, 1.0, 2.0, 5.0]


def test_a_clock_that_is_set_back_is_believed_after_a_while(modules: Page) -> None:
    steps = [[0, 5000.0, 5000.0], [1, 100.0, 100.0], [12, 111.0, 111.0], [24, 123.0, 123.0]]
    assert modules.evaluate(CLOCK, steps)[-1] == 0.0


FORMAT = """async (calls) => {
  const format = await import("./format.js");
  return calls.map(([name, ...given]) => format[name](...given));
}"""


def test_values_are_shown_as_people_read_them(modules: Page) -> None:
    told: dict[tuple[Any, ...], Any] = {
        ("duration", 0.42): "0.4 s",
        ("duration", 61): "61 s",
        ("duration", 600): "10 min",
        ("milliseconds", 0.44): "0.4 ms",
        ("milliseconds", 999): "1.0 s",
        ("bytes", 54 << 20): "54 MiB",
        ("percent", 0.034): "3.4 %",
        ("words", "pick_up"): "Pick up",
        ("argument", "angle_deg", 45): ["Angle", "45°"],
        ("argument", "distance_m", 0.30000001): ["Distance", "0.3 m"],
        ("argument", "target", "cup"): ["Target", "cup"],
    }
    assert modules.evaluate(FORMAT, [list(call) for call in told]) == list(told.values())


TURNS = """async (steps) => {
  const { Turns } = await import("./turns.js");
  const turns = new Turns(() => 0);
  const own = {};
  for (const [method, ...given] of steps) {
    if (method === "say") own[given[0]] = turns.say(...given);
    else if (method.startsWith("own")) turns[method.slice(3)](own[given[0]], given[1]);
    else turns[method](given[0]);
  }
  return turns.of(null).map(({ id, heard, said, state, isOwn }) => [id, heard, said, state, isOwn]);
}"""


def _turn(number: int, heard: str, said: str = "said") -> dict[str, Any]:
    return {"id": f"t{number}", "session_id": "anna", "stamp": number, "heard": heard, "said": said, "error": ""}


def _answer(number: int, reply: str = "said") -> dict[str, Any]:
    return {"turn_id": f"t{number}", "session_id": "anna", "reply": reply, "error": ""}


def _reply(number: int, sequence: int, delta: str) -> dict[str, Any]:
    return {"turn_id": f"t{number}", "session_id": "anna", "sequence": sequence, "delta": delta, "interrupted": False}


SAID, DELTA, ANSWER = ["say", "hello", "anna", 1], ["ownonDelta", "hello", "said"], ["ownonAnswer", "hello", _answer(1)]
REPLY, TURN = ["onReply", _reply(1, 0, "said")], ["onTurn", _turn(1, "hello")]


@pytest.mark.parametrize(
    "steps",
    [
        [SAID, DELTA, REPLY, TURN, ANSWER],
        [SAID, REPLY, TURN, DELTA, ANSWER, REPLY],
        [SAID, REPLY, DELTA, ANSWER, TURN, TURN],
        [["say", "hello", "", 1], REPLY, DELTA, TURN, ANSWER],
        [SAID, TURN, ANSWER, DELTA],
    ],
)
def test_a_turn_that_two_streams_tell_of_is_shown_once(modules: Page, steps: list[Any]) -> None:
    assert modules.evaluate(TURNS, steps) == [["t1", "hello", "said", "done", True]]


def test_what_a_microphone_heard_is_answered_in_place(modules: Page) -> None:
    utterance = {"session_id": "anna", "text": "hello", "stamp": 1}
    steps: list[Any] = [["onUtterance", utterance], ["onReply", _reply(1, 0, "sa")]]
    assert modules.evaluate(TURNS, steps) == [["t1", "hello", "sa", "answering", False]]
    steps += [["onReply", _reply(1, 1, "id")], ["onReply", _reply(1, 1, "id")]]
    assert modules.evaluate(TURNS, steps) == [["t1", "hello", "said", "answering", False]]
    assert modules.evaluate(TURNS, [*steps, TURN]) == [["t1", "hello", "said", "done", False]]


def test_another_persons_turn_of_the_same_session_stays_another(modules: Page) -> None:
    steps = [SAID, ["onTurn", _turn(2, "good morning")], DELTA, ANSWER]
    found = modules.evaluate(TURNS, steps)
    assert sorted(entry[0] for entry in found) == ["t1", "t2"]


def test_turns_are_in_order_and_bounded(modules: Page) -> None:
    steps = [["onTurn", _turn(number, f"h{number}")] for number in (3, 1, 2)]
    assert [entry[0] for entry in modules.evaluate(TURNS, steps)] == ["t1", "t2", "t3"]
    many = [["onTurn", _turn(number, f"h{number}")] for number in range(300)]
    assert len(modules.evaluate(TURNS, many)) == 200
