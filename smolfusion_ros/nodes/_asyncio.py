"""The one crossing between the ROS thread and the I/O loop.

A node spins in one thread; HTTP and waiting happen on one asyncio loop in another. An ``async`` callback awaits work
of the loop through a rclpy future. Setting such a future from another thread does not wake the executor, so the
executor is woken explicitly; until then it sleeps (rclpy polls awaited futures only when something wakes it).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from time import monotonic, sleep
from typing import Any, TypeVar

from rclpy.node import Node
from rclpy.task import Future

from smolfusion_ros.errors import InactiveError, SmolFusionError

SETTLE_S = 0.1
POLL_S = 0.05

Result = TypeVar("Result")


class IoLoop:
    """An asyncio loop in a thread of its own."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._waiting = 0  # callbacks; of the ROS thread
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="io", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        """Start work on the loop, from any thread; what it raises unexpectedly is logged."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        future.add_done_callback(self._log_failure)
        return future

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start work from the loop itself; what it raises unexpectedly is logged."""
        task = self._loop.create_task(work)
        task.add_done_callback(self._log_failure)
        return task

    async def awaitable(self, work: concurrent.futures.Future[Result]) -> Result:
        """For ``await`` in an async ROS callback: the work's result, or its exception.

        Raises:
            InactiveError: the work was cancelled.
        """
        awaited = Future()

        def hand_over(done: concurrent.futures.Future[Result]) -> None:
            if done.cancelled():
                awaited.set_exception(InactiveError(f"{self._node.get_name()} was told to stop working"))
            elif (error := done.exception()) is not None:
                awaited.set_exception(error)
            else:
                awaited.set_result(done.result())
            executor = self._node.executor
            if executor is not None:
                executor.wake()

        work.add_done_callback(hand_over)
        self._waiting += 1
        try:
            return await awaited
        finally:
            self._waiting -= 1

    async def from_ros(self, start: Callable[[], Future], give_up: Callable[[Future], object]) -> Any:
        """On the loop: the result of a rclpy future that ``start`` makes in the ROS thread.

        Args:
            give_up: called in the ROS thread with the future if the awaiting task is cancelled.

        Raises:
            Exception: what the future holds.
        """
        arrived: asyncio.Future[Any] = self._loop.create_future()

        def hand_over(done: Future) -> None:
            if arrived.done():
                return
            error = done.exception()
            if error is not None:
                arrived.set_exception(error)
            else:
                arrived.set_result(done.result())

        begun: list[Future] = []

        def fail(error: Exception) -> None:
            if not arrived.done():
                arrived.set_exception(error)

        def begin() -> None:
            try:
                begun.append(start())
            except Exception as error:  # of whoever awaits; it must not end the node
                self.call_soon(fail, error)
                return
            begun[0].add_done_callback(lambda done: self.call_soon(hand_over, done))

        executor = self._node.executor
        executor.create_task(begin)
        try:
            return await arrived
        except asyncio.CancelledError:
            executor.create_task(lambda: [give_up(future) for future in begun])
            raise

    def call_soon(self, function: Callable[..., object], *args: Any) -> None:
        """Run a plain function on the loop, from any thread."""
        self._loop.call_soon_threadsafe(function, *args)

    def spin_until(self, done: Callable[[], bool], timeout_s: float) -> None:
        """In the ROS thread, at the end of the node: go on hearing until something is done, or the time is over."""
        end_s = monotonic() + timeout_s
        while not done() and monotonic() < end_s:
            if self._node.executor is None:
                sleep(POLL_S)
            else:
                self._node.executor.spin_once(timeout_sec=POLL_S)

    def close(self, timeout_s: float = 1.0) -> None:
        """In the ROS thread: cancel what runs, let the callbacks that wait for it answer, and end the thread."""
        cancelled = asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop)
        self.spin_until(lambda: cancelled.done() and not self._waiting, timeout_s)
        self.spin_until(lambda: False, SETTLE_S)  # an action's result takes further rounds
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._loop.close()

    async def _cancel_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=1.0) if others else None

    def _log_failure(self, done: concurrent.futures.Future[Any] | asyncio.Task[Any]) -> None:
        if done.cancelled() or (error := done.exception()) is None:
            return
        logger, text = self._node.get_logger(), f"{type(error).__name__}: {error}"
        if isinstance(error, SmolFusionError):
            logger.debug(text)  # told to whoever asked
        else:
            logger.error(text)
