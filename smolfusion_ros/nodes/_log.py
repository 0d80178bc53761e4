"""Log lines that repeat: each text at once, then at most every few seconds, with the number left out.

rclpy throttles by call site, which lets one trouble hide another that is logged in the same place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

PERIOD_S = 5.0
# So many different texts a period; what varies from line to line (a size, a time) must not flood the log either.
MAX_TEXTS = 16


class Logger(Protocol):
    """What is needed of rclpy's logger."""

    def error(self, message: str) -> object: ...

    def warning(self, message: str) -> object: ...


@dataclass
class _Said:
    at_s: float
    is_error: bool
    left_out: int = 0


class Repeats:
    """Hands texts on to a node's logger; may be called from any thread.

    The same text is logged at most every 5 s, and at most 16 different ones within 5 s. How often a text was left out
    is told when it, or any other, is logged next.

    Args:
        steady_s: a steady clock, seconds.
    """

    def __init__(self, logger: Logger, steady_s: Callable[[], float] = monotonic) -> None:
        self._logger = logger
        self._steady_s = steady_s
        self._said: dict[str, _Said] = {}
        self._others = 0
        self._lock = threading.Lock()

    def error(self, text: str) -> None:
        self._take(text, True)

    def warning(self, text: str) -> None:
        self._take(text, False)

    def _take(self, text: str, is_error: bool) -> None:
        now = self._steady_s()
        with self._lock:
            before = self._said.get(text)
            if before is not None and now - before.at_s < PERIOD_S:
                before.left_out += 1
                return
            self._said.pop(text, None)
            self._forget(now)
            if len(self._said) >= MAX_TEXTS:
                self._others += 1 + (before.left_out if before is not None else 0)
                return
            self._said[text] = _Said(now, is_error)
            if self._others:
                self._write(f"{self._others} more lines of other texts left out", is_error)
                self._others = 0
            self._write(_counted(text, before), is_error)

    def _forget(self, now: float) -> None:
        for text, said in list(self._said.items()):
            if now - said.at_s >= PERIOD_S:
                del self._said[text]
                if said.left_out:
                    self._write(_counted(text, said), said.is_error)

    def _write(self, text: str, is_error: bool) -> None:
        if is_error:
            self._logger.error(text)
        else:
            self._logger.warning(text)


def _counted(text: str, said: _Said | None) -> str:
    return f"{text} ({said.left_out} more times before)" if said is not None and said.left_out else text
