"""Conversations in SQLite: bounds, order, duplicates, and what is left after a crash or on a full disk."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from stored_turns import numbers, turn

from smolfusion_ros.errors import ConfigurationError, MemoryStoreError, SessionError
from smolfusion_ros.memory.store import Bounds, ConversationStore, StoredTurn, StoreSize

SOURCE = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "memory.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[ConversationStore]:
    store = ConversationStore(path, Bounds(max_turns=5, max_tokens=100, max_sessions=3))
    yield store
    store.close()


def test_turns_come_back_as_they_were_oldest_first(store: ConversationStore):
    given = [turn(number) for number in range(3)]
    assert [store.add(one) for one in given] == [True] * 3
    assert store.history("s") == given


@pytest.mark.parametrize(("limit", "expected"), [(0, [0, 1, 2, 3]), (1, [3]), (2, [2, 3]), (9, [0, 1, 2, 3])])
def test_limit_gives_the_newest_still_oldest_first(store: ConversationStore, limit: int, expected: list[int]):
    for number in range(4):
        store.add(turn(number))
    assert numbers(store, limit=limit) == expected


def test_order_is_that_of_adding_whatever_the_stamps_say(store: ConversationStore):
    for number in (5, 1, 3):
        store.add(turn(number))
    assert numbers(store) == [5, 1, 3]


def test_turn_that_comes_twice_is_kept_once_and_first(store: ConversationStore):
    store.add(turn(1))
    store.add(turn(2))
    again = StoredTurn("s-1", "elsewhere", 9, 9, {"heard": "changed"})
    assert store.add(again) is False
    assert store.history("s") == [turn(1), turn(2)]
    assert [summary.session_id for summary in store.sessions()] == ["s"]


def test_oldest_turns_go_when_there_are_too_many(store: ConversationStore):
    for number in range(12):
        store.add(turn(number))
    assert numbers(store) == [7, 8, 9, 10, 11]


def test_oldest_turns_go_when_their_tokens_are_too_many(store: ConversationStore):
    for number, tokens in enumerate((40, 30, 30, 30)):
        store.add(turn(number, tokens=tokens))
    assert numbers(store) == [1, 2, 3]


def test_newest_turn_stays_even_if_it_alone_is_too_long(store: ConversationStore):
    store.add(turn(1))
    store.add(turn(2, tokens=5000))
    assert numbers(store) == [2]
    store.add(turn(3))
    assert numbers(store) == [3]


def test_bounds_of_one_session_leave_the_others_alone(store: ConversationStore):
    store.add(turn(0, "quiet"))
    for number in range(12):
        store.add(turn(number, "busy"))
    assert numbers(store, "quiet") == [0]


def test_least_recently_used_session_goes_as_a_whole(store: ConversationStore):
    for session in ("a", "b", "c"):
        store.add(turn(1, session))
    store.add(turn(2, "a"))
    store.add(turn(1, "d"))
    assert [summary.session_id for summary in store.sessions()] == ["d", "a", "c"]
    with pytest.raises(SessionError):
        store.history("b")


def test_sessions_are_told_with_their_size_and_last_use(store: ConversationStore):
    assert store.sessions() == []
    store.add(turn(1, "거실"))
    store.add(turn(2, "거실"))
    (summary,) = store.sessions()
    assert (summary.session_id, summary.turns, summary.last_used_ns) == ("거실", 2, 1002)


def test_last_use_is_told_by_the_turn_that_came_last_whatever_the_clock_was_before(store: ConversationStore):
    in_2038, at_boot, set_right = 2_145_916_800 * 10**9, 12 * 10**9, 1_800_000_000 * 10**9
    for number, stamp_ns in enumerate((in_2038, at_boot, set_right)):
        store.add(replace(turn(number), stamp_ns=stamp_ns))
        assert store.sessions()[0].last_used_ns == stamp_ns
    store.add(replace(turn(1, "older clock, newer turn"), stamp_ns=at_boot))
    assert [summary.session_id for summary in store.sessions()] == ["older clock, newer turn", "s"]
    assert [stored.stamp_ns for stored in store.history("s")] == [in_2038, at_boot, set_right]


def test_size_follows_every_change(store: ConversationStore, path: Path):
    assert store.size() == StoreSize(0, 0, store.size().file_bytes)
    store.add(turn(1))
    store.add(turn(1, "other"))
    assert (store.size().turns, store.size().sessions) == (2, 2)
    store.clear("other")
    assert (store.size().turns, store.size().sessions) == (1, 1)
    files = path.parent.glob(f"{path.name}*")
    assert store.size().file_bytes == sum(file.stat().st_size for file in files) > 4096
    with sqlite3.connect(path) as other:
        other.execute("DELETE FROM turns")
    other.close()
    assert store.size().turns == 0


def test_turns_are_not_counted_again_while_nothing_changes(path: Path):
    store = ConversationStore(path, Bounds(max_turns=10**6, max_tokens=10**9))
    for number in range(3):
        store.add(turn(number))
    statements: list[str] = []
    store._database.set_trace_callback(statements.append)
    for _ in range(5):
        assert store.size().turns == 3
    assert len([each for each in statements if "COUNT" in each]) == 1
    store.close()


def test_cleared_session_is_gone_and_may_begin_again(store: ConversationStore):
    store.add(turn(1))
    store.add(turn(1, "other"))
    store.clear("s")
    with pytest.raises(SessionError, match="unknown session 's'"):
        store.history("s")
    assert numbers(store, "other") == [1]
    assert store.add(turn(2)) is True


def test_turn_that_was_cleared_does_not_return_when_it_is_sent_again(store: ConversationStore, path: Path):
    store.add(turn(1))
    store.clear("s")
    assert store.add(turn(1)) is False
    store.close()
    again = ConversationStore(path)
    assert again.add(turn(1)) is False
    with pytest.raises(SessionError):
        again.history("s")
    again.close()


def test_turn_is_known_also_after_it_was_cleared(store: ConversationStore):
    store.add(turn(1))
    store.clear("s")
    assert store.knows("s-1")
    assert not store.knows("s-2")


def test_turn_that_aged_out_does_not_return_as_the_newest(path: Path):
    store = ConversationStore(path, Bounds(max_turns=2))
    for number in (1, 2, 3):
        store.add(turn(number))
    assert store.add(turn(1)) is False
    assert numbers(store) == [2, 3]
    store.close()


@pytest.mark.parametrize("session", ["", "never", "s' OR '1'='1", "S"])
def test_unknown_session_can_be_neither_read_nor_cleared(store: ConversationStore, session: str):
    store.add(turn(1))
    with pytest.raises(SessionError):
        store.history(session)
    with pytest.raises(SessionError):
        store.clear(session)
    assert numbers(store) == [1]


def test_everything_is_there_after_reopening(store: ConversationStore, path: Path):
    for number in range(3):
        store.add(turn(number))
    store.close()
    reopened = ConversationStore(path)
    assert reopened.history("s") == [turn(number) for number in range(3)]
    assert reopened.add(turn(1)) is False
    reopened.close()


def test_tighter_bounds_hold_from_the_next_turn_on(store: ConversationStore, path: Path):
    for number in range(5):
        store.add(turn(number))
    store.close()
    tighter = ConversationStore(path, Bounds(max_turns=2))
    tighter.add(turn(5))
    assert numbers(tighter) == [4, 5]
    tighter.close()


def test_memory_alone_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    fleeting = ConversationStore(":memory:")
    fleeting.add(turn(1))
    assert numbers(fleeting) == [1]
    fleeting.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bound", ["max_turns", "max_tokens", "max_sessions"])
def test_bound_below_one_is_refused(bound: str):
    with pytest.raises(ConfigurationError, match=f"{bound} is 0, must be at least 1"):
        Bounds(**{bound: 0})


WRITER = """
import sys
from smolfusion_ros.memory.store import Bounds, ConversationStore, StoredTurn
store = ConversationStore(sys.argv[1], Bounds(max_turns=10**6, max_tokens=10**9))
for number in range(10**6):
    store.add(StoredTurn(f"s-{number}", "s", number, 1, {"heard": "x" * 200}))
    print(number, flush=True)
"""


def test_every_acknowledged_turn_survives_the_death_of_the_writer(path: Path):
    for enough in (1, 60):
        path = path.with_name(f"memory-{enough}.sqlite3")
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=SOURCE
        )
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(enough)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().splitlines()]
        assert writer.wait(10) == -signal.SIGKILL
        survivor = ConversationStore(path)
        found = numbers(survivor)
        assert found[: len(acknowledged)] == acknowledged
        assert len(found) <= len(acknowledged) + 1
        assert survivor.add(turn(10**7)) is True
        survivor.close()


FULL_DISK = """
import resource, signal, sys
from smolfusion_ros.errors import MemoryStoreError
from smolfusion_ros.memory.store import ConversationStore, StoredTurn
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = ConversationStore(sys.argv[1])
add = lambda number: store.add(StoredTurn(f"s-{number}", "s", number, 1, {"heard": "x" * int(sys.argv[2])}))
add(1)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
for number in (2, 3):
    try:
        add(number)
    except MemoryStoreError as error:
        print(str(error).partition(": ")[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
print(add(4), [turn.id for turn in store.history("s")])
"""


# A turn that does not fit into SQLite's cache is written before the commit.
@pytest.mark.parametrize("length", [20_000, 9_000_000])
def test_full_disk_is_an_error_that_passes_when_there_is_room_again(path: Path, length: int):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(length)],
        capture_output=True,
        text=True,
        cwd=SOURCE,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["disk I/O error", "disk I/O error", "True ['s-1', 's-4']"]


def test_database_that_another_process_locks_is_an_error_and_free_again_later(store: ConversationStore, path: Path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(MemoryStoreError, match="locked"):
        store.add(turn(1))
    other.execute("ROLLBACK")
    other.close()
    assert store.add(turn(1)) is True


def test_closed_store_is_an_error(store: ConversationStore):
    store.close()
    for use in (lambda: store.add(turn(1)), lambda: store.history("s"), store.sessions, lambda: store.clear("s")):
        with pytest.raises(MemoryStoreError):
            use()


@pytest.mark.parametrize(
    "document", [b'{"heard": "he', b"", b'{"heard": "\xff\xfe"}'], ids=["cut", "empty", "no UTF-8"]
)
def test_turn_that_is_damaged_in_a_whole_file_is_left_out(
    store: ConversationStore, path: Path, caplog: pytest.LogCaptureFixture, document: bytes
):
    for number in range(3):
        store.add(turn(number))
    with sqlite3.connect(path) as other:
        other.execute("UPDATE turns SET document = CAST(? AS TEXT) WHERE id = 's-1'", (document,))
    other.close()
    assert numbers(store) == [0, 2]
    assert "turn s-1 is damaged in the file" in caplog.text


def test_turn_that_no_disk_can_store_is_refused_and_leaves_nothing(store: ConversationStore):
    for impossible in (
        replace(turn(1), document={"heard": object()}),
        replace(turn(1), document={"heard": "\udc80"}),
        replace(turn(1), stamp_ns=2**63),
    ):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            store.add(impossible)
    assert store.sessions() == []
    assert store.add(turn(1)) is True
