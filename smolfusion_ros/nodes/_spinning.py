"""A node beside a program of its own: the demo's, a bench's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

SomeNode = TypeVar("SomeNode", bound=Node)


@contextmanager
def spinning(make_node: Callable[[], SomeNode]) -> Iterator[SomeNode]:
    """A node that spins in a thread until the block is left."""
    rclpy.init()
    node = make_node()
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        rclpy.try_shutdown()
        thread.join(2.0)
