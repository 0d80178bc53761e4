"""The gateway's side of the action ``converse``: its services, without its topics.

rclpy's ActionClient hears the action's feedback and the status of every goal of the last seconds too. The topics
``reply`` and ``turn`` tell all of that, so it would be two wake-ups more for each piece of text, and a message that
grows with the number of users: one millisecond of Python where 60 goals were sent within ten seconds.
Names of an action's services: https://design.ros2.org/articles/actions.html
"""

from __future__ import annotations

import uuid
from typing import Any

from action_msgs.srv import CancelGoal
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future
from unique_identifier_msgs.msg import UUID

from smolfusion_ros.action import Converse
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._asyncio import IoLoop

ACTION = "converse"


class Goals:
    """Sends goals of ``converse`` and cancels them; coroutines belong to the I/O loop."""

    def __init__(self, node: Node, io: IoLoop) -> None:
        self._node = node
        self._io = io
        group = ReentrantCallbackGroup()

        def client(kind: Any, name: str) -> Client:
            return node.create_client(kind, f"{ACTION}/_action/{name}", qos_profile=_qos.REQUESTS, callback_group=group)

        self._send = client(Converse.Impl.SendGoalService, "send_goal")
        self._result = client(Converse.Impl.GetResultService, "get_result")
        self._cancel = client(CancelGoal, "cancel_goal")

    def is_served(self) -> bool:
        """Somebody takes goals."""
        return all(each.service_is_ready() for each in (self._send, self._result, self._cancel))

    async def send(self, goal: Converse.Goal, goal_id: uuid.UUID) -> bool:
        """Whether the goal is accepted. A goal that nobody waits for any more is cancelled once it is."""
        request = Converse.Impl.SendGoalService.Request(goal_id=_message(goal_id), goal=goal)

        def give_up(sent: Future) -> None:
            sent.add_done_callback(lambda done: self._cancel_now(goal_id) if _is_accepted(done) else None)

        answer = await self._io.from_ros(lambda: self._send.call_async(request), give_up)
        return bool(answer.accepted)

    async def result(self, goal_id: uuid.UUID) -> Converse.Result:
        """What became of an accepted goal, when it has ended; empty where the server knows no such goal any more."""
        request = Converse.Impl.GetResultService.Request(goal_id=_message(goal_id))
        answer = await self._io.from_ros(lambda: self._result.call_async(request), self._result.remove_pending_request)
        return answer.result

    def cancel(self, goal_id: uuid.UUID) -> None:
        """Soon, without waiting for it."""
        self._node.executor.create_task(self._cancel_now, goal_id)

    def _cancel_now(self, goal_id: uuid.UUID) -> None:
        """In the ROS thread."""
        request = CancelGoal.Request()
        request.goal_info.goal_id = _message(goal_id)
        try:
            self._cancel.call_async(request)
        except Exception as error:  # of rcl, at the end of the process; it must not end the node otherwise
            self._node.get_logger().warning(f"a turn was not cancelled: {error}")


def _is_accepted(sent: Future) -> bool:
    return not sent.cancelled() and sent.exception() is None and sent.result().accepted


def _message(goal_id: uuid.UUID) -> UUID:
    return UUID(uuid=list(goal_id.bytes))
