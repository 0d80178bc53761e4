"""The store's file: refused where a person must act, taken as it is otherwise, opened again when it is gone."""

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from stored_turns import assert_works_anew, fill, kept_aside, numbers, turn

from smolfusion_ros.errors import ConfigurationError, MemoryStoreError
from smolfusion_ros.memory.store import ConversationStore

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.sqlite3"


def test_empty_file_is_a_new_memory(path: Path):
    path.touch()
    store = ConversationStore(path)
    assert store.set_aside is None
    assert_works_anew(store)
    store.close()


def test_link_is_followed(path: Path, tmp_path: Path):
    target = tmp_path / "disk" / "robot.sqlite3"
    path.symlink_to(target)
    target.parent.mkdir()
    target.write_text("these are my notes")
    store = ConversationStore(path)
    assert_works_anew(store)
    store.close()
    assert path.is_symlink()
    assert [file.read_text() for file in kept_aside(target)] == ["these are my notes"]


def test_newer_version_is_refused_by_name_and_left_alone(path: Path):
    fill(path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError) as caught:
        ConversationStore(path)
    assert f"{path} has version 2" in str(caught.value)
    assert "move the file away" in str(caught.value)
    assert path.read_bytes() == before
    assert kept_aside(path) == []


def test_database_of_another_program_is_refused_and_left_alone(path: Path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE recipes (name)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"another program's database, with a table 'recipes'.*'database'"):
        ConversationStore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["file/memory.sqlite3", "file/deeper/memory.sqlite3", "folder", "pipe", "n" * 300])
def test_place_that_cannot_hold_a_database_is_a_matter_of_configuration(tmp_path: Path, name: str):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match=rf"{name} cannot be the memory's file.*set the parameter 'database'"):
        ConversationStore(tmp_path / name)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A directory of a user who may not write everywhere, who runs the test."""
    directory = Path(tempfile.mkdtemp())
    was_root = os.getuid() == 0
    if was_root:
        os.chown(directory, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, 0)
    yield directory
    if was_root:
        os.setresuid(0, 0, 0)
    directory.chmod(0o700)
    shutil.rmtree(directory)


@pytest.mark.parametrize("forbidden", ["directory", "parent", "file", "log"])
def test_file_that_may_not_be_written_is_a_matter_of_configuration(unprivileged: Path, forbidden: str):
    path = unprivileged / "memory.sqlite3"
    if forbidden == "directory":
        unprivileged.chmod(0o500)
    elif forbidden == "parent":
        path = unprivileged / "deeper" / "memory.sqlite3"
        unprivileged.chmod(0o500)
    elif forbidden == "file":
        fill(path)
        path.chmod(0o400)
    else:
        log = Path(f"{path}-wal")
        log.touch()
        log.chmod(0o400)
    with pytest.raises(ConfigurationError, match=r"memory\.sqlite3 cannot be the memory's file"):
        ConversationStore(path)


def test_full_disk_at_the_start_is_no_matter_of_configuration(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", full)
        store = ConversationStore(path)
        assert "No space left on device" in caplog.text
        with pytest.raises(MemoryStoreError, match="No space left on device"):
            store.add(turn(1))
    assert store.add(turn(1)) is True
    assert numbers(store) == [1]
    store.close()


@pytest.mark.parametrize("gone", ["database", "everything", "directory"])
def test_memory_goes_on_when_its_files_are_removed_under_it(path: Path, gone: str):
    store = ConversationStore(path)
    store.add(turn(1))
    if gone == "directory":
        shutil.rmtree(path.parent)
    for file in [path] if gone == "database" else list(path.parent.glob("*")):
        file.unlink()
    store.add(turn(2))
    assert numbers(store) == [2]
    store.close()
    assert path.exists()


def test_log_that_is_removed_under_it_loses_nothing(path: Path):
    store = ConversationStore(path)
    store.add(turn(1))
    Path(f"{path}-wal").unlink()
    store.add(turn(2))
    other = sqlite3.connect(path)  # what a start after a crash would find
    assert other.execute("SELECT id FROM turns ORDER BY number").fetchall() == [("s-1",), ("s-2",)]
    other.close()
    store.close()


def test_another_memory_put_in_its_place_is_taken(path: Path, tmp_path: Path):
    backup = tmp_path / "backup.sqlite3"
    fill(backup, 5)
    store = ConversationStore(path)
    store.add(turn(100))
    backup.rename(path)
    assert numbers(store) == [0, 1, 2, 3, 4]
    store.add(turn(5))
    assert numbers(store) == [0, 1, 2, 3, 4, 5]
    store.close()


def test_newer_version_put_in_its_place_is_an_error_of_each_use(path: Path, tmp_path: Path):
    newer = tmp_path / "newer.sqlite3"
    fill(newer, 5)
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    store = ConversationStore(path)
    newer.rename(path)
    for _ in range(2):
        with pytest.raises(MemoryStoreError, match="has version 2"):
            store.add(turn(1))
    store.close()
