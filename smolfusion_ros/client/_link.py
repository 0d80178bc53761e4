"""The one crossing between a program's threads and ROS: a node, who spins it, and waiting with an end."""

from __future__ import annotations

import concurrent.futures
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future

from smolfusion_ros.client.errors import RobotError, RobotTimeoutError, RobotUnavailableError

POLL_S = 0.02
END_S = 2.0


class Link:
    """A node of its own context, spun in a thread; or the caller's node, which the caller spins.

    Callbacks run one after the other in a thread of their own, so that they may ask and wait themselves.

    Args:
        namespace: of the stack; a ``__ns`` on the command line wins.
        node: an existing node, in the stack's namespace.
        domain_id: None: that of ``ROS_DOMAIN_ID``.
    """

    def __init__(self, name: str, namespace: str, node: Node | None, domain_id: int | None) -> None:
        self._closed = False
        self._pending: set[concurrent.futures.Future[Any]] = set()
        self._callbacks = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix=f"{name} callbacks")
        self._thread: threading.Thread | None = None
        self._domain_id = os.environ.get("ROS_DOMAIN_ID", "0") if domain_id is None else str(domain_id)
        if node is not None:
            self.node = node
            return
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = Node(name, context=self._context, namespace=namespace)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name=f"{name} ROS", daemon=True)

    def begin_with(self, make: Callable[[], None]) -> None:
        """Make the node's clients, publishers and subscriptions, and hear from then on.

        An action client that is made while another thread spins its node breaks that thread (rclpy adds it to the node
        before it is complete), so a node of the caller's gets them in the thread that spins it.

        Raises:
            RobotError: the caller's node has an executor that does not spin.
        """
        if self._thread is not None:
            make()
            self._thread.start()
            return
        executor = self.node.executor
        if executor is None:
            make()
            return
        made: concurrent.futures.Future[None] = concurrent.futures.Future()

        def begin() -> None:
            if made.set_running_or_notify_cancel():
                try:
                    make()
                    made.set_result(None)
                except Exception as error:  # of whoever waits
                    made.set_exception(error)

        executor.create_task(begin)
        try:
            made.result(END_S)
        except concurrent.futures.TimeoutError:
            made.cancel()
            raise RobotError(
                f"nobody spins the node {self.node.get_fully_qualified_name()}: spin it in another thread"
            ) from None

    def close(self) -> None:
        """End the thread; whoever still waits gets a RobotUnavailableError."""
        if self._closed:
            return
        self._closed = True
        for waiting in list(self._pending):
            with suppress(concurrent.futures.InvalidStateError):
                waiting.set_exception(RobotUnavailableError("the connection to the robot was closed"))
        self._callbacks.shutdown(wait=False, cancel_futures=True)
        if self._thread is not None:
            rclpy.try_shutdown(context=self._context)
            self._thread.join(END_S)
            self.node.destroy_node()

    def call_back(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Have a callback run in the callbacks' thread; what it raises is logged."""

        def run() -> None:
            try:
                callback(*arguments)
            except Exception as error:  # of the program; the robot goes on being heard
                self.node.get_logger().error(f"a callback failed: {type(error).__name__}: {error}")

        with suppress(RuntimeError):  # closed meanwhile
            self._callbacks.submit(run)

    def wait_for(self, true: Callable[[], object], timeout_s: float, what: str) -> None:
        """Return once ``true()`` is.

        Raises:
            RobotUnavailableError: it is not in time; the message begins with ``what`` and tells who is there.
        """
        end_s = monotonic() + timeout_s
        while True:
            self.check_open()
            try:
                if true():
                    return
            except RuntimeError:  # rclpy's, when the connection is closed just now
                self.check_open()
                raise
            if monotonic() >= end_s:
                raise RobotUnavailableError(f"{what} within {timeout_s:g} s: {self._who_is_there()}")
            sleep(POLL_S)

    def ask(
        self,
        start: Callable[[], Future[Any]],
        timeout_s: float,
        what: str,
        give_up: Callable[[Future[Any]], object] | None = None,
    ) -> Any:
        """The result of a rclpy future that ``start`` makes; both happen in the thread that spins the node.

        Args:
            give_up: called there with the future if it comes too late.

        Raises:
            RobotTimeoutError: no result in time; the message begins with ``what``.
        """
        begun: list[Future[Any]] = []

        def started() -> Future[Any]:
            begun.append(start())
            return begun[0]

        asked = self.begin(started)
        try:
            return asked.result(timeout_s)
        except concurrent.futures.TimeoutError:
            if give_up is not None and self.node.executor is not None:
                self.node.executor.create_task(lambda: [give_up(future) for future in begun])
            raise RobotTimeoutError(f"{what} within {timeout_s:g} s") from None
        finally:
            self._pending.discard(asked)

    def begin(self, start: Callable[[], Future[Any]]) -> concurrent.futures.Future[Any]:
        """Like ``ask``, without the wait."""
        self.check_open()
        if threading.current_thread() is self._thread:
            raise RobotError("this is the thread that hears the robot: it cannot wait for an answer")
        executor = self.node.executor
        if executor is None:
            raise RobotError(f"nobody spins the node {self.node.get_fully_qualified_name()}: spin it in another thread")
        asked: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._pending.add(asked)

        def hand_over(done: Future[Any]) -> None:
            self._pending.discard(asked)
            with suppress(concurrent.futures.InvalidStateError):  # closed meanwhile
                if (error := done.exception()) is not None:
                    asked.set_exception(error)
                else:
                    asked.set_result(done.result())

        def begin() -> None:
            try:
                start().add_done_callback(hand_over)
            except Exception as error:  # of whoever waits
                with suppress(concurrent.futures.InvalidStateError):
                    asked.set_exception(error)

        executor.create_task(begin)
        return asked

    def now_s(self) -> float:
        """The clock that messages are stamped with, seconds."""
        return float(self.node.get_clock().now().nanoseconds) * 1e-9

    def check_open(self) -> None:
        """Raise RobotUnavailableError after ``close``."""
        if self._closed:
            raise RobotUnavailableError("the connection to the robot is closed")

    def _who_is_there(self) -> str:
        namespace = self.node.get_namespace()
        names = self.node.get_node_names_and_namespaces()
        ours = sorted({name for name, where in names if where == namespace and name != self.node.get_name()})
        if ours:
            return f"{', '.join(ours)} run in {namespace}; has the one that serves it ended, or is it not active?"
        others = sorted({where for name, where in names if name == "dialogue"})
        hint = f" (a stack runs in {', '.join(others)})" if others else ""
        return (
            f"no node of {namespace} is seen{hint}: is the stack running, in this namespace and in this "
            f"ROS_DOMAIN_ID ({self._domain_id})?"
        )

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()
