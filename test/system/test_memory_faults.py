"""Memory on a bad disk: nothing that was said is lost, whatever happens to the file or to the process."""

import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from smolfusion_ros.msg import Turn
from smolfusion_ros.srv import ClearSession, GetHistory, ListSessions

from smolfusion_ros.nodes import _qos
from system.probe import Probe, stamp_ns, until
from system.stack import END_S, Stack, running

pytestmark = pytest.mark.system

# The dialogue waits this long for a session's history.
DIALOGUE_WAITS_S = 1.0


class Memory:
    """The memory process, its file, what it tells of its health, and a publisher in the dialogue's place."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.probe: Probe = stack.probe
        self.path = stack.workplace.directory / "data" / "smolfusion_ros" / "smolfusion.sqlite3"
        self._turns = self.probe.publisher(Turn, "turn", _qos.TURN)

    def tell(self, session_id: str, *numbers: int, at_s: int = 1_800_000_000) -> None:
        """Publish turns, as the dialogue does when its clock shows ``at_s``."""
        for number in numbers:
            turn = Turn(id=f"{session_id}-{number}", session_id=session_id, heard="hello " * 20, said="hello there")
            turn.header.stamp.sec = at_s
            self._turns.publish(turn)

    def told(self, session_id: str, count: int) -> list[int]:
        """Numbers of the turns that ``get_history`` tells, once they are so many."""
        return _numbers(turn.id for turn in self.probe.history(session_id, count, tries=10))

    def written(self, session_id: str) -> list[int]:
        """Numbers of the turns that are in the file."""
        database = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        query = "SELECT id FROM turns WHERE session_id = ? ORDER BY number"
        found = _numbers(turn_id for (turn_id,) in database.execute(query, (session_id,)))
        database.close()
        return found

    def health(self, level: bytes) -> str:
        """What the node says of its store, as soon as it is that well."""
        return self.probe.wait_for_status("memory: store", lambda status: status.level == level)[0].message

    def fill_disk(self) -> None:
        """The process may not make its files longer than the log is, but for half a page."""
        _, hard = self._limited().rlimit(psutil.RLIMIT_FSIZE)
        longest = max(Path(f"{self.path}{suffix}").stat().st_size for suffix in ("", "-wal"))
        self._limited().rlimit(psutil.RLIMIT_FSIZE, (longest + 2048, hard))

    def free_disk(self) -> None:
        _, hard = self._limited().rlimit(psutil.RLIMIT_FSIZE)
        self._limited().rlimit(psutil.RLIMIT_FSIZE, (hard, hard))

    def kill(self) -> None:
        """SIGKILL, as when the power goes."""
        self._process.kill()
        self._process.wait(END_S)

    def start(self) -> None:
        """A process as the one before; its services answer in a moment."""
        self._stack.processes["memory"] = self._stack.workplace.start("memory", self._process.args)

    def log(self) -> str:
        return self._stack.workplace.log("memory").read_text(encoding="utf-8")

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        return self._stack.processes["memory"]

    def _limited(self) -> psutil.Process:
        return psutil.Process(self._process.pid)


def _numbers(ids: Any) -> list[int]:
    return [int(turn_id.rpartition("-")[2]) for turn_id in ids]


@pytest.fixture(scope="module")
def memory(tmp_path_factory) -> Iterator[Memory]:
    with running(tmp_path_factory.mktemp("memory"), "memory") as started:
        yield Memory(started)


def test_full_disk_costs_no_turn(memory: Memory) -> None:
    memory.tell("full", 0, 1, 2)
    assert memory.told("full", 3) == [0, 1, 2]
    memory.fill_disk()
    memory.tell("full", 3, 4, 5, 6, 7)
    assert memory.told("full", 8) == list(range(8))
    trouble = memory.health(DiagnosticStatus.ERROR)
    print(trouble)
    assert trouble.startswith("cannot be written: ")
    assert "disk I/O error" in trouble or "disk is full" in trouble
    assert trouble.endswith("; 5 turns wait")
    assert memory.written("full") == [0, 1, 2]
    time.sleep(1.1)  # for another try
    assert memory.written("full") == [0, 1, 2]
    memory.free_disk()
    freed = time.monotonic()
    until(lambda: memory.written("full") == list(range(8)), "all turns in the file", 3.0)
    print(f"written {time.monotonic() - freed:.2f} s after there was room again")
    assert memory.health(DiagnosticStatus.OK) == "8 turns in 1 sessions"
    assert memory.log().count("cannot be written") == 1
    assert memory.log().count("the memory is written again: 5 turns that waited are kept") == 1
    memory.kill()
    memory.start()
    assert memory.told("full", 8) == list(range(8))


def test_what_waited_when_the_process_died_is_sent_again(memory: Memory) -> None:
    memory.tell("kept", 0, 1, 2)
    assert memory.told("kept", 3) == [0, 1, 2]
    memory.fill_disk()
    memory.tell("waiting", *range(_qos.TURN.depth))
    assert memory.told("waiting", _qos.TURN.depth) == list(range(_qos.TURN.depth))
    assert memory.written("waiting") == []
    memory.kill()
    memory.start()
    assert memory.told("waiting", _qos.TURN.depth) == list(range(_qos.TURN.depth))
    assert memory.written("waiting") == list(range(_qos.TURN.depth))
    assert memory.told("kept", 3) == [0, 1, 2]


def test_locked_file_delays_no_answer_and_costs_no_turn(memory: Memory) -> None:
    memory.tell("locked", 0)
    assert memory.told("locked", 1) == [0]
    other = sqlite3.connect(memory.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    memory.tell("locked", 1, 2)
    assert memory.told("locked", 3) == [0, 1, 2]
    slowest_s = 0.0
    for _ in range(20):
        begun = time.monotonic()
        assert memory.probe.call(GetHistory, "get_history", session_id="locked").success
        slowest_s = max(slowest_s, time.monotonic() - begun)
        time.sleep(0.07)
    print(f"slowest answer while the file is locked: {slowest_s * 1000:.0f} ms")
    assert slowest_s < DIALOGUE_WAITS_S / 2
    assert memory.written("locked") == [0]
    other.execute("ROLLBACK")
    other.close()
    until(lambda: memory.written("locked") == [0, 1, 2], "all turns in the file", 3.0)


def test_session_is_forgotten_while_the_disk_is_full(memory: Memory) -> None:
    memory.tell("forget", 0)
    assert memory.told("forget", 1) == [0]
    memory.fill_disk()
    memory.tell("forget", 1)
    assert memory.told("forget", 2) == [0, 1]
    answer = memory.probe.call(ClearSession, "clear_session", session_id="forget")
    print(answer.message)
    assert answer.success
    assert "as soon as it can be" in answer.message
    assert not memory.probe.call(GetHistory, "get_history", session_id="forget").success
    memory.free_disk()
    until(lambda: memory.written("forget") == [], "nothing of the session in the file", 3.0)
    assert not memory.probe.call(GetHistory, "get_history", session_id="forget").success


def test_disk_that_is_away_is_an_error_with_its_reason_and_passes(memory: Memory) -> None:
    memory.tell("away", 0)
    assert memory.told("away", 1) == [0]
    directory = memory.path.parent
    elsewhere = directory.rename(directory.with_name("unplugged"))
    directory.write_text("a file in the directory's place")
    memory.tell("away", 1)
    answer = memory.probe.call(GetHistory, "get_history", session_id="away")
    print(answer.message)
    assert not answer.success
    assert str(memory.path) in answer.message
    assert memory.health(DiagnosticStatus.ERROR).startswith("cannot be read: ")
    directory.unlink()
    elsewhere.rename(directory)
    assert memory.told("away", 2) == [0, 1]
    until(lambda: memory.written("away") == [0, 1], "all turns in the file", 3.0)


def test_clock_that_jumps_changes_no_order(memory: Memory) -> None:
    for number, at_s in enumerate((2_000_000_000, 12, 1_800_000_000, 1_700_000_000)):
        memory.tell("clock", number, at_s=at_s)
    assert memory.told("clock", 4) == [0, 1, 2, 3]
    sessions = memory.probe.call(ListSessions, "list_sessions")
    assert sessions.session_ids[0] == "clock"
    assert stamp_ns(sessions.last_used[0]) == 1_700_000_000 * 10**9


def test_damaged_file_is_kept_and_the_newest_turns_are_sent_again(memory: Memory) -> None:
    newest = list(range(_qos.TURN.depth))
    memory.tell("damaged", *newest)
    assert memory.told("damaged", len(newest)) == newest
    memory.kill()
    damaged = b"these are my notes\n" * 10_000
    memory.path.write_bytes(damaged)
    Path(f"{memory.path}-wal").unlink()  # it might hold the whole database
    memory.start()
    assert memory.told("damaged", len(newest)) == newest
    [aside] = (file for file in memory.path.parent.glob("*.damaged-*") if not file.name.endswith(("-wal", "-shm")))
    assert aside.read_bytes() == damaged
    assert f"{memory.path} is damaged: file is not a database; it is kept as {aside}" in memory.log()
    assert memory.health(DiagnosticStatus.WARN).endswith(str(aside))
