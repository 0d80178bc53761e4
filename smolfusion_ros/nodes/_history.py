"""What memory knows of a session, asked for by the dialogue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.dialogue.recall import RememberedTurn
from smolfusion_ros.errors import MemoryStoreError
from smolfusion_ros.nodes._asyncio import IoLoop
from smolfusion_ros.nodes._turns import remembered_turn
from smolfusion_ros.srv import GetHistory

# When one of the two has started anew, DDS takes up to 3 s until they have found each other both ways; an answer before
# that is lost, so the question is asked again after so many seconds, and once more.
INTERVALS_S = (0.25, 0.25, 0.5, 1.0)
DISCOVERY_POLL_S = 0.05
# So long nobody waits the whole time again for a memory that did not answer.
SILENT_S = 10.0


class History:
    """The client of ``get_history``."""

    def __init__(self, node: Node, io: IoLoop, callback_group: CallbackGroup) -> None:
        self._io = io
        self._client = node.create_client(GetHistory, "get_history", callback_group=callback_group)
        self._silent_until_s = 0.0

    async def of(self, session_id: str, layout: PromptLayout) -> Sequence[RememberedTurn]:
        """On the I/O loop: the turns that belong into the prompt, oldest first.

        Where memory did not answer just now, it is given less time.

        Raises:
            MemoryStoreError: memory did not answer in time, or cannot read its file.
        """
        answer = await self._ask(GetHistory.Request(session_id=session_id))
        if answer is None:
            self._silent_until_s = monotonic() + SILENT_S
            raise MemoryStoreError("memory does not answer")
        if not (answer.success or answer.unknown_session):
            raise MemoryStoreError(answer.message)
        return [remembered_turn(turn, layout) for turn in answer.turns if turn.source == "llm" and turn.said]

    async def _ask(self, request: GetHistory.Request) -> GetHistory.Response | None:
        """The first answer to any of a few requests, as one may be lost and another only be slow."""
        is_silent = monotonic() < self._silent_until_s
        intervals_s = INTERVALS_S[:1] if is_silent else INTERVALS_S
        end_s = monotonic() + sum(intervals_s)
        while not self._client.service_is_ready():
            if is_silent or monotonic() > end_s:
                return None
            await asyncio.sleep(DISCOVERY_POLL_S)
        asked: set[asyncio.Task[GetHistory.Response]] = set()
        try:
            for interval_s in intervals_s:
                asked.add(asyncio.create_task(self._once(request)))
                done, _ = await asyncio.wait(asked, timeout=interval_s, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    return each.result()
            return None
        finally:
            for each in asked:
                each.cancel()

    async def _once(self, request: GetHistory.Request) -> GetHistory.Response:
        return await self._io.from_ros(lambda: self._client.call_async(request), self._client.remove_pending_request)
