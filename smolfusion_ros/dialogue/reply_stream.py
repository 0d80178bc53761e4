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
        self._found: list[Any] = ijson.sendable_list()
        self._commands = ijson.items_coro(self._found, "commands.item", use_float=True)
        self._broken = False
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
        """The text is a whole answer, with speech."""
        answer = _parsed(self._text)
        return isinstance(answer, dict) and isinstance(answer.get("say"), str)

    @property
    def speaking(self) -> bool:
        """The text ends inside the speech."""
        return _parsed(self._text + '"}') is not None

    def feed(self, text: str) -> Update:
        """Take the next piece of the answer; what is not valid JSON brings nothing."""
        self._text += text
        return Update(self._new_speech(), self._new_commands(text))

    def _partial(self) -> Any:
        try:
            return jiter.from_json(self._text.encode(), partial_mode="trailing-strings")
        except ValueError:
            return None

    def _new_speech(self) -> str:
        partial = self._partial()
        said = partial.get("say") if isinstance(partial, dict) else None
        if not isinstance(said, str) or not said.startswith(self._say):
            return ""
        delta, self._say = said[len(self._say) :], said
        return delta

    def _new_commands(self, text: str) -> tuple[Any, ...]:
        if not self._broken:
            try:
                self._commands.send(text.encode())
            except (ijson.JSONError, StopIteration, UnicodeEncodeError):
                self._broken = True
        commands = tuple(self._found)
        del self._found[:]
        return commands


def _parsed(text: str) -> Any:
    try:
        return jiter.from_json(text.encode())
    except ValueError:
        return None
