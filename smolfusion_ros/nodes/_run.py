"""Runs one node until it is told to stop."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable

import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from smolfusion_ros.errors import SmolFusionError

WAKE_INTERVAL_S = 1.0


def run(make_node: Callable[[], Node]) -> int:
    """Spin a node; 0 after Ctrl-C or SIGTERM, 2 if it could not be started (the reason goes to stderr)."""
    rclpy.init()
    try:
        node = make_node()
    except SmolFusionError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    except (KeyboardInterrupt, Exception):
        if rclpy.ok():
            raise
        return 0  # told to stop while it was starting
    _forward_logging(node)
    _look_up_now_and_then(node)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        if rclpy.ok():  # else: a callback was at work when the context ended
            raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a launcher's second signal must not interrupt the tidying up
        close = getattr(node, "close", None)
        if close is not None:
            close()
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _look_up_now_and_then(node: Node) -> None:
    """Bound how long a stop goes unnoticed: rclpy's wake-up of the executor by a signal is lost now and then."""
    node.create_timer(
        WAKE_INTERVAL_S,
        lambda: None,
        callback_group=MutuallyExclusiveCallbackGroup(),
        clock=Clock(clock_type=ClockType.STEADY_TIME),
    )


class _RosHandler(logging.Handler):
    """Hands what the core logs to the node's logger."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._logger = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def _forward_logging(node: Node) -> None:
    logger = logging.getLogger("smolfusion_ros")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(_RosHandler(node))
