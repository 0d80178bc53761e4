"""How the robot fares, by what its nodes say in ``/diagnostics``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Literal

from smolfusion_ros.gateway.schemas import Health
from smolfusion_ros.gateway.values import Diagnostics, Level, Status

# Nodes tell of themselves once a second.
SILENT_AFTER_S = 3.0
FORGOTTEN_AFTER_S = 600.0
MAX_TASKS = 256
_RANK: dict[Level, int] = {"error": 0, "stale": 1, "warning": 2, "ok": 3}


@dataclass(frozen=True)
class _Heard:
    status: Status
    at_s: float


class Board:
    """The newest status of every task, and how long ago each node was heard.

    Args:
        expected: nodes that should be alive.
        steady_s: a steady clock, seconds.
    """

    def __init__(self, expected: Iterable[str] = (), steady_s: Callable[[], float] = monotonic) -> None:
        self.expected = tuple(expected)
        self._steady_s = steady_s
        self._heard: dict[tuple[str, str], _Heard] = {}

    def update(self, statuses: Iterable[Status]) -> None:
        """Take what was just heard."""
        now_s = self._steady_s()
        for status in statuses:
            key = status.node, status.task
            if key in self._heard or len(self._heard) < MAX_TASKS:
                self._heard[key] = _Heard(status, now_s)
        for key, heard in list(self._heard.items()):
            silent_s = now_s - heard.at_s
            # A node tells all its tasks at once: what a living one tells no more, it does no more.
            if silent_s > FORGOTTEN_AFTER_S or (silent_s > SILENT_AFTER_S and self._presence(key[0]) == "alive"):
                del self._heard[key]

    def diagnostics(self) -> Diagnostics:
        """All tasks by node and name; those of silent nodes are stale."""
        now_s = self._steady_s()
        return Diagnostics(statuses=tuple(_aged(each, now_s) for _, each in sorted(self._heard.items())))

    def health(self) -> Health:
        """Well while every expected node is heard and no task tells of an error; other nodes may come and go."""
        statuses = self.diagnostics().statuses
        wrong = sorted((each for each in statuses if each.level != "ok"), key=lambda each: _RANK[each.level])
        nodes = {name: self._presence(name) for name in self.expected}
        missing = [
            Status(node=name, task="presence", level="error", message="not heard of")
            for name, presence in nodes.items()
            if presence == "unknown"
        ]
        wrong = [*missing, *wrong]
        failing = any(each.level == "error" or (each.level == "stale" and each.node in self.expected) for each in wrong)
        return Health(status="error" if failing else "warning" if wrong else "ok", wrong=tuple(wrong), nodes=nodes)

    def _presence(self, node: str) -> Literal["alive", "silent", "unknown"]:
        heard_s = [each.at_s for (name, _), each in self._heard.items() if name == node]
        if not heard_s:
            return "unknown"
        return "alive" if self._steady_s() - max(heard_s) <= SILENT_AFTER_S else "silent"


def _aged(heard: _Heard, now_s: float) -> Status:
    silent_s = now_s - heard.at_s
    if silent_s <= SILENT_AFTER_S:
        return heard.status
    message = f"not heard of for {silent_s:.0f} s; then: {heard.status.message}"
    return heard.status.model_copy(update={"level": "stale", "message": message})
