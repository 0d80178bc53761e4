"""The memory node on a real file: when it starts, what it answers, and what it tells of its health."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from smolfusion_ros.msg import Turn
from smolfusion_ros.srv import ClearSession, GetHistory, ListSessions

from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._run import run
from smolfusion_ros.nodes.memory import MemoryNode

TIMEOUT_S = 5.0


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the node keeps its turns."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("ROS_DOMAIN_ID", "98")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    return tmp_path / "smolfusion_ros" / "memory.sqlite3"


class Bench:
    """The node, and one that talks to it; both spin while something is waited for."""

    def __init__(self) -> None:
        rclpy.init()
        self.memory = MemoryNode()
        self._other = Node("other")
        self._executor = SingleThreadedExecutor()
        for node in (self.memory, self._other):
            self._executor.add_node(node)
        self._turns = self._other.create_publisher(Turn, "turn", _qos.TURN)
        self._health: list[DiagnosticStatus] = []
        self._other.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def close(self) -> None:
        self.memory.close()
        self._executor.shutdown()
        for node in (self.memory, self._other):
            node.destroy_node()
        rclpy.try_shutdown()

    def tell(self, turn_id: str, session_id: str = "s") -> None:
        """Publish a turn and wait until it is in the history."""
        self._turns.publish(Turn(id=turn_id, session_id=session_id, heard="hello", said="hello there"))
        self.until(lambda: turn_id in self.history(session_id))

    def history(self, session_id: str = "s") -> list[str]:
        return [turn.id for turn in self.call(GetHistory, "get_history", session_id=session_id).turns]

    def call(self, kind: type, name: str, **fields: Any) -> Any:
        client = self._other.create_client(kind, name)
        self.until(client.service_is_ready)
        future = client.call_async(kind.Request(**fields))
        self._executor.spin_until_future_complete(future, TIMEOUT_S)
        assert future.done(), f"{name} does not answer"
        return future.result()

    def health(self) -> DiagnosticStatus:
        """The next word of the node about its store."""
        self._health.clear()
        self.until(lambda: self._health)
        return self._health[0]

    def until(self, true: Callable[[], object]) -> None:
        end = time.monotonic() + TIMEOUT_S
        while not true():
            assert time.monotonic() < end, "it did not happen"
            self._executor.spin_once(0.05)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._health += [status for status in message.status if status.name == "memory: store"]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def _run_sql(path: Path, *statements: str) -> None:
    path.parent.mkdir(exist_ok=True)
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("PRAGMA user_version = 2", "has version 2 of the memory's layout, this program knows 1"),
        ("CREATE TABLE recipes (name)", "another program's database"),
    ],
)
def test_node_does_not_start_on_a_file_that_is_not_its_own(
    path: Path, capfd: pytest.CaptureFixture[str], statement: str, reason: str
) -> None:
    _run_sql(path, statement)
    assert run(MemoryNode) == 2
    message = capfd.readouterr().err
    assert message.startswith(f"cannot start: {path}")
    assert reason in message


def test_node_does_not_start_where_no_directory_can_be_made(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path.parent.write_text("a file in the directory's place")
    assert run(MemoryNode) == 2
    assert capfd.readouterr().err.startswith(f"cannot start: {path} cannot be the memory's file")


def test_turn_of_another_layout_is_left_out(bench: Bench, path: Path) -> None:
    for turn_id in ("a", "b", "c"):
        bench.tell(turn_id)
    _run_sql(path, "UPDATE turns SET document = '{}' WHERE id = 'b'", "UPDATE turns SET document = '7' WHERE id = 'c'")
    assert bench.history() == ["a"]
    assert list(bench.call(ListSessions, "list_sessions").turn_counts) == [3]


def test_health_tells_how_much_is_kept(bench: Bench, path: Path) -> None:
    bench.tell("a")
    bench.tell("b", "other")
    status = bench.health()
    assert (status.level, status.message) == (DiagnosticStatus.OK, "2 turns in 2 sessions")
    values = {value.key: value.value for value in status.values}
    assert values["file"] == str(path)
    assert (values["turns"], values["sessions"], values["waiting"], values["lost"]) == ("2", "2", "0", "0")
    assert int(values["file size in bytes"]) > 4096


def test_locked_file_is_told_and_passes(bench: Bench, path: Path) -> None:
    bench.tell("a")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    bench.tell("b")
    assert bench.history() == ["a", "b"]
    status = bench.health()
    assert status.level == DiagnosticStatus.ERROR
    assert status.message == f"cannot be written: {path}: database is locked; 1 turns wait"
    answer = bench.call(ClearSession, "clear_session", session_id="s")
    assert answer.success
    assert "database is locked" in answer.message
    assert bench.history() == []
    other.execute("ROLLBACK")
    bench.until(lambda: other.execute("SELECT COUNT(*) FROM turns").fetchone() == (0,))
    other.close()
    assert bench.health().level == DiagnosticStatus.OK


def test_store_that_cannot_be_read_is_told_with_the_reason(bench: Bench, path: Path) -> None:
    bench.tell("a")
    elsewhere = path.parent.rename(path.parent.with_name("unplugged"))
    path.parent.write_text("a file in the directory's place")
    requests = (GetHistory, "get_history"), (ClearSession, "clear_session"), (ListSessions, "list_sessions")
    for kind, name in requests:
        answer = bench.call(kind, name, **({} if kind is ListSessions else {"session_id": "s"}))
        assert not answer.success
        assert str(path) in answer.message
    status = bench.health()
    assert status.level == DiagnosticStatus.ERROR
    assert status.message.startswith(f"cannot be read: {path}")
    path.parent.unlink()
    elsewhere.rename(path.parent)
    assert bench.history() == ["a"]
    assert bench.health().level == DiagnosticStatus.OK


def test_damaged_file_is_told_until_the_node_ends(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("these are my notes\n" * 1000)
    bench = Bench()
    try:
        bench.tell("a")
        status = bench.health()
        assert status.level == DiagnosticStatus.WARN
        assert status.message.startswith(f"1 turns in 1 sessions; a damaged file is kept as {path}.damaged-")
    finally:
        bench.close()
