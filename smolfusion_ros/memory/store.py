"""Conversations in SQLite: bounded per session and in number, surviving a crash.

Turns are ordered as they arrived. Their stamps are a robot's clock, which may be years off until it is set, and name
turns only.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolfusion_ros.errors import ConfigurationError, MemoryStoreError, SessionError
from smolfusion_ros.memory.database import (
    COMPANIONS,
    SCHEMA,
    Identities,
    file_bytes,
    identities,
    means_damage,
    open_database,
    set_aside,
)

_log = logging.getLogger(__name__)

# Ids that are remembered so that a turn which was cleared or has aged out does not return when it is sent again.
_SEEN = 1000


@dataclass(frozen=True)
class Bounds:
    """How much is kept: turns and prompt tokens per session, and sessions; the oldest go first."""

    max_turns: int = 20
    max_tokens: int = 2048
    max_sessions: int = 100

    def __post_init__(self) -> None:
        for name in ("max_turns", "max_tokens", "max_sessions"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}, must be at least 1")


@dataclass(frozen=True)
class StoredTurn:
    """One exchange; ``document`` holds whatever the caller wants back, as JSON. ``tokens``: its share of a prompt."""

    id: str
    session_id: str
    stamp_ns: int
    tokens: int
    document: Mapping[str, Any]


@dataclass(frozen=True)
class SessionSummary:
    """One session of ``ConversationStore.sessions``; ``last_used_ns``: the stamp of the turn that arrived last."""

    session_id: str
    turns: int
    last_used_ns: int


@dataclass(frozen=True)
class StoreSize:
    """How much is kept: turns, sessions, and bytes on the disk."""

    turns: int
    sessions: int
    file_bytes: int


class ConversationStore:
    """The store; used by one thread.

    A file that is removed, replaced, or damaged meanwhile is opened again with the next use.

    Args:
        path: database file, its directory is made; ``:memory:`` keeps nothing.

    Attributes:
        set_aside: where the newest damaged file was put, None if there was none.

    Raises:
        ConfigurationError: on construction, when a person must act before the file can be used (``open_database``).
        MemoryStoreError: from every method, when the database cannot be read or written now; a construction that
            fails so is made up for by the next use.
    """

    def __init__(self, path: Path | str, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.set_aside: Path | None = None
        self.path = None if str(path) == ":memory:" else Path(os.path.realpath(path))
        self._database: sqlite3.Connection | None = None
        self._files: Identities = (None, None)
        self._counted: tuple[tuple[int, int], tuple[int, int]] | None = None
        self._closed = False
        try:
            self._open()
        except MemoryStoreError as error:
            _log.error("%s; the memory begins without its file, and tries again", error)

    def close(self) -> None:
        self._closed = True
        self._disconnect()

    def add(self, turn: StoredTurn) -> bool:
        """Keep a turn and drop what passes the bounds, in one transaction; False if it was kept before.

        Raises:
            TypeError, ValueError, OverflowError: the turn itself cannot be stored, on no disk.
        """
        document = json.dumps(turn.document, ensure_ascii=False)
        with self._transaction() as database:
            if database.execute("INSERT OR IGNORE INTO seen (id) VALUES (?)", (turn.id,)).rowcount == 0:
                return False
            database.execute("DELETE FROM seen WHERE number <= (SELECT MAX(number) FROM seen) - ?", (_SEEN,))
            database.execute(
                "INSERT OR IGNORE INTO turns (id, session_id, stamp_ns, tokens, document) VALUES (?, ?, ?, ?, ?)",
                (turn.id, turn.session_id, turn.stamp_ns, turn.tokens, document),
            )
            self._drop_old_turns(database, turn.session_id)
            self._drop_old_sessions(database)
        return True

    def knows(self, turn_id: str) -> bool:
        """Whether a turn has been kept, even if it is gone by now."""
        with self._reading() as database:
            return database.execute("SELECT 1 FROM seen WHERE id = ?", (turn_id,)).fetchone() is not None

    def history(self, session_id: str, limit: int = 0) -> list[StoredTurn]:
        """The newest ``limit`` turns (0: all), oldest first. A turn whose document is damaged is left out.

        Raises:
            SessionError: there is no such session.
        """
        with self._reading() as database:
            # As bytes: text that is no UTF-8 would be an error of the whole query.
            rows = database.execute(
                "SELECT id, session_id, stamp_ns, tokens, CAST(document AS BLOB) FROM turns WHERE session_id = ?"
                " ORDER BY number DESC LIMIT ?",
                (session_id, limit or -1),
            ).fetchall()
        if not rows:
            raise SessionError(f"unknown session {session_id!r}")
        return [turn for turn in (_turn(*row) for row in reversed(rows)) if turn is not None]

    def clear(self, session_id: str) -> None:
        """Forget a session.

        Raises:
            SessionError: there is no such session.
        """
        with self._transaction() as database:
            deleted = database.execute("DELETE FROM turns WHERE session_id = ?", (session_id,)).rowcount
        if not deleted:
            raise SessionError(f"unknown session {session_id!r}")

    def sessions(self) -> list[SessionSummary]:
        """All sessions, most recently used first."""
        with self._reading() as database:
            # Beside a single MAX, SQLite takes the other columns from the row that holds it.
            rows = database.execute(
                "SELECT session_id, COUNT(*), stamp_ns, MAX(number) AS newest FROM turns"
                " GROUP BY session_id ORDER BY newest DESC"
            ).fetchall()
        return [SessionSummary(*row[:3]) for row in rows]

    def size(self) -> StoreSize:
        """Cheap enough for once a second: the turns are counted only after something has changed."""
        with self._reading() as database:
            (others,) = database.execute("PRAGMA data_version").fetchone()
            state = (others, database.total_changes)
            if self._counted is None or self._counted[0] != state:
                query = "SELECT COUNT(*), COUNT(DISTINCT session_id) FROM turns"
                self._counted = state, database.execute(query).fetchone()
        return StoreSize(*self._counted[1], file_bytes(self.path) if self.path else 0)

    def _drop_old_turns(self, database: sqlite3.Connection, session_id: str) -> None:
        database.execute(
            """
            DELETE FROM turns WHERE number IN (
                SELECT number FROM (
                    SELECT number, ROW_NUMBER() OVER newest AS rank, SUM(tokens) OVER newest AS total
                    FROM turns WHERE session_id = ? WINDOW newest AS (ORDER BY number DESC)
                ) WHERE rank > ? OR (total > ? AND rank > 1)
            )
            """,
            (session_id, self.bounds.max_turns, self.bounds.max_tokens),
        )

    def _drop_old_sessions(self, database: sqlite3.Connection) -> None:
        database.execute(
            """
            DELETE FROM turns WHERE session_id IN (
                SELECT session_id FROM turns GROUP BY session_id ORDER BY MAX(number) DESC LIMIT -1 OFFSET ?
            )
            """,
            (self.bounds.max_sessions,),
        )

    def _open(self) -> None:
        if self.path is None:
            self._database, aside = sqlite3.connect(":memory:", isolation_level=None), None
            self._database.executescript(SCHEMA)
        else:
            self._database, aside = open_database(self.path)
            self._files = identities(self.path)
        self._counted = None
        self.set_aside = aside or self.set_aside

    def _disconnect(self) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
        self._database = None

    def _connected(self) -> sqlite3.Connection:
        if self._closed:
            raise MemoryStoreError(f"{self.path or ':memory:'} is closed")
        if self._database is not None and self.path is not None:
            self._look_for(self.path)
        if self._database is None:
            try:
                self._open()
            except ConfigurationError as error:
                raise MemoryStoreError(str(error)) from error
        assert self._database is not None
        return self._database

    def _look_for(self, path: Path) -> None:
        """Let go of files that are not there any more; SQLite would go on writing to what has no name."""
        found = identities(path)
        if found == self._files:
            return
        _log.warning("%s was removed or replaced; the memory goes on with what is there now", path)
        self._disconnect()
        (database, log), (old_database, old_log) = found, self._files
        if database not in (None, old_database) and log is not None and log == old_log:
            set_aside(path, COMPANIONS)  # SQLite would play the old database's log into the new one

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._connected()
        except (sqlite3.Error, OSError) as error:
            # Opening it again checks the whole file; a transaction that cannot be rolled back would never end.
            if means_damage(error) or (self._database is not None and self._database.in_transaction):
                self._disconnect()
            raise MemoryStoreError(f"{self.path or ':memory:'}: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                # On some errors, such as a full disk, SQLite has rolled back by itself.
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise


def bounded(turns: Sequence[StoredTurn], bounds: Bounds) -> list[StoredTurn]:
    """The newest turns of one session that the bounds allow, at least one, as the store keeps them; oldest first."""
    kept: list[StoredTurn] = []
    tokens = 0
    for turn in reversed(turns[-bounds.max_turns :]):
        tokens += turn.tokens
        if kept and tokens > bounds.max_tokens:
            break
        kept.append(turn)
    return kept[::-1]


def _turn(turn_id: str, session_id: str, stamp_ns: int, tokens: int, document: bytes) -> StoredTurn | None:
    try:
        return StoredTurn(turn_id, session_id, stamp_ns, tokens, json.loads(document))
    except ValueError as error:
        _log.error("turn %s is damaged in the file and left out: %s", turn_id, error)
        return None
