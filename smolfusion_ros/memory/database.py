"""The store's SQLite file: opened and checked; a damaged one is set aside, never deleted, and a new one begun.

A robot must start, and a conversation can go on without its past; what is left of that past is an engineer's to look at
(``sqlite3 FILE .recover``). Write-ahead logging with ``synchronous=FULL``: what was committed survives the death of the
process and of the power (https://sqlite.org/pragma.html#pragma_synchronous), for one fsync per turn.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from smolfusion_ros.errors import ConfigurationError, MemoryStoreError

_log = logging.getLogger(__name__)

VERSION = 1
SCHEMA = f"""
BEGIN;
CREATE TABLE IF NOT EXISTS turns (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL,
    stamp_ns INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS seen (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE
) STRICT;
CREATE INDEX IF NOT EXISTS turns_by_session ON turns (session_id, number);
PRAGMA user_version = {VERSION};
COMMIT;
"""
_TABLES = {"turns", "seen"}
# SQLite finds the companions by the name of the database: what stays behind would be taken for the new one's.
COMPANIONS = ("-wal", "-shm", "-journal")
# Another process's transaction is waited for this long; after that it is the caller who tries again.
_BUSY_S = 0.2
# Of a file system: these may pass, the others are for a person to mend.
_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EINTR, errno.EAGAIN, errno.EMFILE, errno.ENFILE}

Identities = tuple[tuple[int, int] | None, tuple[int, int] | None]


class DamagedError(MemoryStoreError):
    """The file was no database, or one that contradicted itself; ``aside``: where it is now."""

    def __init__(self, message: str, aside: Path) -> None:
        super().__init__(message)
        self.aside = aside


def open_database(path: Path) -> tuple[sqlite3.Connection, Path | None]:
    """A connection to the store's file, and where a damaged one was put, if there was one.

    Args:
        path: absolute, without links; its directory is made.

    Raises:
        ConfigurationError: a person must act: the place cannot hold a database, or it holds another program's or a
            newer version's.
        MemoryStoreError: it may pass: the file is locked, the disk is full or fails.
    """
    _check_place(path)
    try:
        return _opened(path), None
    except DamagedError as error:
        _log.error("%s, and the memory begins anew", error)
        return _opened(path), error.aside


def set_aside(path: Path, suffixes: Sequence[str] = ("", *COMPANIONS), now: datetime | None = None) -> Path:
    """Rename a database, its companions, or both to ``<name>.damaged-<UTC time>``, over nothing; the new path.

    Raises:
        MemoryStoreError: they cannot be renamed.
    """
    stem = path.with_name(f"{path.name}.damaged-{now or datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}")
    aside, number = stem, 1
    # The clock of a robot may stand or jump back.
    while any(os.path.lexists(f"{aside}{suffix}") for suffix in ("", *COMPANIONS)):
        number += 1
        aside = stem.with_name(f"{stem.name}-{number}")
    for suffix in suffixes:
        try:
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise MemoryStoreError(f"{path}{suffix} has to be set aside and cannot be renamed: {error}") from error
    return aside


def identities(path: Path) -> Identities:
    """Device and inode of a database and of its log; None where there is no file."""
    return _identity(path), _identity(Path(f"{path}-wal"))


def file_bytes(path: Path) -> int:
    """A database on the disk, its companions included."""
    return sum(_size(Path(f"{path}{suffix}")) for suffix in ("", *COMPANIONS))


def means_damage(error: BaseException) -> bool:
    """SQLITE_CORRUPT and SQLITE_NOTADB; Python 3.10 tells them by the class alone, the others have their own."""
    return type(error) is sqlite3.DatabaseError


def _check_place(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise _misplaced(path, f"{path.parent} may not be written by this user, or is mounted read-only")
        if path.exists() and not path.is_file():
            raise _misplaced(path, "it is no regular file")
        for file in (path, *(Path(f"{path}{suffix}") for suffix in COMPANIONS)):
            # Left by a start as another user, as a rule.
            if file.exists() and not os.access(file, os.R_OK | os.W_OK):
                raise _misplaced(path, f"{file} may not be read and written by this user (change its owner)")
    except OSError as error:
        if error.errno in _PASSING:
            raise MemoryStoreError(f"{path}: {error}") from error
        raise _misplaced(path, str(error)) from error


def _misplaced(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be the memory's file: {reason}; set the parameter 'database' to a file that can be written"
    )


def _opened(path: Path) -> sqlite3.Connection:
    try:
        if _size(path) == 0 and _size(Path(f"{path}-wal")) > 0:
            raise _damaged(path, "it is gone or empty, and its log is not")  # SQLite would delete that
        database = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        try:
            _prepare(path, database)
        except BaseException as error:
            try:
                # Before it is closed: SQLite would write the log into a file that is in its place, and delete the log.
                if means_damage(error):
                    raise _damaged(path, error) from error
                raise
            finally:
                database.close()
    except (sqlite3.Error, OSError) as error:
        raise MemoryStoreError(f"{path}: {error}") from error
    return database


def _damaged(path: Path, reason: object) -> DamagedError:
    aside = set_aside(path)
    return DamagedError(f"{path} is damaged: {reason}; it is kept as {aside}", aside)


def _prepare(path: Path, database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in (0, VERSION):
        raise ConfigurationError(
            f"{path} has version {version} of the memory's layout, this program knows {VERSION}: install the version of"
            " smolfusion_ros that wrote it, or move the file away, or set the parameter 'database' to another"
        )
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    foreign = sorted(name for name in tables - _TABLES if not name.startswith("sqlite_"))
    if foreign:
        raise _misplaced(path, f"it is another program's database, with a table {foreign[0]!r}")
    (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok" or (version == VERSION and tables < _TABLES):
        raise sqlite3.DatabaseError("a table is missing" if found == "ok" else " ".join(found.split()))
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    if version == 0:
        database.executescript(SCHEMA)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
