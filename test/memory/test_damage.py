"""A damaged file: kept under another name, with its log, and the memory begins anew."""

import logging
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from stored_turns import MANY, assert_works_anew, fill, kept_aside, numbers, turn

from smolfusion_ros.errors import MemoryStoreError
from smolfusion_ros.memory.backlog import Backlog
from smolfusion_ros.memory.database import set_aside
from smolfusion_ros.memory.store import Bounds, ConversationStore, StoredTurn

SOURCE = Path(__file__).parents[2]
# More than SQLite's page cache of 2 MB, so that what is asked for is read from the disk.
LONG = {"heard": "x" * 10_000}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.sqlite3"


def overwrite(path: Path, start: int, length: int, seed: int = 1) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(random.Random(seed).randbytes(length))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("these are my notes\n" * 300),
    "noise": lambda path: overwrite(path, 0, path.stat().st_size),
    "first page": lambda path: overwrite(path, 0, 4096),
    "first page after its mark": lambda path: overwrite(path, 100, 3996),
    "last page": lambda path: overwrite(path, path.stat().st_size - 4096, 4096),
    "all but the first page": lambda path: overwrite(path, 4096, path.stat().st_size - 4096),
    "half gone": lambda path: os.truncate(path, path.stat().st_size // 2),
    "all but 100 bytes gone": lambda path: os.truncate(path, 100),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_file_is_kept_under_another_name_and_the_memory_begins_anew(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
):
    fill(path)
    DAMAGE[damage](path)
    damaged = path.read_bytes()
    store = ConversationStore(path)
    [aside] = kept_aside(path)
    assert store.set_aside == aside
    assert aside.read_bytes() == damaged
    [message] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert str(path) in message
    assert str(aside) in message
    assert_works_anew(store)
    store.close()
    reopened = ConversationStore(path)
    assert reopened.set_aside is None
    assert numbers(reopened) == [1000]
    reopened.close()


def test_index_that_contradicts_its_table_is_damage(path: Path):
    fill(path)
    database = sqlite3.connect(path)
    database.execute("PRAGMA writable_schema = ON")
    database.execute("UPDATE sqlite_master SET sql = replace(sql, 'number)', 'number) WHERE number > 7')")
    database.execute("UPDATE sqlite_master SET sql = replace(sql, ' WHERE number > 7', '') WHERE type = 'table'")
    database.commit()
    database.close()
    database = sqlite3.connect(path)
    database.execute("DELETE FROM turns WHERE number = 5")
    database.commit()
    database.execute("PRAGMA writable_schema = ON")
    database.execute("UPDATE sqlite_master SET sql = replace(sql, ' WHERE number > 7', '')")
    database.commit()
    database.close()
    store = ConversationStore(path)
    assert store.set_aside is not None
    assert_works_anew(store)
    store.close()


@pytest.mark.parametrize("seed", range(40))
def test_whatever_a_disk_does_to_a_page_the_memory_goes_on(path: Path, seed: int):
    content = bytearray(fill(path))
    chance = random.Random(seed)
    # The header's version numbers are for a person to judge, and tested apart.
    start = chance.randrange(100, len(content))
    length = chance.choice((1, 16, 512, 4096))
    content[start : start + length] = chance.randbytes(length)
    if seed % 4 == 0:
        del content[chance.randrange(100, len(content)) :]
    path.write_bytes(content)
    backlog = Backlog(ConversationStore(path, MANY))
    for number in range(3):
        backlog.add(turn(number, "new"))
    assert numbers(backlog, "new") == [0, 1, 2]
    assert backlog.trouble == ""
    for summary in backlog.sessions():
        backlog.history(summary.session_id)
    backlog.close()


LEAVER = """
import os, sys
from smolfusion_ros.memory.store import ConversationStore, StoredTurn
for numbers in (range(5), range(5, 10)):
    store = ConversationStore(sys.argv[1])
    for number in numbers:
        store.add(StoredTurn(f"s-{number}", "s", number, 1, {"heard": "x"}))
    if number < 9:
        store.close()
os._exit(0)
"""


@pytest.fixture
def left(path: Path) -> Path:
    """A store whose process died: its newest turns are in the write-ahead log."""
    subprocess.run([sys.executable, "-c", LEAVER, str(path)], cwd=SOURCE, check=True)
    assert Path(f"{path}-wal").stat().st_size > 0
    return path


def test_log_moves_along_with_a_damaged_file_and_is_not_replayed_into_the_new_one(left: Path):
    database, log = left.read_bytes(), Path(f"{left}-wal").read_bytes()
    left.write_text("these are my notes")
    store = ConversationStore(left)
    assert store.set_aside is not None
    assert Path(f"{store.set_aside}-wal").read_bytes() == log
    assert_works_anew(store)
    store.close()
    # The name fits, so that SQLite finds the log beside a file that an engineer has mended.
    store.set_aside.write_bytes(database)
    mended = ConversationStore(store.set_aside)
    assert numbers(mended) == list(range(10))
    mended.close()


@pytest.mark.parametrize("how", ["removed", "emptied"])
def test_log_that_lost_its_database_is_kept(left: Path, how: str):
    log = Path(f"{left}-wal").read_bytes()
    if how == "removed":
        left.unlink()
    else:
        os.truncate(left, 0)
    store = ConversationStore(left)
    assert Path(f"{store.set_aside}-wal").read_bytes() == log
    assert_works_anew(store)
    store.close()


def test_what_was_set_aside_is_never_written_over(path: Path):
    now = datetime(1970, 1, 1, 0, 0, 9, tzinfo=timezone.utc)  # where a clock without a battery begins
    for number in range(3):
        path.write_text(f"damage {number}")
        set_aside(path, now=now)
    Path(f"{path}-wal").write_text("a log alone")
    set_aside(path, now=now)
    assert Path(f"{path}.damaged-19700101T000009Z-4-wal").read_text() == "a log alone"
    path.write_text("damage 4")
    assert set_aside(path, now=now).name == "memory.sqlite3.damaged-19700101T000009Z-5"
    assert [file.read_text() for file in kept_aside(path)] == ["damage 0", "damage 1", "damage 2", "damage 4"]


def test_damage_found_in_writing_does_not_cost_the_turn(path: Path):
    fill(path, 1)
    with sqlite3.connect(path) as database:
        # Every turn is added with a look at the whole index of sessions, which does not fit into SQLite's cache.
        database.execute(
            "WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 2000)"
            " INSERT INTO turns (id, session_id, stamp_ns, tokens, document)"
            " SELECT 'old-' || n, printf('%02000d', n), n, 1, '{}' FROM many"
        )
    database.close()
    backlog = Backlog(ConversationStore(path, Bounds(max_sessions=10**6)))
    overwrite(path, 4096, path.stat().st_size - 4096)
    backlog.add(turn(1000))
    assert (backlog.waiting, backlog.trouble) == (1, f"{path}: database disk image is malformed")
    backlog.retry()
    assert numbers(backlog) == [1000]
    assert (backlog.waiting, backlog.trouble, len(kept_aside(path))) == (0, "", 1)
    backlog.close()


def test_damage_that_is_read_while_it_runs_is_an_error_once(path: Path):
    store = ConversationStore(path, MANY)
    for number in range(500):
        store.add(StoredTurn(f"s-{number}", "s", number, 1, LONG))
    store.close()
    store = ConversationStore(path, MANY)
    overwrite(path, 4096, path.stat().st_size - 4096)
    with pytest.raises(MemoryStoreError, match=str(path)):
        store.history("s")
    assert_works_anew(store)
    assert store.set_aside == kept_aside(path)[0]
    store.close()
