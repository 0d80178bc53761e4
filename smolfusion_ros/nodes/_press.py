"""Who presses the emergency stop: a publisher that warns of nothing where all is well."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Bool

from smolfusion_ros.nodes import _qos

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks


def press_publisher(node: Node) -> Publisher[Any]:
    """Publishes ``emergency_stop``: reliable, and not latched, since a dialogue that starts later must not hear a press
    that was reset long ago.
    """
    return node.create_publisher(
        Bool,
        "emergency_stop",
        _qos.UTTERANCE,
        # The dialogue listens in several ways (_qos.STOPS); that one of them wants a latched publisher is no warning.
        event_callbacks=PublisherEventCallbacks(incompatible_qos=lambda _: None),
    )
