"""Many readers, some of them slow: nobody waits for another, state is skipped, conversations have no holes."""

import asyncio
import json
import socket
import time

import httpx
import pytest
from scripted_robot import Gateway, ScriptedRobot, reply, served, turn

from smolfusion_ros.errors import BusyError, InactiveError
from smolfusion_ros.gateway import server
from smolfusion_ros.gateway.hub import MAX_WAITING, REMEMBERED_COMMANDS, REMEMBERED_TURNS, Event, Hub, Reader
from smolfusion_ros.gateway.values import Command, CommandStatus, EmergencyStop, Keyframe


def keyframe(number: int) -> Keyframe:
    return Keyframe(stamp=float(number), size_bytes=1)


async def drained(reader: Reader) -> list[Event]:
    found = []
    while reader._waiting:
        found.append(await reader.next())
    return found


def test_slow_reader_gets_the_newest_state_only() -> None:
    async def run() -> None:
        hub = Hub()
        with hub.reader() as reader:
            for number in range(1000):
                hub.publish("keyframe", keyframe(number))
            hub.publish("emergency_stop", EmergencyStop(engaged=True))
            found = await drained(reader)
        assert [(each.name, json.loads(each.data).get("stamp")) for each in found] == [
            ("keyframe", 999.0),
            ("emergency_stop", None),
        ]
        assert hub.skipped == 999

    asyncio.run(run())


def test_conversation_comes_whole_and_in_order_between_states() -> None:
    async def run() -> None:
        hub = Hub()
        with hub.reader() as reader:
            for number in range(100):
                hub.publish("reply", reply(number))
                hub.publish("keyframe", keyframe(number))
            found = await drained(reader)
        replies = [json.loads(each.data)["sequence"] for each in found if each.name == "reply"]
        assert replies == list(range(100))
        assert len(found) == 101

    asyncio.run(run())


def test_reader_that_lets_too_much_of_a_conversation_wait_is_closed() -> None:
    async def run() -> None:
        hub = Hub()
        with hub.reader() as slow, hub.reader() as quick:
            for number in range(MAX_WAITING + 1):
                hub.publish("reply", reply(number))
                assert (await quick.next()).name == "reply"
            assert await slow.next() is None
        assert hub.too_slow == 1

    asyncio.run(run())


def test_reader_waits_until_something_happens_or_the_end_comes() -> None:
    async def run() -> None:
        hub = Hub()
        with hub.reader() as reader:
            waiting = asyncio.ensure_future(reader.next())
            await asyncio.sleep(0.01)
            assert not waiting.done()
            hub.publish("turn", turn(1))
            assert (await waiting).name == "turn"
            ending = asyncio.ensure_future(reader.next())
            await asyncio.sleep(0)
            hub.close()
            assert await ending is None
        with hub.reader() as late:
            assert await late.next() is None
        with pytest.raises(InactiveError), hub.stream():
            pass

    asyncio.run(run())


def test_newest_is_of_the_kind_that_is_asked_for() -> None:
    hub = Hub()
    assert hub.newest("keyframe", Keyframe) is None
    hub.publish("keyframe", keyframe(1))
    assert hub.newest("keyframe", Keyframe) == keyframe(1)
    assert hub.newest("keyframe", EmergencyStop) is None


@pytest.mark.parametrize(
    ("path", "what"),
    [("/scene", "scene"), ("/camera.jpg", "keyframe"), ("/performance", "report of the monitor")],
)
def test_what_was_not_heard_yet_is_told_in_one_form(path: str, what: str) -> None:
    with served(ScriptedRobot()) as gateway:
        nothing = httpx.get(gateway.url + path, trust_env=False)
    problem = nothing.json()
    assert (nothing.status_code, problem["code"]) == (404, "nothing_yet")
    assert problem["detail"] == f"no {what} has been heard yet"


def test_snapshot_holds_the_newest_of_everything_and_turns_once() -> None:
    hub, heard = Hub(), []
    hub.observers.append(lambda name, value: heard.append(name))
    hub.remember(turn(0))
    for number in [*range(REMEMBERED_TURNS + 5), REMEMBERED_TURNS + 4]:
        hub.publish("turn", turn(number))
    hub.publish("keyframe", keyframe(1))
    hub.publish("keyframe", keyframe(2))
    told = json.loads(hub.snapshot().data)
    assert [each["id"] for each in told["turns"]] == [f"t{number}" for number in range(5, REMEMBERED_TURNS + 5)]
    assert (told["keyframe"]["stamp"], told["scene"]) == (2.0, None)
    assert heard == ["turn"] * (REMEMBERED_TURNS + 4) + ["keyframe"] * 2


def test_snapshot_tells_what_became_of_the_newest_commands() -> None:
    def command(number: int) -> Command:
        fields = {
            **Command.model_config["json_schema_extra"]["examples"][0],
            "id": f"c{number}",
            "stamp": float(number),
        }
        return Command(**fields)

    def status(number: int, state: str) -> CommandStatus:
        return CommandStatus(command_id=f"c{number}", state=state, detail="", stamp=float(number))

    hub = Hub()
    hub.publish("status", status(99, "running"))  # of nobody's
    for number in range(REMEMBERED_COMMANDS + 3):
        hub.publish("command", command(number))
    for number, state in ((5, "running"), (5, "succeeded"), (0, "failed"), (6, "running")):
        hub.publish("status", status(number, state))
    hub.publish("command", command(6))  # it came twice
    told = json.loads(hub.snapshot().data)["commands"]
    assert [each["command"]["id"] for each in told] == [f"c{number}" for number in range(3, REMEMBERED_COMMANDS + 3)]
    states = {each["command"]["id"]: each["status"] and each["status"]["state"] for each in told}
    assert (states["c5"], states["c6"], states["c7"]) == ("succeeded", "running", None)


def test_places_for_streams_are_bounded() -> None:
    hub = Hub(max_streams=2)
    with hub.stream(), hub.stream(), pytest.raises(BusyError, match="max_streams"), hub.stream():
        pass
    with hub.stream():
        assert hub.streams == 1
    assert hub.streams == 0


def _open(gateway: Gateway, path: str, receive_buffer: int = 0) -> socket.socket:
    host, port = gateway.url.removeprefix("http://").split(":")
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(5.0)
    connection.connect((host, int(port)))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


def test_reader_of_a_byte_a_second_delays_nobody_and_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALL_TIMEOUT_S", 1.0)
    robot = ScriptedRobot()
    with served(robot) as gateway, httpx.Client(base_url=gateway.url, trust_env=False) as http:
        slow = _open(gateway, "/stream", receive_buffer=4096)
        slow.recv(1)
        with http.stream("GET", "/stream") as quick:
            lines = quick.iter_lines()
            delays_s = []
            for number in range(60):
                begun = time.perf_counter()
                gateway.do(lambda number=number: robot.hub.publish("reply", reply(number, "x" * 10000)))
                next(line for line in lines if line.startswith("data: ") and f'"sequence":{number},' in line)
                delays_s.append(time.perf_counter() - begun)
                if number % 20 == 0:
                    slow.recv(1)
        print(f"slowest event beside a slow reader: {max(delays_s) * 1e3:.0f} ms")
        assert max(delays_s) < 0.5
        deadline = time.monotonic() + 5.0
        while robot.hub.streams and time.monotonic() < deadline:
            time.sleep(0.05)
        assert robot.hub.streams == 0, "the slow one was hung up on"
        slow.close()


def test_stream_begins_with_a_snapshot_and_goes_on_with_events() -> None:
    robot = ScriptedRobot()
    with served(robot) as gateway, httpx.stream("GET", f"{gateway.url}/stream", trust_env=False) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == "event: snapshot"
        gateway.do(lambda: robot.hub.publish("emergency_stop", EmergencyStop(engaged=True)))
        assert next(line for line in lines if line.startswith("event: ")) == "event: emergency_stop"
        assert json.loads(next(lines).removeprefix("data: ")) == {"engaged": True, "detail": ""}


def test_camera_shows_the_newest_picture_and_slow_watchers_skip() -> None:
    robot = ScriptedRobot()
    with served(robot) as gateway, httpx.Client(base_url=gateway.url, trust_env=False) as http:
        assert http.get("/camera.jpg").status_code == 404
        gateway.do(lambda: robot.camera.show(b"one", "image/jpeg", 1.5))
        first = http.get("/camera.jpg")
        assert (first.content, first.headers["content-type"], first.headers["x-timestamp"]) == (
            b"one",
            "image/jpeg",
            "1.500000",
        )
        assert http.get("/camera.jpg", headers={"if-none-match": first.headers["etag"]}).status_code == 304
        with http.stream("GET", "/camera.mjpg") as video:
            assert video.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
            pieces = video.iter_raw()
            read = next(pieces)
            while b"one\r\n--frame" not in read:
                read += next(pieces)
            gateway.do(lambda: [robot.camera.show(each, "image/jpeg", 2.0) for each in (b"two", b"three")])
            while b"three\r\n--frame" not in read:
                read += next(pieces)
        assert b"two" not in read
        assert b"Content-Length: 5\r\n" in read
