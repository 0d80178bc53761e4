"""Who moves the robot: one session at a time, so that two people do not pull it two ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smolfusion_ros.dialogue.actions import FINAL_STATES, RUNNING
from smolfusion_ros.errors import CommandError, ConfigurationError


@dataclass
class _Motion:
    """Times of the floor's clock, seconds."""

    held_until_s: float
    given_up_s: float


class Floor:
    """Held by the session whose motion commands are under way.

    A command holds it until the driver reports its end, or until its lifetime is over; one that the driver reports
    as running, until its end, but no longer than ``max_s`` after the last word of it: a driver that died would hold it
    for ever.

    Args:
        clock: a steady clock in seconds.
        max_s: longest time from the last word about a command to the end of its hold, seconds.
    """

    def __init__(self, clock: Callable[[], float], max_s: float) -> None:
        if not max_s > 0:
            raise ConfigurationError(f"the floor is held for at most {max_s} s: more than 0")
        self._clock = clock
        self.max_s = max_s
        self._session_id = ""
        self._motions: dict[str, _Motion] = {}

    @property
    def holder(self) -> str | None:
        """The session that moves the robot now."""
        now = self._clock()
        return self._session_id if any(now < motion.held_until_s for motion in self._motions.values()) else None

    def take(self, session_id: str, command_id: str, lifetime_s: float) -> None:
        """Hold the floor for a motion command; the session that has it may add to what it does.

        Raises:
            CommandError: another session holds it.
        """
        holder = self.holder
        if holder not in (None, session_id):
            raise CommandError(f"session {holder!r} is moving the robot")
        now = self._clock()
        # What another session had begun cannot win the floor back by a late report.
        kept = self._motions if session_id == self._session_id else {}
        self._motions = {key: motion for key, motion in kept.items() if now < motion.given_up_s}
        self._motions[command_id] = _Motion(now + min(lifetime_s, self.max_s), now + self.max_s)
        self._session_id = session_id

    def on_status(self, command_id: str, state: str) -> None:
        """Hear from the robot's driver; other commands than motions are passed over."""
        motion = self._motions.get(command_id)
        if motion is None:
            return
        if state in FINAL_STATES:
            del self._motions[command_id]
        elif state == RUNNING:
            motion.held_until_s = motion.given_up_s = self._clock() + self.max_s

    def free(self) -> None:
        """Nobody moves the robot (any more)."""
        self._motions.clear()
