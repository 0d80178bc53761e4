"""One turn that somebody at the gateway waits for: what of it has come and was not handed on yet."""

from __future__ import annotations

import asyncio
from collections import deque

from smolfusion_ros.errors import SmolFusionError
from smolfusion_ros.gateway.robot import Piece
from smolfusion_ros.gateway.schemas import Delta
from smolfusion_ros.gateway.values import Command, Reply, Turn
from smolfusion_ros.nodes._gateway_values import answer_value


class AwaitedTurn:
    """Fed on the I/O loop from three topics, whose order is not that of the turn; gives pieces in a sensible one.

    The record of the turn is the whole truth: what it knows of and was not given yet is given before it.

    Attributes:
        ended: nothing more is taken; with ``complete``, since the record has come.
    """

    def __init__(self, turn_id: str) -> None:
        self.turn_id = turn_id
        self._pieces: deque[Piece] = deque()
        self._said = ""
        self._sequence = -1
        self._commands: set[str] = set()
        self._error: Exception | None = None
        self._arrived = asyncio.Event()
        self.ended = False
        self.complete = False

    def on_reply(self, reply: Reply) -> None:
        """Pieces of text that nobody has taken yet are joined."""
        if reply.turn_id != self.turn_id or self.ended or reply.sequence <= self._sequence:
            return
        self._sequence = reply.sequence
        self._say(reply.delta)

    def on_command(self, command: Command) -> None:
        if command.turn_id == self.turn_id and not self.ended and command.id not in self._commands:
            self._commands.add(command.id)
            self._put(command)

    def on_turn(self, turn: Turn) -> None:
        if turn.id != self.turn_id or self.ended:
            return
        if turn.said.startswith(self._said):
            self._say(turn.said[len(self._said) :])
        for command in turn.commands:
            self.on_command(command)
        self._put(answer_value(turn))
        self.ended = self.complete = True

    def fail(self, error: Exception) -> None:
        """What has come is given, then this is raised; unless the turn is complete."""
        if not self.ended:
            self._error, self.ended = error, True
            self._arrived.set()

    async def next(self) -> Piece:
        """The next piece; after the whole answer there is none.

        Raises:
            SmolFusionError: the turn failed.
        """
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.ended:
                raise SmolFusionError("the turn has ended")
            self._arrived.clear()
            await self._arrived.wait()
        return self._pieces.popleft()

    def _say(self, delta: str) -> None:
        if not delta:
            return
        self._said += delta
        if self._pieces and isinstance(self._pieces[-1], Delta):
            delta = self._pieces.pop().text + delta
        self._put(Delta(text=delta))

    def _put(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self._arrived.set()
