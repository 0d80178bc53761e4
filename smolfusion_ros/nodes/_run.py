"""Runs one node until it is told to stop."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable

import rclpy
import rclpy.logging
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher

from smolfusion_ros.errors import SmolFusionError
from smolfusion_ros.nodes._lifecycle import ManagedNode
from smolfusion_ros.nodes._steady import steady_timer

WAKE_INTERVAL_S = 1.0
_PACKAGE = "smolfusion_ros"


def run(make_node: Callable[[], Node]) -> int:
    """Spin a node; 0 after Ctrl-C or SIGTERM, 2 if it could not be started (the reason goes to stderr)."""
    try:
        rclpy.init()
    except RuntimeError as error:  # rcl cannot read a remapping, a parameter or a parameter file
        print(f"cannot start: {error}", file=sys.stderr)
        return 2
    log = _forward_logging()
    try:
        node = make_node()
        if isinstance(node, ManagedNode):
            node.start()
    except SmolFusionError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    except (KeyboardInterrupt, Exception):
        if rclpy.ok():
            raise
        return 0  # told to stop while it was starting
    log.logger = node.get_logger()
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
        if isinstance(node, ManagedNode):
            node.stop()
        close = getattr(node, "close", None)
        if close is not None:
            close()
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def publish_unless_stopped(node: Node, publisher: Publisher, message: object) -> None:
    """Publish from a thread of the node's own, which may be at it while the node is told to stop."""
    try:
        publisher.publish(message)
    except Exception:
        if node.context.ok():
            raise


def _look_up_now_and_then(node: Node) -> None:
    """Bound how long a stop goes unnoticed: rclpy's wake-up of the executor by a signal is lost now and then."""
    steady_timer(node, WAKE_INTERVAL_S, lambda: None)


class _RosHandler(logging.Handler):
    """Hands what the core logs to ROS, once there is a node to its logger."""

    def __init__(self) -> None:
        super().__init__()
        self.logger = rclpy.logging.get_logger(_PACKAGE)

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if record.levelno >= logging.ERROR:
            self.logger.error(text)
        elif record.levelno >= logging.WARNING:
            self.logger.warning(text)
        elif record.levelno >= logging.INFO:
            self.logger.info(text)
        else:
            self.logger.debug(text)


def _forward_logging() -> _RosHandler:
    handler, logger = _RosHandler(), logging.getLogger(_PACKAGE)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    return handler
