"""Turns that cannot be written: waiting, seen, forgotten and lost as they would be in the file."""

import logging
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from stored_turns import numbers, turn

from smolfusion_ros.errors import MemoryStoreError, SessionError
from smolfusion_ros.memory.backlog import CAPACITY, Backlog
from smolfusion_ros.memory.store import Bounds, ConversationStore, SessionSummary


class Disk:
    """The store's file as another process holds it: locked, it can be read but not written."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)

    def lock(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def unlock(self) -> None:
        self._connection.execute("ROLLBACK")

    def ids(self) -> list[str]:
        return [turn_id for (turn_id,) in self._connection.execute("SELECT id FROM turns ORDER BY number")]

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smolfusion_ros.memory.database._BUSY_S", 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory" / "memory.sqlite3"


@pytest.fixture
def backlog(path: Path) -> Iterator[Backlog]:
    backlog = Backlog(ConversationStore(path, Bounds(max_turns=5, max_tokens=100, max_sessions=3)), capacity=4)
    yield backlog
    backlog.close()


@pytest.fixture
def disk(backlog: Backlog, path: Path) -> Iterator[Disk]:
    disk = Disk(path)
    yield disk
    disk.close()


def messages(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def test_turn_is_in_the_file_at_once_while_that_can_be_written(backlog: Backlog, disk: Disk):
    backlog.add(turn(1))
    assert disk.ids() == ["s-1"]
    assert (backlog.waiting, backlog.trouble, backlog.lost) == (0, "", 0)


def test_turns_that_cannot_be_written_wait_and_are_written_in_order(backlog: Backlog, disk: Disk, path: Path):
    backlog.add(turn(1))
    disk.lock()
    for number in (3, 2):
        backlog.add(turn(number))
    assert (backlog.waiting, backlog.trouble) == (2, f"{path}: database is locked")
    assert disk.ids() == ["s-1"]
    assert numbers(backlog) == [1, 3, 2]
    backlog.retry()
    assert backlog.waiting == 2
    disk.unlock()
    backlog.retry()
    assert (backlog.waiting, backlog.trouble) == (0, "")
    assert disk.ids() == ["s-1", "s-3", "s-2"]
    assert backlog.history("s") == [turn(1), turn(3), turn(2)]


def test_the_next_turn_brings_those_before_it_along(backlog: Backlog, disk: Disk):
    disk.lock()
    backlog.add(turn(1))
    backlog.add(turn(2))
    disk.unlock()
    backlog.add(turn(3))
    assert disk.ids() == ["s-1", "s-2", "s-3"]


def test_trouble_is_told_once_when_it_begins_and_once_when_it_is_over(
    backlog: Backlog, disk: Disk, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    disk.lock()
    for number in range(3):
        backlog.add(turn(number))
        backlog.retry()
    [begun] = [record.getMessage() for record in caplog.records]
    assert "database is locked; 1 turns wait" in begun
    disk.unlock()
    backlog.retry()
    backlog.retry()
    [over] = [record.getMessage() for record in caplog.records][1:]
    assert over == "the memory is written again: 3 turns that waited are kept"
    disk.lock()
    backlog.add(turn(4))
    assert len(messages(caplog, logging.ERROR)) == 2
    disk.unlock()


def test_oldest_turn_is_lost_when_too_many_wait_and_that_is_told(
    backlog: Backlog, disk: Disk, caplog: pytest.LogCaptureFixture
):
    disk.lock()
    for number in range(7):
        backlog.add(turn(number))
    assert (backlog.waiting, backlog.lost) == (4, 3)
    assert numbers(backlog) == [3, 4, 5, 6]
    [_, lost] = messages(caplog, logging.ERROR)
    assert lost.startswith("4 turns wait already: turn s-0 is lost")
    disk.unlock()
    backlog.retry()
    assert disk.ids() == ["s-3", "s-4", "s-5", "s-6"]
    assert backlog.lost == 0
    assert messages(caplog, logging.WARNING) == [
        "the memory is written again: 4 turns that waited are kept, 3 are lost"
    ]


def test_as_many_turns_as_a_day_brings_may_wait(path: Path):
    backlog = Backlog(ConversationStore(path, Bounds(max_turns=1000, max_tokens=10**6)))
    disk = Disk(path)
    disk.lock()
    for number in range(CAPACITY):
        backlog.add(turn(number))
    assert (backlog.waiting, backlog.lost, CAPACITY) == (CAPACITY, 0, 256)
    disk.unlock()
    backlog.retry()
    assert numbers(backlog) == list(range(CAPACITY))
    disk.close()
    backlog.close()


def test_turn_that_comes_twice_waits_once(backlog: Backlog, disk: Disk):
    disk.lock()
    backlog.add(turn(1))
    backlog.add(turn(1))
    assert backlog.waiting == 1
    disk.unlock()


@pytest.mark.parametrize("cleared", [False, True])
def test_turn_that_was_kept_before_does_not_wait(backlog: Backlog, disk: Disk, cleared: bool):
    backlog.add(turn(1))
    if cleared:
        backlog.clear("s")
    disk.lock()
    backlog.add(turn(2, "other"))
    backlog.add(turn(1))
    assert backlog.waiting == 1
    assert [summary.session_id for summary in backlog.sessions()] == (["other"] if cleared else ["other", "s"])
    disk.unlock()


def test_waiting_turns_count_in_sessions(backlog: Backlog, disk: Disk):
    backlog.add(turn(1, "a"))
    backlog.add(turn(1, "b"))
    disk.lock()
    backlog.add(turn(2, "a"))
    backlog.add(turn(7, "c"))
    assert backlog.sessions() == [
        SessionSummary("c", 1, 1007),
        SessionSummary("a", 2, 1002),
        SessionSummary("b", 1, 1001),
    ]
    disk.unlock()


def test_limit_and_bounds_hold_with_what_waits(backlog: Backlog, disk: Disk):
    for number in range(4):
        backlog.add(turn(number))
    disk.lock()
    for number in range(4, 7):
        backlog.add(turn(number))
    assert numbers(backlog) == [2, 3, 4, 5, 6]
    assert numbers(backlog, limit=2) == [5, 6]
    backlog.add(turn(7, tokens=5000))
    assert numbers(backlog) == [7]
    disk.unlock()


def test_session_that_only_waits_can_be_cleared_and_does_not_return(backlog: Backlog, disk: Disk):
    disk.lock()
    backlog.add(turn(1))
    assert backlog.clear("s") is False
    for use in (backlog.history, backlog.clear):
        with pytest.raises(SessionError, match="unknown session 's'"):
            use("s")
    assert backlog.sessions() == []
    disk.unlock()
    backlog.retry()
    backlog.add(turn(1))  # as its publisher sends it again
    assert disk.ids() == []
    assert backlog.sessions() == []


def test_session_that_cannot_be_taken_out_of_the_file_is_forgotten_all_the_same(backlog: Backlog, disk: Disk):
    backlog.add(turn(1))
    backlog.add(turn(1, "other"))
    disk.lock()
    backlog.add(turn(2))
    assert backlog.clear("s") is False
    with pytest.raises(SessionError):
        backlog.history("s")
    backlog.add(turn(3))
    assert numbers(backlog) == [3]
    disk.unlock()
    backlog.retry()
    assert disk.ids() == ["other-1", "s-3"]
    assert backlog.clear("s") is True
    assert disk.ids() == ["other-1"]


def test_clearings_survive_when_the_turns_before_them_are_lost(backlog: Backlog, disk: Disk):
    backlog.add(turn(1))
    disk.lock()
    backlog.add(turn(2))
    backlog.clear("s")
    for number in range(5):
        backlog.add(turn(number, "chatty"))
    disk.unlock()
    backlog.retry()
    assert disk.ids() == [f"chatty-{number}" for number in range(1, 5)]


@pytest.mark.parametrize("seed", range(30))
def test_what_is_told_while_it_waits_is_what_the_file_holds_afterwards(tmp_path: Path, seed: int):
    chance = random.Random(seed)
    path = tmp_path / "memory.sqlite3"
    backlog = Backlog(ConversationStore(path, Bounds(max_turns=4, max_tokens=60, max_sessions=3)))
    disk = Disk(path)

    def live(steps: int) -> None:
        for _ in range(steps):
            session = chance.choice("abcde")
            if chance.random() < 0.2:
                if session in [summary.session_id for summary in backlog.sessions()]:
                    backlog.clear(session)
            else:
                backlog.add(turn(chance.randrange(1000), session, tokens=chance.choice((1, 10, 40, 100))))

    def told() -> dict[SessionSummary, list[int]]:
        return {summary: numbers(backlog, summary.session_id) for summary in backlog.sessions()}

    live(20)
    disk.lock()
    live(15)
    waiting = told()
    assert backlog.waiting > 0
    disk.unlock()
    backlog.retry()
    assert list(told().items()) == list(waiting.items())
    disk.close()
    backlog.close()


def test_store_that_cannot_be_read_is_an_error_and_its_turns_come_back(backlog: Backlog, path: Path):
    backlog.add(turn(1))
    elsewhere = path.parent.rename(path.parent.with_name("unplugged"))
    path.parent.write_text("a file in the directory's place")
    backlog.add(turn(2))
    backlog.add(turn(1))  # as its publisher sends it again
    assert backlog.waiting == 2
    for use in (lambda: backlog.history("s"), backlog.sessions, lambda: backlog.clear("s")):
        with pytest.raises(MemoryStoreError, match=str(path)):
            use()
    path.parent.unlink()
    elsewhere.rename(path.parent)
    assert numbers(backlog) == [1, 2]
    backlog.retry()
    assert numbers(backlog) == [1, 2]
    assert backlog.trouble == ""


def test_memory_that_is_locked_from_the_start_takes_turns(path: Path, caplog: pytest.LogCaptureFixture):
    ConversationStore(path).close()
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        backlog = Backlog(ConversationStore(path))
        backlog.add(turn(1))
        assert backlog.waiting == 1
        other.execute("ROLLBACK")
    other.close()
    backlog.retry()
    assert numbers(backlog) == [1]
    assert "database is locked" in messages(caplog, logging.ERROR)[0]
    backlog.close()


def test_turn_that_no_disk_can_store_does_not_hold_up_the_others(
    backlog: Backlog, disk: Disk, caplog: pytest.LogCaptureFixture
):
    disk.lock()
    backlog.add(turn(1))
    backlog.add(replace(turn(2), document={"heard": "\udc80"}))
    backlog.add(turn(3))
    disk.unlock()
    backlog.retry()
    assert disk.ids() == ["s-1", "s-3"]
    assert "turn s-2 cannot be stored and is lost" in caplog.text


def test_last_chance_is_taken_when_the_process_ends(path: Path, caplog: pytest.LogCaptureFixture):
    for freed in (True, False):
        backlog = Backlog(ConversationStore(path))
        disk = Disk(path)
        disk.lock()
        backlog.add(turn(int(freed)))
        if freed:
            disk.unlock()
        backlog.close()
        assert disk.ids() == ["s-1"]
        disk.close()
    last = messages(caplog, logging.ERROR)[-1]
    assert last.startswith("the process ends with 1 turns unwritten and 0 sessions not cleared: ")
