"""A node's part of ``/diagnostics``: one small task per concern, told once a second.

Message and naming follow diagnostic_updater (``<node>: <task>``), so that rqt_robot_monitor and the aggregator read it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from socket import gethostname

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from smolfusion_ros.nodes._steady import steady_timer

PERIOD_S = 1.0
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True)
class Status:
    """What a task found: a level, a line for people, and figures."""

    level: bytes
    summary: str
    values: Mapping[str, object] = field(default_factory=dict)


class Diagnostics:
    """Runs a node's tasks and publishes what they say, on the steady clock; one that raises is an error itself."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._name = node.get_fully_qualified_name().lstrip("/")
        self._tasks: dict[str, Callable[[], Status]] = {}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady_timer(node, PERIOD_S, self.publish)

    def add(self, name: str, task: Callable[[], Status]) -> None:
        """Have a task run once a second, and whenever a thread calls ``publish``; it must not block."""
        self._tasks[name] = task

    def remove(self, name: str) -> None:
        """Tell no more of a task."""
        self._tasks.pop(name, None)

    def publish(self) -> None:
        """Tell at once, from any thread; for what cannot wait for the next second."""
        message = DiagnosticArray(status=[self._status(name, task) for name, task in list(self._tasks.items())])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _status(self, name: str, task: Callable[[], Status]) -> DiagnosticStatus:
        try:
            found = task()
        except Exception as error:  # a broken task must not silence the others
            found = Status(ERROR, f"{type(error).__name__}: {error}")
        values = {**found.values, "pid": os.getpid(), "host": gethostname()}
        return DiagnosticStatus(
            level=found.level,
            name=f"{self._name}: {name}",
            message=found.summary,
            hardware_id=self._node.get_namespace(),
            values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
        )


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
