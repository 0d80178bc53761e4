"""One source, many readers, some of them slow: what happens is handed on to each at its own pace.

State (a scene, the motion …) is only worth its newest value: a reader that has not taken the one before gets the new
one in its place, so a slow reader skips and its queue stays short. A conversation is worth every word: its events wait
in order, and a reader that lets too many wait is closed, since a conversation with holes would mislead; it may come
again and begins with a snapshot. Nobody ever waits for a reader.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from smolfusion_ros.errors import BusyError, InactiveError
from smolfusion_ros.gateway.values import Command, CommandStatus, GivenCommand, Turn, Value

STATE = ("scene", "motion", "performance", "diagnostics", "emergency_stop", "keyframe")
CONVERSATION = ("utterance", "reply", "turn", "command", "status")
MAX_WAITING = 256
REMEMBERED_TURNS = 20
REMEMBERED_COMMANDS = 20
SNAPSHOT = "snapshot"

State = TypeVar("State", bound=BaseModel)


@dataclass(frozen=True)
class Event:
    """What happened, encoded once for all readers. ``data`` is JSON."""

    name: str
    data: str


class Snapshot(Value):
    """The newest state of everything, null for what has not been heard yet, and the newest turns and commands, oldest
    first.
    """

    scene: Any = None
    motion: Any = None
    performance: Any = None
    diagnostics: Any = None
    emergency_stop: Any = None
    keyframe: Any = None
    turns: tuple[Turn, ...] = ()
    commands: tuple[GivenCommand, ...] = ()


class Reader:
    """One reader's queue; at most one event of each kind of state, and ``MAX_WAITING`` of conversation."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[object, Event] = OrderedDict()
        self._conversation = 0
        self._arrived = asyncio.Event()
        self.closed = False
        self.too_slow = False
        self.skipped = 0

    def put(self, event: Event) -> None:
        """Never blocks."""
        if self.closed:
            return
        if event.name in STATE:
            if self._waiting.pop(event.name, None) is not None:
                self.skipped += 1
            self._waiting[event.name] = event
        elif self._conversation >= MAX_WAITING:
            self.too_slow = True
            self.close()
            return
        else:
            self._conversation += 1
            self._waiting[object()] = event
        self._arrived.set()

    def close(self) -> None:
        """What waits is dropped; the reader is told at once."""
        self.closed = True
        self._waiting.clear()
        self._arrived.set()

    async def next(self) -> Event | None:
        """The oldest event that waits, or the next to come; None when the reader was closed."""
        while not self._waiting:
            if self.closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        _, event = self._waiting.popitem(last=False)
        if event.name not in STATE:
            self._conversation -= 1
        return event


class Hub:
    """Used on one loop only.

    Args:
        max_streams: open streams of any kind; what is more is refused.

    Attributes:
        observers: called with every event's name and value, also when nobody reads.
    """

    def __init__(self, max_streams: int = 64) -> None:
        self._max_streams = max_streams
        self._readers: set[Reader] = set()
        self._streams = 0
        self._newest: dict[str, BaseModel] = {}
        self._turns: deque[Turn] = deque(maxlen=REMEMBERED_TURNS)
        self._commands: OrderedDict[str, GivenCommand] = OrderedDict()
        self._closed = False
        self.observers: list[Callable[[str, BaseModel], None]] = []
        self.skipped = 0
        self.too_slow = 0

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return self._streams

    def newest(self, name: str, kind: type[State]) -> State | None:
        """The newest value of a kind of state; None: nothing yet, or something else."""
        value = self._newest.get(name)
        return value if isinstance(value, kind) else None

    def snapshot(self) -> Event:
        """What a reader begins with."""
        newest = Snapshot(**self._newest, turns=tuple(self._turns), commands=tuple(self._commands.values()))
        return Event(SNAPSHOT, newest.model_dump_json())

    def publish(self, name: str, value: BaseModel) -> None:
        """Hand a value to all readers."""
        if name in STATE:
            self._newest[name] = value
        elif isinstance(value, Turn) and not self.remember(value):
            return  # it came twice
        self._follow(value)
        for observer in self.observers:
            observer(name, value)
        if self._readers:
            event = Event(name, value.model_dump_json())
            for reader in tuple(self._readers):
                reader.put(event)

    def remember(self, turn: Turn) -> bool:
        """Take a turn into the snapshot without telling of it, unless it is there already."""
        if any(each.id == turn.id for each in self._turns):
            return False
        self._turns.append(turn)
        return True

    def _follow(self, value: BaseModel) -> None:
        """Remember a command, or what became of one."""
        if isinstance(value, Command):
            self._commands.setdefault(value.id, GivenCommand(command=value))
            if len(self._commands) > REMEMBERED_COMMANDS:
                self._commands.popitem(last=False)
        elif isinstance(value, CommandStatus) and (given := self._commands.get(value.command_id)) is not None:
            self._commands[value.command_id] = GivenCommand(command=given.command, status=value)

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Holds one of the places for streams.

        Raises:
            BusyError: all are taken.
            InactiveError: the hub was closed.
        """
        if self._closed:
            raise InactiveError("the gateway is told to end")
        if self._streams >= self._max_streams:
            raise BusyError(f"{self._streams} streams are open already (max_streams)")
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """A queue of what happens from now on."""
        reader = Reader()
        if self._closed:
            reader.close()
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            self.skipped += reader.skipped
            self.too_slow += reader.too_slow

    def close(self) -> None:
        """End all readers, now and later."""
        self._closed = True
        for reader in self._readers:
            reader.close()
