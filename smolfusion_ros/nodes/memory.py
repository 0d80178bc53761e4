"""Keeps every turn, bounded, and tells the history of a session."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rclpy.node import Node
from std_msgs.msg import String

from smolfusion_ros.errors import MemoryStoreError, SessionError
from smolfusion_ros.memory.store import Bounds, ConversationStore
from smolfusion_ros.msg import Turn
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._messages import time_message
from smolfusion_ros.nodes._parameters import Parameters, parameter
from smolfusion_ros.nodes._run import run
from smolfusion_ros.nodes._turns import restored_turn, stored_turn
from smolfusion_ros.srv import ClearSession, GetHistory, ListSessions


@dataclass(frozen=True)
class MemoryConfig:
    """Parameters of the node."""

    database: str = parameter(
        "", "SQLite file; empty: <namespace>.sqlite3 in $XDG_DATA_HOME/smolfusion_ros", read_only=True
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
        self._store = ConversationStore(self._config.database or self._default_path(), bounds)
        self._cleared = self.create_publisher(String, "session_cleared", _qos.UTTERANCE)
        self.create_subscription(Turn, "turn", self._on_turn, _qos.TURN)
        self.create_service(GetHistory, "get_history", self._on_get_history)
        self.create_service(ClearSession, "clear_session", self._on_clear_session)
        self.create_service(ListSessions, "list_sessions", self._on_list_sessions)

    def close(self) -> None:
        self._store.close()

    def _default_path(self) -> Path:
        data_home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        name = self.get_namespace().strip("/").replace("/", ".") or "memory"
        return Path(data_home) / "smolfusion_ros" / f"{name}.sqlite3"

    def _on_turn(self, turn: Turn) -> None:
        try:
            self._store.add(stored_turn(turn))
        except MemoryStoreError as error:
            self.get_logger().error(f"turn {turn.id} is not kept: {error}")

    def _on_get_history(self, request: GetHistory.Request, response: GetHistory.Response) -> GetHistory.Response:
        try:
            turns = self._store.history(request.session_id or self._config.default_session, request.limit)
        except (SessionError, MemoryStoreError) as error:
            response.message = str(error)
            return response
        response.success, response.turns = True, [restored_turn(turn) for turn in turns]
        return response

    def _on_clear_session(
        self, request: ClearSession.Request, response: ClearSession.Response
    ) -> ClearSession.Response:
        session_id = request.session_id or self._config.default_session
        try:
            self._store.clear(session_id)
        except (SessionError, MemoryStoreError) as error:
            response.message = str(error)
            return response
        self._cleared.publish(String(data=session_id))
        response.success = True
        return response

    def _on_list_sessions(
        self, _request: ListSessions.Request, response: ListSessions.Response
    ) -> ListSessions.Response:
        try:
            sessions = self._store.sessions()
        except MemoryStoreError as error:
            response.message = str(error)
            return response
        response.success = True
        response.session_ids = [session.session_id for session in sessions]
        response.turn_counts = [session.turns for session in sessions]
        response.last_used = [time_message(session.last_used_ns) for session in sessions]
        return response


def main() -> int:
    return run(MemoryNode)


if __name__ == "__main__":
    raise SystemExit(main())
