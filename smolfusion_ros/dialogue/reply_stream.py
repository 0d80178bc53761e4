"""Speech and commands out of an answer that is still being written.

The answer is JSON, ``{"say": …, "commands": […]}``. Text of ``say`` is handed on as it grows; a command is handed
on the moment its object closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ijson
import jiter

from smolfusion_ros.dialogue.grammar import ANSWER_OPENING

# An answer nests five deep: itself, its commands, a command, its arguments, an amount.
MAX_DEPTH = 8


@dataclass(frozen=True)
class Update:
    """What one piece of the answer brought."""

    say: str = ""
    commands: tuple[Any, ...] = ()


class ReplyStream:
    """Incremental reader of one answer.

    Args:
        opened: the part of the answer that the prompt has already written; empty when the server writes it all.
    """

    def __init__(self, opened: str = ANSWER_OPENING) -> None:
        self._text = ""
        self._say = ""
        self._reader = _Reader()
        if opened:
            self.feed(opened)

    @property
    def text(self) -> str:
        """The answer so far, with its opening."""
        return self._text

    @property
    def say(self) -> str:
        """The speech so far."""
        return self._say

    @property
    def complete(self) -> bool:
        """The text is a whole answer, with speech, and every command in it was read."""
        answer = None if self._reader.broken else _parsed(self._text)
        return isinstance(answer, dict) and isinstance(answer.get("say"), str)

    @property
    def speaking(self) -> bool:
        """The text ends inside the speech."""
        return _parsed(self._text + '"}') is not None

    def feed(self, text: str) -> Update:
        """Take the next piece of the answer; what is not valid JSON brings nothing, nor what comes after it."""
        text = _whole(text)
        self._text += text
        commands = self._reader.feed(text)
        return Update(self._new_speech(), commands)

    def _partial(self) -> Any:
        try:
            return jiter.from_json(self._text.encode(), partial_mode="trailing-strings")
        except ValueError:
            return None

    def _new_speech(self) -> str:
        partial = self._partial()
        # Where the answer is broken behind its speech, the reader has it.
        said = partial.get("say") if isinstance(partial, dict) else self._reader.said
        if not isinstance(said, str) or not said.startswith(self._say):
            return ""
        delta, self._say = said[len(self._say) :], said
        return delta


class _Reader:
    """The entries of the answer's first ``commands``, each as its last character arrives.

    Of two values under one key of a command neither counts: None stands there, which no action takes.

    Attributes:
        said: the whole speech once it has ended; None before.
        broken: the text is no JSON, or nests deeper than an answer can.
    """

    def __init__(self) -> None:
        self._events: list[tuple[str, Any]] = ijson.sendable_list()
        self._parser = ijson.basic_parse_coro(self._events, use_float=True)
        self._open: list[dict[str, Any] | list[Any]] = []
        self._keys: list[str] = []  # the newest key of each open object
        self.said: str | None = None
        self.broken = False

    def feed(self, text: str) -> tuple[Any, ...]:
        if self.broken:
            return ()
        try:
            self._parser.send(text.encode())
        except (ijson.JSONError, StopIteration):
            self.broken = True
        found: list[Any] = []
        for event, value in self._events:
            if event in ("start_map", "start_array") and len(self._open) == MAX_DEPTH:
                self.broken = True
                break
            self._take(event, value, found)
        del self._events[:]
        return tuple(found)

    def _take(self, event: str, value: Any, found: list[Any]) -> None:
        if event == "map_key":
            self._keys[-1] = value
        elif event == "start_map":
            self._open.append({})
            self._keys.append("")
        elif event == "start_array":
            self._open.append([])
        elif event == "end_map":
            self._keys.pop()
            self._close(self._open.pop(), found)
        elif event == "end_array":
            self._close(self._open.pop(), found)
        else:
            self._close(value, found)

    def _close(self, value: Any, found: list[Any]) -> None:
        parent = self._open[-1] if self._open else None
        if isinstance(parent, dict):
            key = self._keys[-1]
            if self._keys == ["say"] and "say" not in parent:
                self.said = _whole(value) if isinstance(value, str) else None
            parent[key] = None if key in parent else value
        elif isinstance(parent, list):
            parent.append(value)
            root = self._open[0]
            if len(self._open) == 2 and self._keys == ["commands"] and "commands" not in root:
                found.append(value)


def _whole(text: str) -> str:
    """The text with U+FFFD for half characters (lone surrogates), which nothing could be published with."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _parsed(text: str) -> Any:
    try:
        return jiter.from_json(text.encode())
    except ValueError:
        return None
