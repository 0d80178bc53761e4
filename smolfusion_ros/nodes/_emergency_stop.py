"""The latched emergency stop: heard from every publisher, in every state of the node, until it is reset.

A file keeps it engaged beyond the end of the process, and of the robot's power. It is software and no safety-rated
stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from smolfusion_ros.dialogue.actions import PLAIN_STOP
from smolfusion_ros.dialogue.engine import DialogueEngine
from smolfusion_ros.dialogue.policy import CommandPolicy
from smolfusion_ros.dialogue.stop_mark import StopMark
from smolfusion_ros.dialogue.turn import IssuedCommand, new_id
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._asyncio import IoLoop
from smolfusion_ros.nodes._broadcast import Broadcast
from smolfusion_ros.nodes._diagnostics import OK, WARN, Diagnostics, Status
from smolfusion_ros.nodes._stop_topic import on_emergency_stop

# One press may be heard by several subscriptions.
ONE_PRESS_S = 0.05
_UNTIL = "no commands until reset_emergency_stop is called"


class EmergencyStop:
    """``emergency_stop`` and ``reset_emergency_stop``; tells ``emergency_stop_engaged``.

    Args:
        engine: the dialogue to end; None while there is none.
        mark: the file that keeps it engaged.
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
        mark: Path,
        callback_group: CallbackGroup,
    ) -> None:
        self._logger = node.get_logger()
        self._io = io
        self._policy = policy
        self._engine = engine
        self._broadcast = broadcast
        self._pressed_s = -float("inf")
        self._mark = StopMark(mark)
        self._marking = asyncio.Lock()
        self._marked: bool | None = self._mark.is_set()  # None: not known
        self._engaged = node.create_publisher(Bool, "emergency_stop_engaged", _qos.LATCHED)
        policy.emergency_stop = self._marked
        self._tell()
        if policy.emergency_stop:
            self._logger.warning(f"emergency stop is still engaged ({mark}): {_UNTIL}")
        on_emergency_stop(node, lambda: self._io.submit(self._engage()))
        node.create_service(Trigger, "reset_emergency_stop", self._on_reset, callback_group=callback_group)
        diagnostics.add("emergency stop", self._status)

    def close(self) -> None:
        """When the I/O loop has ended: what it could not write any more."""
        trouble = self._write()
        if trouble:
            self._logger.error(f"emergency stop would not outlive this process: {trouble}")

    async def _engage(self) -> None:
        engine, now_s = self._engine(), monotonic()
        self._policy.emergency_stop = True
        stop = engine.set_emergency_stop(True) if engine is not None else None
        stop = stop or IssuedCommand(new_id(), "", PLAIN_STOP, "reflex")
        if now_s - self._pressed_s < ONE_PRESS_S:
            return
        self._pressed_s = now_s
        self._broadcast.command(stop)
        self._tell()
        self._logger.warning(f"emergency stop engaged: {_UNTIL}")
        trouble = await self._keep()
        if trouble:
            self._logger.error(f"emergency stop would not outlive this process: {trouble}")

    async def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.success, response.message = await self._io.awaitable(self._io.submit(self._release()))
        except Exception as error:  # it must not end the node
            response.message = f"{type(error).__name__}: {error}"
        return response

    async def _release(self) -> tuple[bool, str]:
        engaged = self._policy.emergency_stop
        self._policy.emergency_stop = False
        self._pressed_s = -float("inf")  # a press right after this is another one
        self._tell()
        trouble = await self._keep()
        if trouble:
            return engaged, f"released, but it will be engaged again at the next start: {trouble}"
        return engaged, "released" if engaged else "the emergency stop is not engaged"

    async def _keep(self) -> str:
        """Bring the file into the stop's present state; what went wrong, if anything did."""
        async with self._marking:
            return await asyncio.to_thread(self._write)

    def _write(self) -> str:
        engaged = self._policy.emergency_stop
        if engaged is self._marked:
            return ""
        self._marked = None
        try:
            self._mark.write(engaged)
        except OSError as error:
            return str(error)
        self._marked = engaged
        return ""

    def _tell(self) -> None:
        self._engaged.publish(Bool(data=self._policy.emergency_stop))

    def _status(self) -> Status:
        if self._policy.emergency_stop:
            return Status(WARN, "engaged: commands are held back until reset_emergency_stop is called")
        return Status(OK, "not engaged")
