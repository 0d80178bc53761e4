"""A llama server as a node sees it: asked for its health while the node is active, and told of in ``/diagnostics``."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import Any

from rclpy.node import Node

from smolfusion_ros.llama.client import LlamaClient
from smolfusion_ros.llama.guard import State, watch
from smolfusion_ros.nodes._asyncio import IoLoop
from smolfusion_ros.nodes._diagnostics import ERROR, OK, WARN, Diagnostics, Status

_LEVELS = {State.UP: OK, State.UNKNOWN: OK, State.LOADING: WARN, State.STRUGGLING: ERROR, State.DOWN: ERROR}


class Backend:
    """One server and its watch.

    Args:
        task: name of the diagnostic task.
        what: the server in people's words, for the log.
        on_up: started on the I/O loop whenever the server has come up; cancelled when the server is left alone.
    """

    def __init__(
        self,
        node: Node,
        io: IoLoop,
        diagnostics: Diagnostics,
        task: str,
        what: str,
        client: LlamaClient,
        on_up: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self.client = client
        self._logger = node.get_logger()
        self._io = io
        self._diagnostics = diagnostics
        self._task = task
        self._what = what
        self._on_up = on_up
        diagnostics.add(task, self._status)
        # Of the ROS thread; what follows from it is of the I/O loop.
        self._watching: concurrent.futures.Future[None] | None = None
        self._since_up: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        return self.client.guard.state is State.UP

    def begin(self) -> None:
        """Watch the server from now on."""
        self._watching = self._io.submit(self._watch())

    def rest(self) -> None:
        """Leave the server alone."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    def close(self, first: Coroutine[Any, Any, None] | None = None) -> concurrent.futures.Future[None]:
        """Do what must come first, then close all connections; the server ends what it was doing for them."""
        self.rest()
        self._diagnostics.remove(self._task)
        return self._io.submit(self._close(first))

    async def _close(self, first: Coroutine[Any, Any, None] | None) -> None:
        try:
            if first is not None:
                await first
        finally:
            await self.client.close()

    async def _watch(self) -> None:
        try:
            await watch(self.client.probe, self.client.guard, self._on_change)
        finally:
            if self._since_up is not None:
                self._since_up.cancel()

    def _status(self) -> Status:
        guard = self.client.guard
        values = {"url": self.client.url, "state": guard.state.value, "seconds in state": guard.seconds_in_state}
        if self._watching is None:
            return Status(OK, "left alone: the node is not active", values)
        summary = f"{guard.state.value}: {guard.reason}" if guard.reason else guard.state.value
        return Status(_LEVELS[guard.state], summary, values)

    def _on_change(self, state: State) -> None:
        self._diagnostics.publish()
        if state is State.UP:
            self._logger.info(f"{self._what} is up")
            if self._since_up is not None:
                self._since_up.cancel()
            self._since_up = self._io.start(self._on_up())
        else:
            reason = f": {self.client.guard.reason}" if self.client.guard.reason else ""
            self._logger.warning(f"{self._what} is {state.value}{reason}")
