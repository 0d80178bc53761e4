"""Conversations in SQLite: bounded per session and in number, surviving a crash.

Write-ahead logging with ``synchronous=NORMAL``: a transaction is durable against the death of this process; the
last ones may be lost with the machine's power (https://sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolfusion_ros.errors import ConfigurationError, MemoryStoreError, SessionError

_SCHEMA = """
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
PRAGMA user_version = 1;
"""

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
    """One session of ``ConversationStore.sessions``."""

    session_id: str
    turns: int
    last_used_ns: int


class ConversationStore:
    """The store; used by one thread.

    Args:
        path: database file, its directory is made; ``:memory:`` keeps nothing.

    Raises:
        MemoryStoreError: from every method, when the database cannot be read or written.
    """

    def __init__(self, path: Path | str, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        with _translated(path):
            if str(path) != ":memory:":
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._path = path
            self._database = sqlite3.connect(path, timeout=2.0, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)

    def close(self) -> None:
        self._database.close()

    def add(self, turn: StoredTurn) -> bool:
        """Keep a turn and drop what passes the bounds, in one transaction; False if it was kept before."""
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

    def history(self, session_id: str, limit: int = 0) -> list[StoredTurn]:
        """The newest ``limit`` turns (0: all), oldest first.

        Raises:
            SessionError: there is no such session.
        """
        with _translated(self._path):
            rows = self._database.execute(
                "SELECT id, session_id, stamp_ns, tokens, document FROM turns WHERE session_id = ?"
                " ORDER BY number DESC LIMIT ?",
                (session_id, limit or -1),
            ).fetchall()
        if not rows:
            raise SessionError(f"unknown session {session_id!r}")
        return [
            StoredTurn(id_, session, stamp_ns, tokens, json.loads(document))
            for id_, session, stamp_ns, tokens, document in reversed(rows)
        ]

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
        with _translated(self._path):
            rows = self._database.execute(
                "SELECT session_id, COUNT(*), MAX(stamp_ns) FROM turns GROUP BY session_id ORDER BY MAX(number) DESC"
            ).fetchall()
        return [SessionSummary(*row) for row in rows]

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

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _translated(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                # On some errors, such as a full disk, SQLite has rolled back by itself.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise


@contextmanager
def _translated(path: Path | str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise MemoryStoreError(f"{path}: {error}") from error
