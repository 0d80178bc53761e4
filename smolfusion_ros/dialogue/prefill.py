"""Evaluates the next prompt while nobody speaks, so that a turn costs its utterance alone.

Everything up to the scene line is known before anybody has spoken. Whenever the dialogue is idle and that part has
changed, the server evaluates what is new of it, in chunks that take a tenth of a second: a server hears of nothing
else before the batch that it is at has ended, and an utterance must not wait for more than that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from smolfusion_ros.dialogue.model import Timings
from smolfusion_ros.errors import BackendError

_log = logging.getLogger(__name__)

CHUNK_S = 0.1
MIN_CHUNK_TOKENS, MAX_CHUNK_TOKENS = 8, 1024
# The share of the newest measurement in the speed that chunks are cut by.
_NEWEST = 0.5

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Ahead:
    """The next prompt as far as it is known, and the slot of the server that it is for."""

    ids: Ids
    slot: int


class Budget:
    """Tokens that may be evaluated ahead in a minute: an idle robot must not empty its battery.

    At most a minute's tokens are saved up.

    Args:
        tokens_per_minute: 0: none at all.
        clock: a steady clock, seconds.
    """

    def __init__(self, tokens_per_minute: int, clock: Callable[[], float]) -> None:
        self._per_s = tokens_per_minute / 60
        self._most = float(tokens_per_minute)
        self._clock = clock
        self._left = self._most
        self._counted_s = clock()

    @property
    def is_empty(self) -> bool:
        """Nothing may ever be evaluated ahead."""
        return self._most == 0

    def wait_s(self, tokens: int) -> float:
        """How long it is until so many tokens may be spent; those of more than a minute are cut to it."""
        self._fill()
        return max(0.0, min(tokens, self._most) - self._left) / self._per_s

    def spend(self, tokens: int) -> None:
        self._fill()
        self._left -= tokens

    def _fill(self) -> None:
        now_s = self._clock()
        self._left = min(self._most, self._left + (now_s - self._counted_s) * self._per_s)
        self._counted_s = now_s


class Prefill:
    """Keeps the server's caches ahead of the conversation.

    Args:
        wanted: what is known now; None while somebody waits for the model, or nothing is to be done.
        evaluate: has the server evaluate it; None where it did not, because somebody came first.
        budget: what it may cost.
    """

    def __init__(
        self,
        wanted: Callable[[], Awaitable[Ahead | None]],
        evaluate: Callable[[Ahead], Awaitable[Timings | None]],
        budget: Budget,
    ) -> None:
        self._wanted = wanted
        self._evaluate = evaluate
        self.budget = budget
        self._held: dict[int, Ids] = {}  # by slot
        self._woken = asyncio.Event()
        self._tokens_per_s = 0.0

    def wake(self) -> None:
        """Something has changed: the scene, the conversation, the session."""
        self._woken.set()

    def holds(self, evaluated: Ahead) -> None:
        """What a slot of the server has evaluated, as a turn has left it."""
        self._held[evaluated.slot] = evaluated.ids
        self.wake()

    def begin_anew(self) -> None:
        """The server is another one, or has forgotten everything."""
        self._held.clear()

    async def run(self) -> None:
        """Work whenever something has changed; ends only by being cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                while not self.budget.is_empty and await self._step():
                    pass
            except BackendError as error:
                self.begin_anew()
                _log.debug("nothing is evaluated ahead: %s", error)

    async def _step(self) -> bool:
        """Evaluate a chunk; whether there may be more to do."""
        wanted = await self._wanted()
        if wanted is None:
            return False
        known = _common(self._held.get(wanted.slot, ()), wanted.ids)
        if known == len(wanted.ids):
            return False
        until = min(len(wanted.ids), known + self._chunk())
        wait_s = self.budget.wait_s(until - known)
        if wait_s > 0:
            await asyncio.sleep(wait_s)
            return True  # by now something else may be wanted
        part = Ahead(wanted.ids[:until], wanted.slot)
        timings = await self._evaluate(part)
        if timings is None:
            return False
        self._held[part.slot] = part.ids
        self.budget.spend(timings.evaluated_tokens)
        self._measure(timings)
        return True

    def _chunk(self) -> int:
        return max(MIN_CHUNK_TOKENS, min(MAX_CHUNK_TOKENS, int(self._tokens_per_s * CHUNK_S)))

    def _measure(self, timings: Timings) -> None:
        if timings.evaluated_tokens < MIN_CHUNK_TOKENS or timings.prompt_ms <= 0:
            return  # a token or two take as long as a batch
        speed = 1000 * timings.evaluated_tokens / timings.prompt_ms
        self._tokens_per_s = speed if not self._tokens_per_s else _NEWEST * speed + (1 - _NEWEST) * self._tokens_per_s


def _common(first: Ids, second: Ids) -> int:
    """How many ids two prompts begin with alike."""
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))
