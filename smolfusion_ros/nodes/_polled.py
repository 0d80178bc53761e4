"""Hearing a busy topic without being woken by it.

In rclpy each wake-up of the executor costs about a millisecond of Python: a topic at 30 Hz takes 3 % of a core however
little its callback does. Messages that are wanted once a second are left in the middleware, which keeps the newest,
and are taken from there when their time has come.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile

Message = TypeVar("Message")


class _NeverExecuted(MutuallyExclusiveCallbackGroup):
    """The executor leaves such entities out of what it waits for."""

    def can_execute(self, entity: object) -> bool:
        return False


class PolledSubscription(Generic[Message]):
    """A subscription that calls nobody.

    Args:
        qos: its depth is the number of messages kept until they are taken; the oldest go.
    """

    def __init__(self, node: Node, kind: type[Message], topic: str, qos: QoSProfile) -> None:
        self._depth = qos.depth
        self._subscription = node.create_subscription(kind, topic, lambda _: None, qos, callback_group=_NeverExecuted())

    def take(self) -> Iterator[Message]:
        """The messages that wait, oldest first; at most as many as are kept, so that a flood is no endless loop."""
        subscription = self._subscription
        for _ in range(self._depth):
            with subscription.handle:
                taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
            if taken is None:
                return
            yield taken[0]
