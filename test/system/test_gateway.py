"""The robot over HTTP, with real models behind it: what is said, seen, commanded, streamed and told of its health."""

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from smolfusion_ros.msg import ActionStatus

from smolfusion_ros.bringup.runner import command
from smolfusion_ros.bringup.stack import Options, Process
from smolfusion_ros.nodes import _qos
from system.probe import until
from system.stack import Stack, Workplace, answers, running

pytestmark = pytest.mark.system

STORY = "tell me a long story about a dragon, a princess and a wizard"
TIMES = 5
LIMIT_MS = 1000.0  # beside other work; 14 to 283 ms were measured
END_S = 3.0
TOKEN = "a-token-of-the-system-tests"


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("gateway"), provider="xllamacpp") as started:
        until(lambda: answers(f"{url(started)}/actions"), "the gateway")
        yield started


def url(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.options.gateway_port}"


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    # A client of its own each time: the rate limit is not what is tested here.
    with httpx.Client(base_url=url(stack), timeout=30.0, trust_env=False) as client:
        yield client


class Events:
    """Server-sent events as they come."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()

    def next(self, *names: str) -> tuple[str, Any]:
        """The next event of one of these names, or of any."""
        name = ""
        for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data" and (name in names or not names):
                return name, json.loads(value)
        raise EOFError("the stream has ended")

    def rest(self) -> list[tuple[str, Any]]:
        found = []
        try:
            while True:
                found.append(self.next())
        except EOFError:
            return found


def test_what_is_said_is_answered_commanded_and_remembered(stack: Stack, http: httpx.Client) -> None:
    told = stack.probe.heard("action_command")
    begun = time.perf_counter()
    answered = http.post("/chat", json={"text": "stop", "session_id": "anna"})
    print(f"a reflex over HTTP: {(time.perf_counter() - begun) * 1e3:.0f} ms")
    answer = answered.json()
    assert (answered.status_code, answer["reply"], answer["source"]) == (200, "Stopping.", "reflex")
    [given] = answer["commands"]
    assert (given["name"], given["id"]) == ("stop", told.wait_for(lambda each: each.id == given["id"]).message.id)
    answer = http.post("/chat", json={"text": "hello there", "session_id": "anna"}).json()
    assert (answer["source"], answer["interrupted"], answer["error"]) == ("llm", False, "")
    assert answer["reply"]
    kept = stack.probe.history("anna", 2)
    assert kept[-1].id == answer["turn_id"]
    history = http.get("/sessions/anna").json()
    assert [(turn["heard"], turn["said"]) for turn in history["turns"]] == [
        ("stop", "Stopping."),
        ("hello there", answer["reply"]),
    ]
    assert [turn["id"] for turn in http.get("/sessions/anna", params={"limit": 1}).json()["turns"]] == [kept[-1].id]
    assert "anna" in [session["session_id"] for session in http.get("/sessions").json()["sessions"]]
    assert http.delete("/sessions/anna").status_code == 200
    assert http.get("/sessions/anna").status_code == http.delete("/sessions/anna").status_code == 404


def test_answer_in_pieces_adds_up_and_its_record_comes_last(stack: Stack, http: httpx.Client) -> None:
    with http.stream("POST", "/chat", json={"text": "wave your left hand", "stream": True}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = Events(stream).rest()
    names = [name for name, _ in events]
    print(names)
    assert (names[0], names[-1], names.count("done")) == ("delta", "done", 1)
    done = events[-1][1]
    assert "".join(data["text"] for name, data in events if name == "delta") == done["reply"]
    assert [data for name, data in events if name == "command"] == done["commands"]
    assert done["session_id"] == "default"
    assert names.count("delta") >= 2


def test_client_that_hangs_up_frees_the_backend(stack: Stack) -> None:
    times_ms = []
    with httpx.Client() as backend:
        for number in range(TIMES):
            with httpx.Client(base_url=url(stack), trust_env=False) as http:
                asked = {"text": STORY, "session_id": f"hung up {number}", "stream": True}
                with http.stream("POST", "/chat", json=asked) as stream:
                    Events(stream).next("delta")
                    assert stack.is_generating(backend)
                    begun = time.perf_counter()
            until(lambda: not stack.is_generating(backend), "an idle backend", interval_s=0.005)
            times_ms.append((time.perf_counter() - begun) * 1e3)
            [turn] = stack.probe.history(f"hung up {number}")
            assert turn.interrupted
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url(stack)}/chat", json={"text": STORY}, timeout=0.4, trust_env=False)
        until(lambda: not stack.is_generating(backend), "an idle backend after a whole answer's client", 1.0, 0.005)
    print(f"hanging up to idle backend: {[round(each) for each in times_ms]} ms")
    assert statistics.median(times_ms) < LIMIT_MS


def test_words_come_while_the_answer_is_being_written(stack: Stack, http: httpx.Client) -> None:
    begun = time.perf_counter()
    with http.stream("POST", "/chat", json={"text": STORY, "session_id": "story", "stream": True}) as stream:
        events = Events(stream)
        events.next("delta")
        first_s = time.perf_counter() - begun
        events.rest()
    whole_s = time.perf_counter() - begun
    print(f"first words after {first_s * 1e3:.0f} ms, the whole answer after {whole_s * 1e3:.0f} ms")
    assert first_s < 0.8 * whole_s


def test_an_answer_of_one_s_own_takes_no_time(http: httpx.Client) -> None:
    times_ms = []
    for _ in range(10):
        begun = time.perf_counter()
        http.get("/actions")
        times_ms.append((time.perf_counter() - begun) * 1e3)
    print(f"GET /actions over one connection: {[round(each, 1) for each in times_ms]} ms")
    assert statistics.median(times_ms) < 20.0


def test_scene_and_pictures_are_told(stack: Stack, http: httpx.Client) -> None:
    scenes, camera = stack.probe.heard("scene"), stack.camera()
    known = len(scenes)
    camera.show("waving", 30)
    seen = scenes.wait_for(lambda scene: scene.source == "vlm" and scene.persons, since=known).message
    until(lambda: http.get("/scene").json().get("compact") == seen.compact, "the scene")
    scene = http.get("/scene").json()
    assert [person["gesture"] for person in scene["persons"]] == [person.gesture for person in seen.persons]
    picture = http.get("/camera.jpg")
    assert (picture.status_code, picture.content[:2]) == (200, b"\xff\xd8")
    assert float(picture.headers["x-timestamp"]) == pytest.approx(time.time(), abs=30.0)
    live = http.post("/analyze", json={"question": "Describe the scene."})
    assert live.status_code == 200, live.text
    assert live.json()["stamp"] == pytest.approx(float(picture.headers["x-timestamp"]), abs=30.0)
    sent = http.post("/analyze", files={"image": picture.content}, data={"question": "Describe the scene."})
    print(f"{scene['compact']}; live: {live.json()}; sent: {sent.json()}")
    assert (sent.status_code, sent.json()["stamp"]) == (200, 0.0)
    assert sent.json()["answer"]
    broken = http.post("/analyze", files={"image": picture.content[: len(picture.content) // 2]})
    assert (broken.status_code, broken.json()["code"]) == (422, "bad_picture")


def test_everything_that_happens_is_streamed(stack: Stack, http: httpx.Client) -> None:
    statuses = stack.probe.publisher(ActionStatus, "action_status", _qos.COMMAND, readers=2)
    with http.stream("GET", "/stream") as stream:
        events = Events(stream)
        name, snapshot = events.next()
        assert name == "snapshot"
        assert snapshot["emergency_stop"] == {"engaged": False, "detail": ""}
        assert snapshot["turns"][-1]["said"]
        answer = httpx.post(f"{url(stack)}/chat", json={"text": "stop"}, trust_env=False).json()
        assert events.next("command")[1] == answer["commands"][0]
        assert events.next("turn")[1]["id"] == answer["turn_id"]
        statuses.publish(ActionStatus(command_id=answer["commands"][0]["id"], state=ActionStatus.SUCCEEDED))
        assert events.next("status")[1]["state"] == "succeeded"
        told = events.next("diagnostics")[1]["statuses"]
        assert {"llm backend", "vlm backend", "store", "http"} <= {status["task"] for status in told}
        assert events.next("performance")[1]["processes"]
        stack.camera().begin("waving", 60)
        begun, motions = time.monotonic(), 0
        while time.monotonic() - begun < 1.5:
            name, _ = events.next("motion", "keyframe", "performance")
            motions += name == "motion"
        print(f"{motions} motion events in 1.5 s of a camera at 30 Hz")
        assert 3 <= motions <= 9
        httpx.post(f"{url(stack)}/chat", json={"text": "hello there", "session_id": "streamed"}, trust_env=False)
        pieces = [events.next("reply")[1]]
        while not pieces[-1]["is_final"]:
            pieces.append(events.next("reply")[1])
        assert events.next("turn")[1]["said"] == "".join(piece["delta"] for piece in pieces)


def test_emergency_stop_is_engaged_confirmed_and_reset(stack: Stack, http: httpx.Client) -> None:
    engaged = stack.probe.heard("emergency_stop_engaged")
    assert http.post("/emergency_stop").json() == {"engaged": True, "detail": ""}
    engaged.wait_for(lambda message: message.data)
    held = http.post("/chat", json={"text": "wave your left hand", "session_id": "held"}).json()
    assert held["commands"] == []
    assert http.post("/emergency_stop/reset").json() == {"engaged": False, "detail": "released"}
    assert http.post("/emergency_stop/reset").json()["detail"] == "the emergency stop is not engaged"


def test_figures_are_told(stack: Stack, http: httpx.Client) -> None:
    text = http.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines['smolfusion_backend_up{backend="llm"}']) == 1.0
    assert float(lines['smolfusion_backend_up{backend="vlm"}']) == 1.0
    assert float(lines['smolfusion_turns_total{interrupted="false",source="llm"}']) >= 1.0
    assert float(lines['smolfusion_turns_total{interrupted="true",source="llm"}']) >= TIMES
    assert float(lines['smolfusion_commands_total{action="stop"}']) >= 2.0
    assert float(lines["smolfusion_frames_seen_total"]) > 0.0
    assert float(lines['smolfusion_stage_seconds{quantile="0.5",stage="dialogue.first_token"}']) > 0.0
    assert http.get("/performance").json()["processes"]


def test_killed_backend_makes_the_robot_ill_until_it_is_back(stack: Stack, http: httpx.Client) -> None:
    until(lambda: http.get("/health").status_code == 200, "a healthy robot", interval_s=0.5)
    assert set(http.get("/health").json()["nodes"].values()) == {"alive"}
    begun = time.monotonic()
    stack.kill("llm_backend")
    until(lambda: http.get("/health").status_code == 503, "an ill robot", interval_s=0.2)
    print(f"told after {time.monotonic() - begun:.1f} s: {http.get('/health').json()['detail']}")
    assert "dialogue: llm backend: away" in http.get("/health").json()["detail"]
    canned = http.post("/chat", json={"text": "hello there", "session_id": "ill"})
    assert (canned.status_code, canned.json()["source"]) == (200, "canned")
    assert canned.json()["error"]
    stack.start("llm_backend")
    until(lambda: http.get("/health").status_code == 200, "a robot that is well again", interval_s=0.5)


def test_large_bodies_leave_no_trace_in_the_process(stack: Stack, http: httpx.Client) -> None:
    process = psutil.Process(stack.processes["gateway"].pid)
    before = process.memory_info().rss
    for _ in range(3):
        refused = http.post("/analyze", content=(b"x" * 2**16 for _ in range(800)))
        assert refused.status_code == 413
    grown = process.memory_info().rss - before
    print(f"150 MiB refused; resident memory grew by {grown / 2**20:.1f} MiB")
    assert grown < 32 * 2**20


def test_end_of_the_process_ends_every_stream_in_order(stack: Stack) -> None:
    with ExitStack() as opened, httpx.Client(base_url=url(stack), timeout=30.0, trust_env=False) as http:
        stream = opened.enter_context(http.stream("GET", "/stream"))
        video = opened.enter_context(http.stream("GET", "/camera.mjpg"))
        chat = opened.enter_context(http.stream("POST", "/chat", json={"text": STORY, "stream": True}))
        events = Events(chat)
        events.next("delta")
        begun = time.monotonic()
        stack.terminate("gateway")
        took_s = time.monotonic() - begun
        print(f"SIGTERM to the end of the process: {took_s:.2f} s")
        assert took_s < END_S
        name, problem = events.rest()[-1]
        assert (name, problem["code"]) == ("error", "inactive")
        assert Events(stream).rest()
        assert b"".join(video.iter_raw())
    with httpx.Client() as backend:
        until(lambda: not stack.is_generating(backend), "an idle backend", 1.0)
    stack.start("gateway")
    until(lambda: answers(f"{url(stack)}/actions"), "the gateway")


def test_reachable_address_needs_a_token_that_no_parameter_shows(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path / "token")
    parameters = {"port": workplace.gateway_port, "host": "0.0.0.0"}
    line = command(Process("gateway", "gateway", True, parameters=parameters), Options())
    assert workplace.start("refused", line).wait(20.0) == 2
    message = workplace.log("refused").read_text()
    print(message)
    assert message.startswith("cannot start: host 0.0.0.0 can be reached by other machines, and there is no token.")
    assert "secrets.token_urlsafe" in message
    address = f"http://127.0.0.1:{workplace.gateway_port}/actions"
    serving = workplace.start("serving", line, {"SMOLFUSION_TOKEN": TOKEN})
    bearer = {"authorization": f"Bearer {TOKEN.replace(' ', '-')}"}
    try:
        until(lambda: _status(address, bearer) == 200, "the gateway")
        assert _status(address) == 401
        second = workplace.start("second", [*line, "-p", "host:=127.0.0.1"])
        assert second.wait(20.0) == 2
        assert "Address already in use" in workplace.log("second").read_text()
    finally:
        serving.terminate()
        assert serving.wait(10.0) == 0
    workplace.check_logs()
    assert TOKEN not in "".join(workplace.logs().values())


def _status(address: str, headers: dict[str, str] | None = None) -> int:
    try:
        return httpx.get(address, headers=headers, trust_env=False).status_code
    except httpx.HTTPError:
        return 0
