"""The latched emergency stop: heard from every publisher, in every state of the node, until it is reset.

The latch ends with the process: only a publisher that latches its own state engages it again in the next one. It is
software and no safety-rated stop.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from smolfusion_ros.dialogue.actions import PLAIN_STOP
from smolfusion_ros.dialogue.engine import DialogueEngine
from smolfusion_ros.dialogue.policy import CommandPolicy
from smolfusion_ros.dialogue.turn import IssuedCommand, new_id
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._asyncio import IoLoop
from smolfusion_ros.nodes._broadcast import Broadcast
from smolfusion_ros.nodes._diagnostics import OK, WARN, Diagnostics, Status

# One press may be heard by several subscriptions.
ONE_PRESS_S = 0.05


class EmergencyStop:
    """``emergency_stop`` and ``reset_emergency_stop``.

    Args:
        engine: the dialogue to end; None while there is none.
        callback_group: of the service.
    """

    def __init__(
        self,
        node: Node,
        io: IoLoop,
        diagnostics: Diagnostics,
        policy: CommandPolicy,
        engine: Callable[[], DialogueEngine | None],
        broadcast: Broadcast,
        callback_group: CallbackGroup,
    ) -> None:
        self._logger = node.get_logger()
        self._io = io
        self._policy = policy
        self._engine = engine
        self._broadcast = broadcast
        self._pressed_s = -float("inf")
        stop_group = MutuallyExclusiveCallbackGroup()
        for qos in _qos.STOPS:
            node.create_subscription(Bool, "emergency_stop", self._on_press, qos, callback_group=stop_group)
        node.create_service(Trigger, "reset_emergency_stop", self._on_reset, callback_group=callback_group)
        diagnostics.add("emergency stop", self._status)

    def _on_press(self, message: Bool) -> None:
        if message.data:
            self._io.submit(self._engage())

    async def _engage(self) -> None:
        engine, now_s = self._engine(), monotonic()
        self._policy.emergency_stop = True
        stop = engine.set_emergency_stop(True) if engine is not None else None
        stop = stop or IssuedCommand(new_id(), "", PLAIN_STOP, "reflex")
        if now_s - self._pressed_s < ONE_PRESS_S:
            return
        self._pressed_s = now_s
        self._broadcast.command(stop)
        self._logger.warning("emergency stop engaged: no commands until reset_emergency_stop is called")

    async def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = await self._io.awaitable(self._io.submit(self._release()))
        response.message = "released" if response.success else "the emergency stop is not engaged"
        return response

    async def _release(self) -> bool:
        engaged = self._policy.emergency_stop
        self._policy.emergency_stop = False
        self._pressed_s = -float("inf")  # a press right after this is another one
        return engaged

    def _status(self) -> Status:
        if self._policy.emergency_stop:
            return Status(WARN, "engaged: commands are held back until reset_emergency_stop is called")
        return Status(OK, "not engaged")
