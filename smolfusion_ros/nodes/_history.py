"""What memory knows of a session, asked for by the dialogue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from smolfusion_ros.dialogue.engine import RememberedTurn
from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.errors import SmolFusionError
from smolfusion_ros.nodes._asyncio import IoLoop
from smolfusion_ros.nodes._turns import remembered_turn
from smolfusion_ros.srv import GetHistory

# When one of the two has started anew, DDS takes up to 3 s until they have found each other both ways; an answer before
# that is lost, so the question is asked again.
TIMEOUT_S = 2.0
ATTEMPT_S = 0.25
DISCOVERY_POLL_S = 0.05


class History:
    """The client of ``get_history``."""

    def __init__(self, node: Node, io: IoLoop, callback_group: CallbackGroup) -> None:
        self._io = io
        self._client = node.create_client(GetHistory, "get_history", callback_group=callback_group)

    async def of(self, session_id: str, layout: PromptLayout) -> Sequence[RememberedTurn]:
        """On the I/O loop: the turns that belong into the prompt, oldest first.

        Raises:
            SmolFusionError: memory did not answer in time.
        """
        request, end_s = GetHistory.Request(session_id=session_id), monotonic() + TIMEOUT_S
        while monotonic() < end_s:
            if not self._client.service_is_ready():
                await asyncio.sleep(DISCOVERY_POLL_S)
                continue
            with suppress(asyncio.TimeoutError):
                answer = await self._io.from_ros(
                    lambda: self._client.call_async(request), ATTEMPT_S, self._client.remove_pending_request
                )
                return [remembered_turn(turn, layout) for turn in answer.turns if turn.source == "llm" and turn.said]
        raise SmolFusionError(f"memory did not answer within {TIMEOUT_S:g} s")
