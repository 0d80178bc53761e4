"""What cannot be written waits here, in order, until it can: a full disk or a locked file loses no turn.

Bounded: a disk that stays full costs the oldest waiting turns, and what waits ends with the process.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field

from smolfusion_ros.errors import MemoryStoreError, SessionError
from smolfusion_ros.memory.store import ConversationStore, SessionSummary, StoredTurn, bounded

_log = logging.getLogger(__name__)

CAPACITY = 256


@dataclass(frozen=True)
class _Clearing:
    """A session that is to be forgotten; the turns before it in the backlog included."""

    session_id: str


@dataclass
class _Session:
    """What there will be of a session: what is in the file, if that is to stay, and what waits."""

    stored: SessionSummary | None = None
    waiting: list[StoredTurn] = field(default_factory=list)


class Backlog:
    """A ``ConversationStore`` that takes every turn; used by one thread.

    Args:
        store: closed with this.
        capacity: turns that may wait; when there are more, the oldest is lost.

    Attributes:
        trouble: why the store cannot be written; empty: it can.
        lost: turns that found no room since the trouble began.

    Raises:
        MemoryStoreError: from ``history``, ``clear`` and ``sessions``, when the store cannot be read.
    """

    def __init__(self, store: ConversationStore, capacity: int = CAPACITY) -> None:
        self._store = store
        self._capacity = capacity
        self._waiting: list[StoredTurn | _Clearing] = []
        self.trouble = ""
        self.lost = 0
        self._late = 0

    @property
    def waiting(self) -> int:
        """Turns that are not written yet."""
        return len(self._turns())

    def add(self, turn: StoredTurn) -> None:
        """Keep a turn, in the store if that can be written; one that was kept before is left out."""
        if any(turn.id == other.id for other in self._turns()):
            return
        self._wait(turn)
        if self._waiting and self._is_known(turn.id):
            self._waiting.pop()
        elif self.waiting > self._capacity:
            self._drop_oldest()

    def retry(self) -> None:
        """Write what waits, as far as it can be; for every second or so."""
        while self._waiting:
            try:
                self._write(self._waiting[0])
            except MemoryStoreError as error:
                self._tell_trouble(str(error))
                return
            self._late += isinstance(self._waiting.pop(0), StoredTurn)
        if self.trouble:
            lost = f", {self.lost} are lost" if self.lost else ""
            _log.warning("the memory is written again: %d turns that waited are kept%s", self._late, lost)
        self.trouble, self.lost, self._late = "", 0, 0

    def history(self, session_id: str, limit: int = 0) -> list[StoredTurn]:
        """As ``ConversationStore.history``, with what waits."""
        if not self._waiting:
            return self._store.history(session_id, limit)
        session = self._foreseen().get(session_id)
        if session is None:
            raise SessionError(f"unknown session {session_id!r}")
        return self._turns_of(session_id, session)[-limit:]

    def clear(self, session_id: str) -> bool:
        """Forget a session; False: it waits to be taken out of the file.

        Raises:
            SessionError: there is no such session.
        """
        self.history(session_id, 1)
        self._wait(_Clearing(session_id))
        return not self._waiting

    def sessions(self) -> list[SessionSummary]:
        """As ``ConversationStore.sessions``, with what waits."""
        if not self._waiting:
            return self._store.sessions()
        return [self._summary(*each) for each in reversed(self._foreseen().items())]

    def close(self) -> None:
        """Try a last time, then close the store."""
        self.retry()
        if self._waiting:
            clearings = len(self._waiting) - self.waiting
            _log.error(
                "the process ends with %d turns unwritten and %d sessions not cleared: %s",
                self.waiting,
                clearings,
                self.trouble,
            )
        self._store.close()

    def _turns(self) -> list[StoredTurn]:
        return [each for each in self._waiting if isinstance(each, StoredTurn)]

    def _wait(self, each: StoredTurn | _Clearing) -> None:
        self._waiting.append(each)
        self.retry()

    def _write(self, each: StoredTurn | _Clearing) -> None:
        if isinstance(each, _Clearing):
            with suppress(SessionError):
                self._store.clear(each.session_id)
            return
        try:
            self._store.add(each)
        except (TypeError, ValueError, OverflowError) as error:  # it would hold up the others for ever
            _log.error("turn %s cannot be stored and is lost: %s", each.id, error)

    def _foreseen(self) -> dict[str, _Session]:
        """The sessions as they will be when all is written, least recently used first."""
        sessions = {each.session_id: _Session(each) for each in reversed(self._store.sessions())}
        for each in self._waiting:
            session = sessions.pop(each.session_id, None) or _Session()
            if isinstance(each, StoredTurn):
                session.waiting.append(each)
                sessions[each.session_id] = session
                while len(sessions) > self._store.bounds.max_sessions:
                    del sessions[next(iter(sessions))]
        return sessions

    def _turns_of(self, session_id: str, session: _Session) -> list[StoredTurn]:
        stored = self._store.history(session_id) if session.stored else []
        kept = {turn.id for turn in stored}  # nobody could tell when the turn came, if the file was away
        late = [turn for turn in session.waiting if turn.id not in kept]
        return bounded([*stored, *late], self._store.bounds) if late else stored

    def _summary(self, session_id: str, session: _Session) -> SessionSummary:
        if session.stored and not session.waiting:
            return session.stored
        return SessionSummary(session_id, len(self._turns_of(session_id, session)), session.waiting[-1].stamp_ns)

    def _is_known(self, turn_id: str) -> bool:
        try:
            return self._store.knows(turn_id)
        except MemoryStoreError:
            return False

    def _tell_trouble(self, reason: str) -> None:
        if not self.trouble:
            _log.error("the memory cannot be written: %s; %d turns wait, and are tried again", reason, self.waiting)
        self.trouble = reason

    def _drop_oldest(self) -> None:
        oldest = self._turns()[0]
        self._waiting.remove(oldest)
        if not self.lost:
            _log.error(
                "%d turns wait already: turn %s is lost, and so is one for each that comes", self._capacity, oldest.id
            )
        self.lost += 1
