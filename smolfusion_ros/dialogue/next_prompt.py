"""The prompt of the turn that will come next, as far as it is known before anybody has spoken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from smolfusion_ros.dialogue.answer import AnswerWriter
from smolfusion_ros.dialogue.model import LanguageModel, Timings
from smolfusion_ros.dialogue.pins import Pins
from smolfusion_ros.dialogue.prefill import Ahead
from smolfusion_ros.dialogue.recall import Conversations
from smolfusion_ros.errors import BackendError

LONGEST_PART_S = 1.0


class NextPrompt:
    """Expects the session that spoke last to speak again.

    Args:
        line: the context line that a session's next turn would be given now.
        idle: whether nobody speaks or waits, and turns are taken.
        backend: held while the server works.

    Attributes:
        session_id: the session that spoke last.
    """

    def __init__(
        self,
        model: LanguageModel,
        writer: AnswerWriter,
        conversations: Conversations,
        pins: Pins,
        *,
        line: Callable[[str], str],
        idle: Callable[[], bool],
        backend: asyncio.Semaphore,
        session_id: str,
    ) -> None:
        self.session_id = session_id
        self._model = model
        self._writer = writer
        self._conversations = conversations
        self._pins = pins
        self._line = line
        self._idle = idle
        self._backend = backend
        self._evaluating: asyncio.Task[Timings | None] | None = None

    async def known(self) -> Ahead | None:
        """What is known of it; None while that is of no use.

        Raises:
            BackendError: the server cannot be asked.
        """
        if not self._idle():
            return None
        session_id, served = self.session_id, await self._model.capabilities()
        conversation = await self._conversations.of(session_id, served.model_id)
        ids = await self._writer.ahead(conversation, self._line(session_id))
        return None if ids is None else Ahead(ids, self._pins.of(session_id, served.slots))

    async def evaluate(self, ahead: Ahead) -> Timings | None:
        """Have the server evaluate a part of it; None where a turn came first, or meanwhile.

        Raises:
            BackendError: the server is away, or takes far longer than a part may: nobody shall wait for that.
        """
        if not self._idle() or self._backend.locked():
            return None
        async with self._backend:
            work = self._evaluating = asyncio.ensure_future(self._writer.evaluate(ahead.ids, ahead.slot))
            try:
                done, _ = await asyncio.wait({work}, timeout=LONGEST_PART_S)
            finally:
                work.cancel()
            if not done:
                raise BackendError(f"a part of the prompt took longer than {LONGEST_PART_S:g} s")
            return None if work.cancelled() else work.result()

    def give_way(self) -> None:
        """Somebody speaks: the part under way is given up, what the server has of it stays in its cache."""
        if self._evaluating is not None:
            self._evaluating.cancel()

    async def constant_part(self) -> Ahead:
        """Have the server evaluate what every prompt begins with; what that was.

        Raises:
            BackendError: the server is away.
        """
        async with self._backend:
            slot = self._pins.of(self.session_id, (await self._model.capabilities()).slots)
            return Ahead(await self._writer.warm_up(slot), slot)
