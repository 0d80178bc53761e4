"""Turns and files that the tests of memory keep and find again."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from smolfusion_ros.errors import SessionError
from smolfusion_ros.memory.database import COMPANIONS
from smolfusion_ros.memory.store import Bounds, ConversationStore, StoredTurn

MANY = Bounds(max_turns=10**6, max_tokens=10**9)


class Keeper(Protocol):
    """The store, or the backlog before it."""

    def history(self, session_id: str, limit: int = 0) -> list[StoredTurn]: ...


def turn(number: int, session: str = "s", tokens: int = 10) -> StoredTurn:
    return StoredTurn(f"{session}-{number}", session, 1000 + number, tokens, {"heard": f"안녕 {number}"})


def numbers(keeper: Keeper, session: str = "s", limit: int = 0) -> list[int]:
    return [int(stored.id.rsplit("-", 1)[1]) for stored in keeper.history(session, limit)]


def fill(path: Path, count: int = 50) -> bytes:
    """A store with turns in it, closed; its content."""
    store = ConversationStore(path, MANY)
    for number in range(count):
        store.add(turn(number))
    store.close()
    return path.read_bytes()


def kept_aside(path: Path) -> list[Path]:
    """The databases that were set aside, oldest first."""
    return sorted(file for file in path.parent.glob(f"{path.name}.damaged-*") if not file.name.endswith(COMPANIONS))


def assert_works_anew(store: ConversationStore) -> None:
    """Nothing is left of session ``s``, and it can begin again."""
    with pytest.raises(SessionError):
        store.history("s")
    assert store.add(turn(1000)) is True
    assert numbers(store) == [1000]
