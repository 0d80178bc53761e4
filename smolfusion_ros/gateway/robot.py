"""What the HTTP interface needs of a robot. The node implements it over ROS, tests by a script."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from smolfusion_ros.gateway.camera import Camera
from smolfusion_ros.gateway.hub import Hub
from smolfusion_ros.gateway.pictures import Picture
from smolfusion_ros.gateway.schemas import Action, Analysis, ChatAnswer, Cleared, Delta, Health, Session
from smolfusion_ros.gateway.values import Command, EmergencyStop, Turn

# What an answer comes in: pieces of text and commands as they are given, and the whole turn at last.
Piece = Delta | Command | ChatAnswer


class Robot(Protocol):
    """All methods run on the loop that serves HTTP and must not block it.

    What cannot be done raises a ``SmolFusionError`` (``problems.py`` says which becomes what), or TimeoutError where
    an answer did not come in time.

    Attributes:
        hub: what happens, and the newest state of everything.
        camera: the newest picture.
        actions: the catalogue.
    """

    hub: Hub
    camera: Camera
    actions: Sequence[Action]

    def converse(self, text: str, session_id: str) -> AsyncGenerator[Piece, None]:
        """One turn; closing the generator ends the turn in the robot."""
        ...

    async def analyze(self, question: str, picture: Picture | None) -> Analysis:
        """Ask about a picture, or about what the camera sees.

        Raises:
            FrameError: the picture cannot be decoded.
        """
        ...

    async def sessions(self) -> list[Session]: ...

    async def history(self, session_id: str, limit: int) -> list[Turn]:
        """The newest so many turns, oldest first.

        Raises:
            SessionError: there is no such session.
        """
        ...

    async def clear(self, session_id: str) -> Cleared:
        """Forget a session.

        Raises:
            SessionError: there is no such session.
        """
        ...

    async def engage_emergency_stop(self) -> EmergencyStop:
        """Returns when the robot has confirmed it.

        Raises:
            InactiveError: nobody hears it.
            TimeoutError: it was sent, but not confirmed.
        """
        ...

    async def reset_emergency_stop(self) -> EmergencyStop: ...

    def health(self) -> Health: ...
