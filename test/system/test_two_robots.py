"""Two robots on one machine and in one domain: nothing of one ever shows at the other."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from smolfusion_ros.msg import Utterance
from smolfusion_ros.srv import Chat, ListSessions

from smolfusion_ros.nodes import _qos
from system.probe import Heard
from system.stack import Stack, Workplace, running

pytestmark = pytest.mark.system

NODES = {"motion_gate", "perception", "dialogue", "memory", "monitor", "gateway"}
PROCESSES = {*NODES, "llm_backend", "vlm_backend"}
TOPICS = ("action_command", "reply", "turn", "scene", "motion")
LLM = "dialogue: llm backend"
# What passes between two robots would have passed by then.
SETTLE_S = 0.5


@dataclass(frozen=True)
class Robot:
    """A stack in its namespace, and all that was ever heard of it."""

    name: str
    stack: Stack
    heard: dict[str, Heard]

    def known(self) -> dict[str, int]:
        return {topic: len(heard) for topic, heard in self.heard.items()}

    def statuses(self, since: int = 0) -> list[DiagnosticStatus]:
        """What was said in /diagnostics of this robot."""
        arrays: list[DiagnosticArray] = self.stack.probe.heard("/diagnostics").messages(since)
        return [status for array in arrays for status in array.status if status.hardware_id == f"/{self.name}"]


@pytest.fixture(scope="module")
def robots(tmp_path_factory) -> Iterator[tuple[Robot, Robot]]:
    directory: Path = tmp_path_factory.mktemp("two_robots")
    first = Workplace(directory / "one")
    with ExitStack() as stacks:
        places = (first, Workplace(directory / "two", beside=first))
        started = [
            stacks.enter_context(running(place, namespace=f"/robot{number}", provider="xllamacpp"))
            for number, place in enumerate(places, 1)
        ]
        yield tuple(
            Robot(f"robot{number}", stack, {topic: stack.probe.heard(topic) for topic in TOPICS})
            for number, stack in enumerate(started, 1)
        )


def _say(robot: Robot, text: str, session_id: str) -> Any:
    utterances = robot.stack.probe.publisher(Utterance, "utterance", _qos.UTTERANCE)
    utterances.publish(Utterance(text=text, session_id=session_id))
    return robot.heard["turn"].wait_for(lambda turn: turn.session_id == session_id).message


def test_what_is_said_and_commanded_stays_with_its_robot(robots: tuple[Robot, Robot]) -> None:
    for one, other in (robots, robots[::-1]):
        before = other.known()
        _say(one, "stop", f"{one.name} stops")
        turn = _say(one, "hello there", f"{one.name} greets")
        print(f"{one.name}: {turn.said!r}")
        assert (turn.source, turn.error) == ("llm", "")
        assert [command.name for command in one.heard["action_command"].messages()] == ["stop"]
        assert one.heard["reply"].messages()
        time.sleep(SETTLE_S)
        assert other.known() == before


def test_each_memory_knows_its_own_sessions_in_a_file_of_its_own(robots: tuple[Robot, Robot]) -> None:
    data = Path(robots[0].stack.workplace.environment["XDG_DATA_HOME"]) / "smolfusion_ros"
    for robot in robots:
        sessions = {f"{robot.name} stops", f"{robot.name} greets"}
        for session_id in sessions:
            assert robot.stack.probe.history(session_id)
        assert set(robot.stack.probe.call(ListSessions, "list_sessions").session_ids) == sessions
        database = sqlite3.connect(f"file:{data / robot.name}.sqlite3?mode=ro", uri=True)
        assert {session_id for (session_id,) in database.execute("SELECT DISTINCT session_id FROM turns")} == sessions
        database.close()


def test_what_one_sees_the_other_does_not(robots: tuple[Robot, Robot]) -> None:
    for one, other, scene in ((*robots, "waving"), (*robots[::-1], "nobody")):
        before, known = other.known(), len(one.heard["scene"])
        camera = one.stack.camera()
        camera.show(scene, 30)
        seen = one.heard["scene"].wait_for(lambda scene: scene.source == "vlm", since=known).message
        print(f"{one.name}: {seen.compact}")
        assert bool(seen.persons) == (scene == "waving")
        time.sleep(SETTLE_S)
        assert other.known() == before


def test_each_monitor_reports_its_own_processes(robots: tuple[Robot, Robot]) -> None:
    for robot in robots:
        reports = robot.stack.probe.heard("performance")
        pids = robot.stack.pids()
        report = reports.wait_for(lambda report: {usage.name for usage in report.processes} == PROCESSES).message
        assert {usage.name: usage.pid for usage in report.processes} == pids
        status, _ = robot.stack.probe.wait_for_status("monitor: nodes", lambda _: True)
        assert status.level == DiagnosticStatus.OK, status.message


def test_diagnostics_bear_their_robots_name(robots: tuple[Robot, Robot]) -> None:
    for robot in robots:
        pids = {str(pid) for pid in robot.stack.pids().values()}
        statuses = robot.statuses()
        assert {status.name.split("/")[1].split(":")[0] for status in statuses} == NODES
        for status in statuses:
            assert status.name.startswith(f"{robot.name}/")
            assert next(each.value for each in status.values if each.key == "pid") in pids


def test_killed_backend_of_one_leaves_the_other_alone(robots: tuple[Robot, Robot]) -> None:
    one, other = robots
    for robot in robots:
        robot.stack.probe.wait_for_status(LLM, lambda status: status.message == "up")
    pids, since = other.stack.pids(), len(other.stack.probe.heard("/diagnostics"))
    one.stack.kill("llm_backend")
    lost, lost_s = one.stack.probe.wait_for_status(LLM, lambda status: status.level == DiagnosticStatus.ERROR)
    print(f"told after {lost_s:.1f} s: {lost.message}")
    assert not one.stack.probe.call(Chat, "chat", text="hello there", session_id="alone").success
    answer = other.stack.probe.call(Chat, "chat", text="hello there", session_id="alone")
    assert answer.success, answer.message
    left, reports = PROCESSES - {"llm_backend"}, one.stack.probe.heard("performance")
    reports.wait_for(lambda report: {usage.name for usage in report.processes} == left, since=len(reports))
    other.stack.probe.wait_for_status(LLM, lambda _: True)
    told = {(status.level, status.message) for status in other.statuses(since) if status.name.endswith(LLM)}
    assert told == {(DiagnosticStatus.OK, "up")}
    report = other.stack.probe.heard("performance").messages()[-1]
    assert {usage.name: usage.pid for usage in report.processes} == other.stack.pids() == pids
