"""Timers on the steady clock, which goes on when the system's or the simulation's clock jumps or stands still."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node


def steady_timer(node: Node, period_s: float, callback: Callable[[], object]) -> None:
    """Call back every ``period_s`` seconds; in a callback group of its own, so that no waiting service holds it up."""
    clock = Clock(clock_type=ClockType.STEADY_TIME)
    node.create_timer(period_s, callback, callback_group=MutuallyExclusiveCallbackGroup(), clock=clock)
