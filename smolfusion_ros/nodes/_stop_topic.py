"""Hearing ``emergency_stop`` from every kind of publisher."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Bool

from smolfusion_ros.nodes import _qos

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


def on_emergency_stop(node: Node, pressed: Callable[[], None]) -> None:
    """Call back at each press; more than once where several of the subscriptions hear it."""

    def hear(message: Bool) -> None:
        if message.data:
            pressed()

    group = MutuallyExclusiveCallbackGroup()
    for qos in _qos.STOPS:
        node.create_subscription(
            Bool,
            "emergency_stop",
            hear,
            qos,
            callback_group=group,
            # What one of them cannot hear, another does: no warning that it is not heard.
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=lambda _: None),
        )
