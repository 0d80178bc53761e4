"""Turns that the tests of memory keep and find again."""

from __future__ import annotations

from typing import Protocol

from smolfusion_ros.memory.store import StoredTurn


class Keeper(Protocol):
    """The store, or the backlog before it."""

    def history(self, session_id: str, limit: int = 0) -> list[StoredTurn]: ...


def turn(number: int, session: str = "s", tokens: int = 10) -> StoredTurn:
    return StoredTurn(f"{session}-{number}", session, 1000 + number, tokens, {"heard": f"안녕 {number}"})


def numbers(keeper: Keeper, session: str = "s", limit: int = 0) -> list[int]:
    return [int(stored.id.rsplit("-", 1)[1]) for stored in keeper.history(session, limit)]
