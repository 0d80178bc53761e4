"""Talking over HTTP: whole answers, answers in pieces, and clients that go away."""

import json
import time
from typing import Any

import httpx
import pytest
from scripted_robot import ANSWER, WAVE, Gateway, ScriptedRobot, served

from smolfusion_ros.errors import BackendUnavailableError, BusyError, InactiveError
from smolfusion_ros.gateway.schemas import MAX_SESSION_ID_CHARACTERS, MAX_TEXT_CHARACTERS, Delta


def events(text: str) -> list[tuple[str, Any]]:
    """Name and data of each server-sent event."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def test_answer_comes_whole(gateway: Gateway, http: httpx.Client) -> None:
    answered = http.post("/chat", json={"text": "wave", "session_id": "anna"})
    assert (answered.status_code, answered.headers["content-type"]) == (200, "application/json")
    assert answered.json() == ANSWER.model_dump(mode="json")
    assert gateway.robot.asked == [("converse", "wave", "anna")]


@pytest.mark.parametrize(
    "asked",
    [
        {"json": {"text": "wave", "stream": True}},
        {"json": {"text": "wave"}, "headers": {"accept": "text/event-stream"}},
    ],
)
def test_answer_comes_in_pieces_and_whole_at_last(http: httpx.Client, asked: dict[str, Any]) -> None:
    streamed = http.post("/chat", **asked)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert events(streamed.text) == [
        ("delta", {"text": "Waving my "}),
        ("command", WAVE.model_dump(mode="json")),
        ("delta", {"text": "right hand."}),
        ("done", ANSWER.model_dump(mode="json")),
    ]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BusyError("8 turns wait"), 503, "busy"),
        (InactiveError("dialogue is not configured"), 503, "inactive"),
        (BackendUnavailableError("away"), 503, "backend_unavailable"),
        (TimeoutError("too late"), 504, "timeout"),
        (ZeroDivisionError("secret"), 500, "internal"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_fails_before_a_word_is_said_is_a_problem_with_a_status(
    gateway: Gateway, http: httpx.Client, error: Exception, status: int, code: str, stream: bool
) -> None:
    gateway.robot.script = [error]
    refused = http.post("/chat", json={"text": "wave", "stream": stream})
    assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")
    problem = refused.json()
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, "about:blank")
    assert problem["title"]
    assert "secret" not in refused.text
    assert ("retry-after" in refused.headers) == (status == 503)


def test_what_fails_later_is_told_in_the_stream(gateway: Gateway, http: httpx.Client) -> None:
    gateway.robot.script = [Delta(text="Wav"), TimeoutError("too late")]
    streamed = http.post("/chat", json={"text": "wave", "stream": True})
    assert streamed.status_code == 200
    [said, (name, problem)] = events(streamed.text)
    assert said == ("delta", {"text": "Wav"})
    assert (name, problem["status"], problem["code"]) == ("error", 504, "timeout")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("after", [[], [Delta(text="Once ")]])
def test_client_that_hangs_up_ends_the_generation(gateway: Gateway, stream: bool, after: list[Delta]) -> None:
    gateway.robot.script = [*after, 30.0, ANSWER]
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{gateway.url}/chat", json={"text": "story", "stream": stream}, timeout=0.3, trust_env=False)
    begun = time.perf_counter()
    assert gateway.robot.ended.wait(2.0)
    print(f"ended {(time.perf_counter() - begun) * 1e3:.0f} ms after the client had gone")
    assert time.perf_counter() - begun < 0.3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": " \t\n\x00"}, "text"),
        ({"text": 7}, "text"),
        ({"text": "x" * (MAX_TEXT_CHARACTERS + 1)}, "text"),
        ({"text": "a", "session_id": "x" * (MAX_SESSION_ID_CHARACTERS + 1)}, "session_id"),
        ({"text": "a", "session_id": "a\nb"}, "session_id"),
        ({"text": "a", "sesion_id": "b"}, "sesion_id"),
        ({"text": "a", "stream": "perhaps"}, "stream"),
    ],
)
def test_request_of_another_shape_names_its_field_and_reaches_nobody(
    gateway: Gateway, http: httpx.Client, body: dict[str, Any], field: str
) -> None:
    refused = http.post("/chat", json=body)
    assert refused.status_code == 422
    assert [each["field"] for each in refused.json()["errors"]] == [field]
    assert len(refused.text) < 1000
    assert gateway.robot.asked == []


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"text=hello", "application/x-www-form-urlencoded", 415),
        (b'{"text": "a"}', "text/plain", 415),
        (b'{"text": "a"}', "", 415),
        (b'{"text"', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"text": "\\ud800"}', "application/json", 400),
        (b"[" * 100000, "application/json", 400),
        (b"[]", "application/json", 422),
    ],
)
def test_body_that_is_no_json_is_refused(http: httpx.Client, content: bytes, kind: str, status: int) -> None:
    refused = http.post("/chat", content=content, headers={"content-type": kind})
    assert (refused.status_code, refused.json()["status"]) == (status, status)


def test_longest_text_and_foreign_letters_pass(gateway: Gateway, http: httpx.Client) -> None:
    text, session_id = "가" * MAX_TEXT_CHARACTERS, "안나/2 ?" + "x" * 57
    assert http.post("/chat", json={"text": text, "session_id": session_id}).status_code == 200
    assert gateway.robot.asked == [("converse", text, session_id)]


def test_sessions_are_listed_told_and_forgotten(gateway: Gateway, http: httpx.Client) -> None:
    assert http.get("/sessions").json() == {"sessions": [{"session_id": "anna", "turns": 3, "last_used": 3.0}]}
    told = http.get("/sessions/anna", params={"limit": 2}).json()
    assert [turn["id"] for turn in told["turns"]] == ["t2", "t3"]
    assert http.delete("/sessions/anna").json() == {"session_id": "anna", "detail": ""}
    for method in ("GET", "DELETE"):
        gone = http.request(method, "/sessions/anna")
        assert (gone.status_code, gone.json()["code"]) == (404, "unknown_session")


def test_name_of_a_session_may_hold_a_slash(gateway: Gateway, http: httpx.Client) -> None:
    gateway.robot.kept["a/b c?"] = []
    assert http.get("/sessions/a%2Fb%20c%3F").json() == {"session_id": "a/b c?", "turns": []}


@pytest.mark.parametrize("path", ["/sessions/", f"/sessions/{'x' * 65}", "/sessions/a%07b", "/sessions/anna?limit=0"])
def test_session_that_cannot_be_is_refused(gateway: Gateway, http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 422
    assert gateway.robot.asked == []


def test_streams_have_a_bound_and_places_come_free(gateway: Gateway) -> None:
    gateway.robot.script = [Delta(text="Once "), 30.0, ANSWER]
    asked = {"text": "story", "stream": True}
    with httpx.Client(base_url=gateway.url, trust_env=False) as http:
        streams = [http.stream("POST", "/chat", json=asked) for _ in range(4)]
        for stream in streams:
            assert stream.__enter__().status_code == 200
        refused = http.post("/chat", json=asked)
        assert (refused.status_code, refused.json()["code"]) == (503, "busy")
        for stream in streams:
            stream.__exit__(None, None, None)
    deadline = time.monotonic() + 2.0
    while gateway.robot.hub.streams and time.monotonic() < deadline:
        time.sleep(0.01)
    assert gateway.robot.hub.streams == 0


def test_bounds_are_those_of_the_dialogue() -> None:
    from smolfusion_ros.dialogue import turn

    assert turn.Limits().max_utterance_characters == MAX_TEXT_CHARACTERS
    assert turn.MAX_SESSION_ID_CHARACTERS == MAX_SESSION_ID_CHARACTERS


def test_stream_is_refused_while_the_gateway_ends() -> None:
    robot = ScriptedRobot()
    with served(robot) as gateway:
        gateway.do(robot.hub.close)
        refused = httpx.post(f"{gateway.url}/chat", json={"text": "a", "stream": True}, trust_env=False)
    assert (refused.status_code, refused.json()["code"]) == (503, "inactive")
