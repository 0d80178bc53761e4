"""How the robot is: health by its diagnostics, figures for Prometheus, the page; and the emergency stop."""

from pathlib import Path

import httpx
import pytest
from clock import Clock
from prometheus_client.parser import text_string_to_metric_families
from scripted_robot import WAVE, Gateway, ScriptedRobot, served, turn

from smolfusion_ros.errors import ConfigurationError, InactiveError
from smolfusion_ros.gateway.assets import MAX_BYTES, load_page
from smolfusion_ros.gateway.health import MAX_TASKS, Board
from smolfusion_ros.gateway.schemas import Health
from smolfusion_ros.gateway.settings import Settings
from smolfusion_ros.gateway.values import Diagnostics, Level, Motion, Performance, Process, Stage, Status


@pytest.fixture
def clock() -> Clock:
    return Clock()


def status(node: str, task: str, level: Level = "ok", message: str = "") -> Status:
    return Status(node=node, task=task, level=level, message=message)


def get(gateway: Gateway, path: str) -> httpx.Response:
    return httpx.get(gateway.url + path, trust_env=False)


def test_robot_is_well_while_all_nodes_are_heard_and_no_task_fails(clock: Clock) -> None:
    board = Board(("dialogue", "memory"), clock)
    health = board.health()
    assert (health.status, health.nodes) == ("error", {"dialogue": "unknown", "memory": "unknown"})
    board.update([status("dialogue", "llm backend"), status("memory", "store")])
    assert board.health() == Health(status="ok", wrong=(), nodes={"dialogue": "alive", "memory": "alive"})
    board.update([status("dialogue", "llm backend", "warning", "slow")])
    assert board.health().status == "warning"
    board.update([status("dialogue", "llm backend", "error", "away")])
    health = board.health()
    assert (health.status, [each.message for each in health.wrong]) == ("error", ["away"])


def test_node_that_falls_silent_is_missed_and_its_tasks_are_stale(clock: Clock) -> None:
    board = Board(("dialogue",), clock)
    board.update([status("dialogue", "llm backend"), status("camera", "driver")])
    clock.now_s += 4.0
    board.update([status("other", "task")])
    health = board.health()
    assert (health.status, health.nodes) == ("error", {"dialogue": "silent"})
    assert {(each.node, each.level) for each in health.wrong} == {("dialogue", "stale"), ("camera", "stale")}
    board.update([status("dialogue", "llm backend")])
    assert board.health().status == "warning", "a node that is not expected may go"


def test_task_that_a_living_node_tells_no_more_is_forgotten(clock: Clock) -> None:
    board = Board(("dialogue",), clock)
    board.update([status("dialogue", "llm backend", "error"), status("dialogue", "emergency stop")])
    clock.now_s += 4.0
    board.update([status("dialogue", "emergency stop")])
    assert [each.task for each in board.diagnostics().statuses] == ["emergency stop"]
    assert board.health().status == "ok"


def test_flood_of_tasks_is_bounded(clock: Clock) -> None:
    board = Board((), clock)
    board.update([status("node", f"task {number}") for number in range(10 * MAX_TASKS)])
    assert len(board.diagnostics().statuses) == MAX_TASKS


def test_health_is_200_or_a_problem_that_tells_what_is_wrong(gateway: Gateway) -> None:
    assert get(gateway, "/health").json() == {"status": "ok", "wrong": [], "nodes": {"dialogue": "alive"}}
    wrong = status("dialogue", "llm backend", "error", "away for 3 s")
    gateway.robot.wellness = Health(status="error", wrong=(wrong,), nodes={"dialogue": "alive"})
    ill = get(gateway, "/health")
    assert (ill.status_code, ill.headers["content-type"]) == (503, "application/problem+json")
    assert ill.json()["detail"] == "dialogue: llm backend: away for 3 s"
    assert ill.json()["health"]["wrong"][0]["message"] == "away for 3 s"


def figures(gateway: Gateway) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the sorted values of its labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(get(gateway, "/metrics").text)
        for sample in family.samples
    }


def test_figures_count_what_happens(fresh: Gateway) -> None:
    gateway, hub = fresh, fresh.robot.hub
    answered = turn(1).model_copy(update={"rejected": ("walk: no",), "error": "away"})
    motion = Motion(
        stamp=1.0,
        width=640,
        height=480,
        score=0.0,
        changed_fraction=0.0,
        active=False,
        camera_moving=False,
        frames_seen=300,
        frames_forwarded=7,
        roi=None,
    )
    performance = Performance(
        stamp=1.0,
        stages=(Stage(name="dialogue.first_token", count=9, p50_ms=120.0, p95_ms=250.0, p99_ms=300.0),),
        processes=(Process(name="dialogue", pid=7, cpu_percent=12.5, memory_bytes=1000, threads=4, open_files=9),),
        gpu_percent=None,
        gpu_memory_bytes=None,
        gate_skipped_fraction=0.9,
        temperatures_c={"cpu": 61.5},
        powers_w={"vdd_in": 7.25},
    )
    backends = (status("dialogue", "llm backend", "error"), status("perception", "vlm backend"))
    told = {
        "turn": answered,
        "command": WAVE,
        "motion": motion,
        "performance": performance,
        "diagnostics": Diagnostics(statuses=backends),
    }
    gateway.do(lambda: [hub.publish(name, value) for name, value in told.items()])
    get(gateway, "/sessions/anna")
    found = figures(gateway)
    for expected, value in {
        ("smolfusion_turns_total", "false", "llm"): 1,
        ("smolfusion_failed_turns_total",): 1,
        ("smolfusion_rejected_commands_total",): 1,
        ("smolfusion_commands_total", "wave"): 1,
        ("smolfusion_frames_seen_total",): 300,
        ("smolfusion_frames_forwarded_total",): 7,
        ("smolfusion_stage_seconds", "0.95", "dialogue.first_token"): 0.25,
        ("smolfusion_process_cpu_cores", "dialogue"): 0.125,
        ("smolfusion_temperature_celsius", "cpu"): 61.5,
        ("smolfusion_power_watts", "vdd_in"): 7.25,
        ("smolfusion_backend_up", "llm"): 0,
        ("smolfusion_backend_up", "vlm"): 1,
        ("smolfusion_node_up", "dialogue"): 1,
        ("smolfusion_http_requests_total", "/sessions/{session_id}", "200", "GET"): 1,
        ("smolfusion_emergency_stop_engaged",): 0,
    }.items():
        assert found[expected] == value, expected


def test_flood_of_names_is_no_flood_of_figures(fresh: Gateway) -> None:
    gateway = fresh
    commands = [WAVE.model_copy(update={"name": f"action {number}"}) for number in range(500)]
    gateway.do(lambda: [gateway.robot.hub.publish("command", each) for each in commands])
    for number in range(50):
        get(gateway, f"/nothing/{number}")
    found = figures(gateway)
    assert sum(1 for name, *_ in found if name == "smolfusion_commands_total") < 100
    assert found["smolfusion_http_requests_total", "404", "GET", "other"] == 50


def test_emergency_stop_is_engaged_and_reset(gateway: Gateway) -> None:
    assert httpx.post(f"{gateway.url}/emergency_stop", trust_env=False).json() == {"engaged": True, "detail": ""}
    released = httpx.post(f"{gateway.url}/emergency_stop/reset", trust_env=False)
    assert released.json() == {"engaged": False, "detail": "released"}
    assert gateway.robot.asked == [("engage",), ("reset",)]
    for fault, code in ((InactiveError("nobody hears it"), 503), (TimeoutError("not confirmed"), 504)):
        gateway.robot.fault = fault
        assert httpx.post(f"{gateway.url}/emergency_stop", trust_env=False).status_code == code


def test_page_is_served_from_memory_and_needs_no_token(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.js").write_text("'use strict'")
    (tmp_path.parent / "secret.txt").write_text("secret")
    settings = Settings(page=tmp_path, token="0123456789abcdef", requests_per_minute=5)
    with served(ScriptedRobot(), settings) as gateway:
        (tmp_path / "index.html").write_text("changed")
        for path in ("/", "/index.html"):
            page = get(gateway, path)
            assert (page.text, page.headers["content-type"]) == ("<!doctype html>", "text/html; charset=utf-8")
        script = get(gateway, "/code/app.js")
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        assert script.headers["content-security-policy"].startswith("default-src 'self'")
        again = httpx.get(f"{gateway.url}/", headers={"if-none-match": page.headers["etag"]}, trust_env=False)
        assert (again.status_code, again.content) == (304, b"")
        link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        assert httpx.get(f"{gateway.url}/", headers=link, trust_env=False).status_code == 200
        for _ in range(10):
            assert get(gateway, "/").status_code == 200, "files of the page are not counted"
        for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/code/..%2f..%2fsecret.txt", "/code/", "/code"):
            assert get(gateway, path).status_code in (401, 404)


def test_without_a_page_the_root_tells_where_the_description_is(gateway: Gateway) -> None:
    assert "/openapi.json" in get(gateway, "/").json()["detail"]


def test_page_has_a_bound(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(bytes(MAX_BYTES + 1))
    with pytest.raises(ConfigurationError, match="more than"):
        load_page(tmp_path)
