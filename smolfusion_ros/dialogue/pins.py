"""Which of a server's slots holds which session's prompt.

A slot's cache is worth a whole conversation: a session that comes back to its own slot evaluates its utterance alone,
one that is given another's evaluates everything. So sessions are pinned to slots, and when there are more sessions
than slots, the one that has not spoken for the longest time gives its slot away.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

ANY_SLOT = -1


class Pins:
    """The pins of one server, whose number of slots is told at every use; 0 where it is not known."""

    def __init__(self) -> None:
        self._number = 0
        self._pinned: OrderedDict[str, int] = OrderedDict()  # the least recently used first
        self._busy: set[int] = set()

    @contextmanager
    def taken(self, session_id: str, number: int) -> Iterator[int]:
        """The session's slot (``of``), while it is used."""
        slot = self.of(session_id, number)
        self._busy.add(slot)
        try:
            yield slot
        finally:
            self._busy.discard(slot)

    def of(self, session_id: str, number: int) -> int:
        """The session's slot of so many; ``ANY_SLOT`` where none is to be had."""
        if number != self._number:  # another server
            self._number = number
            self._pinned.clear()
        if session_id not in self._pinned:
            slot = self._free()
            if slot is None:
                return ANY_SLOT
            self._pinned[session_id] = slot
        self._pinned.move_to_end(session_id)
        return self._pinned[session_id]

    def forget(self, session_id: str) -> None:
        """The session will not come back."""
        self._pinned.pop(session_id, None)

    def _free(self) -> int | None:
        """A slot that nobody is pinned to, else that of the session that has been silent for the longest time."""
        for slot in range(self._number):
            if slot not in self._pinned.values() and slot not in self._busy:
                return slot
        for session_id, slot in self._pinned.items():
            if slot not in self._busy:
                del self._pinned[session_id]
                return slot
        return None
