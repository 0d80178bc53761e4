"""How late this machine wakes a thread: what a test of times must allow for beside other work."""

from __future__ import annotations

import threading
import time
from types import TracebackType

_SLEEP_S = 0.005


class Lateness:
    """Watches while it is entered; ``most_s`` is twice the longest delay of a sleep of 5 ms: two threads take part."""

    def __init__(self) -> None:
        self.most_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Lateness:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        begin_s = time.monotonic()
        while not self._ended.wait(_SLEEP_S):
            now_s = time.monotonic()
            self.most_s = max(self.most_s, 2 * (now_s - begin_s - _SLEEP_S))
            begin_s = now_s
