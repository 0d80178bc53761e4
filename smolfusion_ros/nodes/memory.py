"""Keeps every turn, bounded, and tells the history of a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rclpy.node import Node
from std_msgs.msg import String

from smolfusion_ros.errors import MemoryStoreError, SessionError
from smolfusion_ros.memory.backlog import Backlog
from smolfusion_ros.memory.store import Bounds, ConversationStore
from smolfusion_ros.msg import Turn
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._diagnostics import ERROR, OK, WARN, Diagnostics, Status
from smolfusion_ros.nodes._files import data_file
from smolfusion_ros.nodes._messages import time_message
from smolfusion_ros.nodes._parameters import Parameters, parameter
from smolfusion_ros.nodes._run import run
from smolfusion_ros.nodes._steady import steady_timer
from smolfusion_ros.nodes._turns import restored_turn, stored_turn
from smolfusion_ros.srv import ClearSession, GetHistory, ListSessions

RETRY_S = 1.0

Response = TypeVar("Response", GetHistory.Response, ClearSession.Response, ListSessions.Response)


@dataclass(frozen=True)
class MemoryConfig:
    """Parameters of the node."""

    database: str = parameter(
        "", "SQLite file; empty: $XDG_DATA_HOME/smolfusion_ros/<namespace>.sqlite3", read_only=True
    )
    default_session: str = parameter("default", "Session meant by an empty session id", read_only=True)
    max_turns: int = parameter(20, "Turns kept per session", minimum=1, maximum=10000, read_only=True)
    max_tokens: int = parameter(
        4096, "Tokens kept per session, counted as in the prompt", minimum=1, maximum=1000000, read_only=True
    )
    max_sessions: int = parameter(100, "Sessions kept", minimum=1, maximum=100000, read_only=True)


class MemoryNode(Node):
    """``turn`` in; serves ``get_history``, ``clear_session``, ``list_sessions``; tells ``session_cleared``."""

    def __init__(self) -> None:
        super().__init__("memory")
        self._config: MemoryConfig = Parameters(self, MemoryConfig()).value
        bounds = Bounds(self._config.max_turns, self._config.max_tokens, self._config.max_sessions)
        self._store = ConversationStore(self._config.database or data_file(self, "sqlite3"), bounds)
        self._backlog = Backlog(self._store)
        self._cleared = self.create_publisher(String, "session_cleared", _qos.UTTERANCE)
        self.create_subscription(Turn, "turn", self._on_turn, _qos.TURN)
        self.create_service(GetHistory, "get_history", self._on_get_history)
        self.create_service(ClearSession, "clear_session", self._on_clear_session)
        self.create_service(ListSessions, "list_sessions", self._on_list_sessions)
        steady_timer(self, RETRY_S, self._backlog.retry)
        Diagnostics(self).add("store", self._store_status)

    def close(self) -> None:
        self._backlog.close()

    def _on_turn(self, turn: Turn) -> None:
        self._backlog.add(stored_turn(turn))

    def _on_get_history(self, request: GetHistory.Request, response: GetHistory.Response) -> GetHistory.Response:
        def fill() -> None:
            try:
                turns = self._backlog.history(self._session(request), request.limit)
            except SessionError:
                response.unknown_session = True
                raise
            for stored in turns:
                try:
                    response.turns.append(restored_turn(stored))
                except (KeyError, TypeError, ValueError, AssertionError) as error:
                    self.get_logger().error(f"turn {stored.id} is damaged in the file and left out: {error!r}")

        return self._answered(response, fill)

    def _on_clear_session(
        self, request: ClearSession.Request, response: ClearSession.Response
    ) -> ClearSession.Response:
        def fill() -> None:
            session_id = self._session(request)
            if not self._backlog.clear(session_id):
                response.message = f"forgotten; taken out of the file as soon as it can be: {self._backlog.trouble}"
            self._cleared.publish(String(data=session_id))

        return self._answered(response, fill)

    def _on_list_sessions(
        self, _request: ListSessions.Request, response: ListSessions.Response
    ) -> ListSessions.Response:
        def fill() -> None:
            sessions = self._backlog.sessions()
            response.session_ids = [session.session_id for session in sessions]
            response.turn_counts = [session.turns for session in sessions]
            response.last_used = [time_message(session.last_used_ns) for session in sessions]

        return self._answered(response, fill)

    def _session(self, request: GetHistory.Request | ClearSession.Request) -> str:
        return request.session_id or self._config.default_session

    def _answered(self, response: Response, fill: Callable[[], None]) -> Response:
        try:
            fill()
            response.success = True
        except (SessionError, MemoryStoreError) as error:
            response.message = str(error)
        except Exception as error:  # a damaged file may hold anything, and the other sessions are well
            self.get_logger().error(f"{type(response).__name__}: {error!r}")
            response.message = f"the memory's file holds what cannot be told: {error!r}"
        return response

    def _store_status(self) -> Status:
        backlog = self._backlog
        values = {"file": self._store.path, "waiting": backlog.waiting, "lost": backlog.lost}
        waiting = f"{backlog.waiting} turns wait" + (f", {backlog.lost} are lost" if backlog.lost else "")
        try:
            size = self._store.size()
        except MemoryStoreError as error:
            return Status(ERROR, f"cannot be read: {error}; {waiting}", values)
        values |= {"turns": size.turns, "sessions": size.sessions, "file size in bytes": size.file_bytes}
        if backlog.trouble:
            return Status(ERROR, f"cannot be written: {backlog.trouble}; {waiting}", values)
        summary = f"{size.turns} turns in {size.sessions} sessions"
        if self._store.set_aside:
            return Status(WARN, f"{summary}; a damaged file is kept as {self._store.set_aside}", values)
        return Status(OK, summary, values)


def main() -> int:
    return run(MemoryNode)


if __name__ == "__main__":
    raise SystemExit(main())
