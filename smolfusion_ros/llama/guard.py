"""Knows how a server fares: a circuit breaker that is told of requests and of health probes.

The pattern is Michael Nygard's (https://martinfowler.com/bliki/CircuitBreaker.html). While the server is away nobody
waits for it; one that keeps failing is left in peace for a while, longer each time. What ends the rest is a probe for a
server that was away, and a trial request for one that was up but failed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from time import monotonic

from smolfusion_ros.errors import BackendUnavailableError

_log = logging.getLogger(__name__)

PROBE_INTERVAL_S = 1.0
# A server that is away or loading may be back at any moment, and somebody waits for it.
AWAY_PROBE_INTERVAL_S = 0.2
PROBE_TIMEOUT_S = 0.8
# A probe may go unanswered while the machine is busy; two in a row, with no request getting on, are a hung server.
SILENT_PROBES = 2
ALIVE_S = 2.0


class State(Enum):
    """How a server fares."""

    UNKNOWN = "not asked yet"
    UP = "up"
    LOADING = "loading its model"
    STRUGGLING = "struggling"
    DOWN = "away"


class Guard:
    """Lets requests through, or not.

    Args:
        max_failures: failed requests in a row that make a server count as struggling.
        rest_s, max_rest_s: how long a struggling server is left alone; doubled each time it fails again.
        clock: a steady clock in seconds.
    """

    def __init__(
        self,
        *,
        max_failures: int = 3,
        rest_s: float = 1.0,
        max_rest_s: float = 30.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.state = State.UNKNOWN
        self.reason = ""
        self._clock = clock
        self._since_s = clock()
        self._max_failures = max_failures
        self._first_rest_s = self._rest_s = rest_s
        self._max_rest_s = max_rest_s
        self._rest_until_s = 0.0
        self._failures = 0
        self._silent = 0
        self._alive_s = -float("inf")

    @property
    def seconds_in_state(self) -> float:
        return self._clock() - self._since_s

    def check(self) -> None:
        """Let a request through.

        Raises:
            BackendUnavailableError: the server is away, loading, or resting; says for how long.
        """
        if self.state is State.DOWN:
            raise BackendUnavailableError(f"away for {self.seconds_in_state:.0f} s: {self.reason}")
        if self.state is State.LOADING:
            raise BackendUnavailableError("still loading its model")
        rest_s = self._rest_until_s - self._clock()
        if self.state is State.STRUGGLING and rest_s > 0:
            raise BackendUnavailableError(
                f"failed {self._failures} times in a row, asked again in {rest_s:.0f} s: {self.reason}"
            )

    def alive(self) -> None:
        """A request is getting on."""
        self._alive_s = self._clock()
        self._silent = 0

    def succeeded(self) -> None:
        """A request was answered."""
        self.alive()
        self._failures = 0
        self._rest_s = self._first_rest_s
        self._enter(State.UP)

    def failed(self, reason: str) -> None:
        """A request could not be answered, or not in time."""
        self._failures += 1
        if self.state in (State.DOWN, State.LOADING) or self._failures < self._max_failures:
            return
        if self.state is State.STRUGGLING:
            self._rest_s = min(2 * self._rest_s, self._max_rest_s)
        self._rest_until_s = self._clock() + self._rest_s
        self._enter(State.STRUGGLING, reason)

    def probed(self, found: State, reason: str = "") -> None:
        """A health probe found the server ``UP``, ``LOADING``, ``DOWN``, or got no answer in time (``UNKNOWN``)."""
        if found is State.UNKNOWN:
            self._silent += 1
            if self._silent < SILENT_PROBES or self._clock() - self._alive_s < ALIVE_S:
                return
            found = State.DOWN
        else:
            self._silent = 0
        if found is State.UP and self.state is State.STRUGGLING:
            return  # it says that it is well, but it does not answer
        if found is State.UP and self.state is not State.UP:
            self._failures = 0
        self._enter(found, reason)

    def _enter(self, state: State, reason: str = "") -> None:
        if state is not self.state:
            self._since_s = self._clock()
        self.state, self.reason = state, reason


async def watch(probe: Callable[[], Awaitable[None]], guard: Guard, on_change: Callable[[State], None]) -> None:
    """Probe for ever; ``on_change`` hears of every new state, also of what requests found meanwhile."""
    told = State.UNKNOWN
    while True:
        begun_s = monotonic()
        try:
            await probe()
            if guard.state is not told:
                told = guard.state
                on_change(told)
        except Exception:  # without probes a server would stay away for ever
            _log.exception("the health probe failed")
        interval_s = AWAY_PROBE_INTERVAL_S if guard.state in (State.DOWN, State.LOADING) else PROBE_INTERVAL_S
        await asyncio.sleep(max(0.0, interval_s - (monotonic() - begun_s)))
