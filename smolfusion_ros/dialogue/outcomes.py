"""What became of the robot's commands, as the next turn of their session is told.

Bounded everywhere: a robot that reports nothing, or everything, must not fill the memory or the prompt.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass, field

from smolfusion_ros.dialogue.actions import FINAL_STATES

MAX_COMMANDS = 64
# More would crowd the scene out of the prompt.
MAX_NEWS = 3
_KEPT_DETAIL_CHARACTERS = 200


@dataclass(frozen=True)
class News:
    """How a command ended; ``state`` is one of ``FINAL_STATES``, ``detail`` the driver's own words."""

    action: str
    state: str
    detail: str = ""


@dataclass
class _Command:
    action: str
    state: str = "issued"


@dataclass
class _Session:
    commands: OrderedDict[str, _Command] = field(default_factory=OrderedDict)
    news: deque[News] = field(default_factory=lambda: deque(maxlen=MAX_NEWS))


class Outcomes:
    """The newest commands of each session, and what has not been told of them.

    Args:
        max_sessions: sessions held; the one whose last command is the oldest goes.
        max_commands: commands held of one session; the oldest go.
    """

    def __init__(self, *, max_sessions: int, max_commands: int = MAX_COMMANDS) -> None:
        self._max_sessions = max_sessions
        self._max_commands = max_commands
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def issued(self, session_id: str, command_id: str, action: str) -> None:
        """A command goes out."""
        session = self._sessions.setdefault(session_id, _Session())
        self._sessions.move_to_end(session_id)
        session.commands[command_id] = _Command(action)
        while len(session.commands) > self._max_commands:
            session.commands.popitem(last=False)
        while len(self._sessions) > self._max_sessions:
            self._sessions.popitem(last=False)

    def on_status(self, command_id: str, state: str, detail: str = "") -> bool:
        """Hear from the robot's driver; False for a command that is not held.

        The first final state counts. It counts as well after the command's lifetime: late is not wrong.
        """
        for session in self._sessions.values():
            command = session.commands.get(command_id)
            if command is None:
                continue
            if command.state not in FINAL_STATES:
                command.state = state
                if state in FINAL_STATES:
                    session.news.append(News(command.action, state, detail[:_KEPT_DETAIL_CHARACTERS]))
            return True
        return False

    def news(self, session_id: str) -> tuple[News, ...]:
        """What a session has not been told yet: the newest ``MAX_NEWS``, oldest first."""
        session = self._sessions.get(session_id)
        return tuple(session.news) if session else ()

    def told(self, session_id: str, news: Collection[News]) -> None:
        """These news stand in the session's history now; what came since does not."""
        session = self._sessions.get(session_id)
        while session and session.news and any(session.news[0] is each for each in news):
            session.news.popleft()

    def forget(self, session_id: str) -> None:
        """Drop a session's commands and news."""
        self._sessions.pop(session_id, None)
