"""Runs one node until it is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable

import rclpy
import rclpy.logging
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from smolfusion_ros.errors import SmolFusionError
from smolfusion_ros.nodes._lifecycle import ManagedNode

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PACKAGE = "smolfusion_ros"


def run(make_node: Callable[[], Node]) -> int:
    """Spin a node; 0 after Ctrl-C or SIGTERM, 2 if it could not be started (the reason goes to stderr).

    rclpy's own handlers would end the context at once; the node has last things to say.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        return _run(make_node)
    except KeyboardInterrupt:  # while it was starting
        rclpy.try_shutdown()
        return 0


def _run(make_node: Callable[[], Node]) -> int:
    try:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
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
    log.logger = node.get_logger()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        _spin(node, executor)
    finally:
        _end(node, executor)
    return 0


def _spin(node: Node, executor: Executor) -> None:
    """Until a signal comes; the callback that is under way then is not interrupted."""
    told, tell = socket.socketpair()
    tell.setblocking(False)
    stop = threading.Event()
    wake = node.create_guard_condition(lambda: None, MutuallyExclusiveCallbackGroup())

    def listen() -> None:
        told.recv(1)
        stop.set()
        wake.trigger()

    listener = threading.Thread(target=listen, name="signals", daemon=True)
    listener.start()
    try:
        # Python runs a handler when the main thread is back from waiting in rcl; the file descriptor hears at once.
        signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            executor.spin_once()
    finally:
        signal.set_wakeup_fd(-1)
        tell.close()  # ends the listener, if no signal has
        listener.join()
        told.close()


def _end(node: Node, executor: Executor) -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # a launcher's second signal must not interrupt the tidying up
    try:
        if isinstance(node, ManagedNode):
            node.stop()
    finally:
        try:
            getattr(node, "close", lambda: None)()
        finally:
            executor.shutdown(timeout_sec=1.0)
            node.destroy_node()
            rclpy.try_shutdown()


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
