"""Which nodes are alive: those that are heard of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from socket import gethostname
from time import monotonic
from typing import NamedTuple

_MAX_NODES = 64
# A pid is not looked up for longer, lest it is another process's by then.
_PID_VALID_S = 60.0
MAX_PID = 2**22  # PID_MAX_LIMIT of Linux
_HOST = gethostname()


class _Heard(NamedTuple):
    at_s: float
    pid: int


class Presence:
    """Remembers when each node was last heard of, and its process.

    Args:
        now_s: a steady clock, seconds.
    """

    def __init__(self, now_s: Callable[[], float] = monotonic) -> None:
        self._now_s = now_s
        self._nodes: dict[str, _Heard] = {}

    def heard(self, node: str, pid: int) -> None:
        """A node lives. Of more than 64, the one that was longest silent is forgotten."""
        self._nodes.pop(node, None)
        self._nodes[node] = _Heard(self._now_s(), pid)  # the end of the dict: the newest
        if len(self._nodes) > _MAX_NODES:
            del self._nodes[next(iter(self._nodes))]

    def silent_s(self, node: str) -> float | None:
        """Seconds since a node was last heard of; None: never."""
        heard = self._nodes.get(node)
        return None if heard is None else self._now_s() - heard.at_s

    def pids(self) -> dict[str, int]:
        """The processes on this machine of the nodes heard of within the last minute, by name."""
        oldest_s = self._now_s() - _PID_VALID_S
        return {name: each.pid for name, each in sorted(self._nodes.items()) if each.pid and each.at_s >= oldest_s}


def node_of(status_name: str, hardware_id: str, values: Iterable[tuple[str, str]], namespace: str) -> _Found | None:
    """Who sent a status of ``/diagnostics``.

    Args:
        status_name: ``<namespace without leading slash>/<node>: <task>`` for a node of ours.
        hardware_id: its namespace.
        values: of which ``pid`` is its process id, on the machine or in the container ``host``.
        namespace: ours; a node of another, or a status that is not of this form, gives None.
    """
    path, colon, _task = status_name.partition(": ")
    parent, _, node = path.rpartition("/")
    if not colon or not node or hardware_id != namespace or f"/{parent}" != namespace:
        return None
    told = dict(values)
    text = told.get("pid", "")
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 7 and 0 < int(text) <= MAX_PID):
        return None
    return _Found(node, int(text) if told.get("host", _HOST) == _HOST else 0)


class _Found(NamedTuple):
    """``pid`` is 0 where the process is another machine's."""

    node: str
    pid: int
