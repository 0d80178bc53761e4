"""The record of one exchange, and what it is given to work with."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from smolfusion_ros.dialogue.actions import Command
from smolfusion_ros.dialogue.policy import Situation
from smolfusion_ros.dialogue.text import one_line
from smolfusion_ros.errors import SessionError, UtteranceError

MAX_SESSION_ID_CHARACTERS = 64


@dataclass(frozen=True)
class Limits:
    """Bounds of the dialogue; every queue and every wait has one.

    Attributes:
        max_turns: turns kept in the prompt.
        max_history_tokens: tokens kept in the prompt.
        max_answer_tokens: tokens of one answer.
        max_utterance_characters: a longer utterance is refused.
        max_sessions: conversations held at once; the least recently used goes.
        max_waiting: turns that may wait for the backend.
        concurrency: turns the backend may work on at once.
        deadline_s: a turn that takes longer ends with what it has.
        max_commands: commands that one turn may give; a stop passes all the same.
        fresh_scene_deadline_s: a question about what is seen waits so long for a scene that is up to date.
        prefill_tokens_per_minute: tokens that may be evaluated before anybody speaks; 0: none.
    """

    max_turns: int = 20
    max_history_tokens: int = 2048
    max_answer_tokens: int = 160
    max_utterance_characters: int = 1000
    max_sessions: int = 16
    max_waiting: int = 8
    concurrency: int = 1
    deadline_s: float = 30.0
    max_commands: int = 8
    fresh_scene_deadline_s: float = 1.0
    prefill_tokens_per_minute: int = 1200


@dataclass(frozen=True)
class SceneContext:
    """What is seen at the moment a turn is put to the model."""

    line: str = ""
    situation: Situation = field(default_factory=Situation)
    stamp_ns: int = 0


@dataclass(frozen=True)
class IssuedCommand:
    """A command on its way to the robot."""

    id: str
    session_id: str
    command: Command
    source: str
    scene_stamp_ns: int = 0
    turn_id: str = ""


@dataclass(frozen=True)
class TurnRecord:
    """One exchange; see ``msg/Turn.msg`` for the meaning of the fields. Stage times in seconds.

    ``scene`` is the whole context line that the model was given (``prompt.context_line``).
    """

    id: str
    session_id: str
    heard: str
    said: str = ""
    scene: str = ""
    commands: tuple[IssuedCommand, ...] = ()
    rejected: tuple[str, ...] = ()
    source: str = "llm"
    interrupted: bool = False
    error: str = ""
    stages_s: Mapping[str, float] = field(default_factory=dict)
    prompt_tokens: int = 0
    evaluated_tokens: int = 0
    answer_tokens: int = 0


class TurnListener(Protocol):
    """Hears a turn while it happens; called on the I/O loop, must not block."""

    def on_text(self, turn_id: str, session_id: str, delta: str) -> None: ...

    def on_command(self, command: IssuedCommand) -> None: ...

    def on_finished(self, record: TurnRecord) -> None: ...


def new_id() -> str:
    """A random UUID (RFC 9562, version 4)."""
    return str(uuid.uuid4())


def checked_utterance(text: str, limit: int) -> str:
    """The utterance with control characters and surplus space removed.

    Raises:
        UtteranceError: it is empty, longer than ``limit`` characters, or not valid Unicode text.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UtteranceError(f"the utterance is not valid Unicode text: {error.reason}") from error
    if len(text) > limit:
        raise UtteranceError(f"the utterance has {len(text)} characters, more than {limit}")
    cleaned = one_line(text)
    if not cleaned:
        raise UtteranceError("the utterance is empty")
    return cleaned


def checked_session(session_id: str, default: str) -> str:
    """A session's name, or the default's for an empty one.

    Raises:
        SessionError: the name is too long or has characters that do not print.
    """
    name = session_id or default
    if len(name) > MAX_SESSION_ID_CHARACTERS or not name.isprintable():
        raise SessionError(f"session {name[:80]!r}: at most {MAX_SESSION_ID_CHARACTERS} printable characters")
    return name
