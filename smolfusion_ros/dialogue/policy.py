"""The safety stage: whether a valid command may go out now.

It arbitrates between sessions. Between the commands of one session the robot's driver does, by their published
priority: a newer motion supersedes the one before it, ``low`` ones (``look_at``) run beside it. ``stop`` comes
before everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smolfusion_ros.dialogue.actions import STOP, Command
from smolfusion_ros.dialogue.floor import Floor
from smolfusion_ros.errors import CommandError

FLOOR_MAX_S = 60.0


@dataclass(frozen=True)
class Situation:
    """What a command is judged by.

    Attributes:
        person_seen: at least one person in the newest scene.
        scene_age_s: seconds since the scene was last confirmed; infinite where there is none.
    """

    person_seen: bool = False
    scene_age_s: float = float("inf")


class CommandPolicy:
    """Preconditions, cooldowns, the floor for motion and the emergency stop.

    It belongs to the robot, not to an engine: one that is built anew around the same policy finds the emergency
    stop as it was.

    Args:
        clock: a steady clock in seconds.
        floor_max_s: longest time from the last word about a command to the end of its hold on the floor, seconds.
    """

    def __init__(self, clock: Callable[[], float], *, floor_max_s: float = FLOOR_MAX_S) -> None:
        self._clock = clock
        self._floor = Floor(clock, floor_max_s)
        self._last_issued: dict[str, float] = {}
        self._emergency_stop = False

    @property
    def emergency_stop(self) -> bool:
        """Engaged: only ``stop`` passes. Engaging frees the floor."""
        return self._emergency_stop

    @emergency_stop.setter
    def emergency_stop(self, engaged: bool) -> None:
        self._emergency_stop = engaged
        if engaged:
            self._floor.free()

    def hold_floor_for(self, floor_max_s: float) -> None:
        """Change how long the floor is held after the driver's last word, seconds."""
        self._floor.max_s = floor_max_s

    @property
    def moving_session(self) -> str | None:
        """The session that holds the floor for motion."""
        return self._floor.holder

    def admit(self, command: Command, situation: Situation, *, session_id: str, command_id: str) -> None:
        """Let a command pass, start its cooldown and take the floor for a motion; ``stop`` always passes.

        Raises:
            CommandError: why it must not go out; nothing has changed then.
        """
        action = command.action
        if action.name == STOP:
            self._floor.free()
            return
        if self._emergency_stop:
            raise CommandError("emergency stop is engaged")
        if action.needs_person and not situation.person_seen:
            raise CommandError("needs a person, nobody is seen")
        if action.max_scene_age_s and situation.scene_age_s > action.max_scene_age_s:
            raise CommandError(f"the scene is older than {action.max_scene_age_s:g} s")
        now = self._clock()
        since = now - self._last_issued.get(action.name, -float("inf"))
        if since < action.cooldown_s:
            raise CommandError(f"again within {action.cooldown_s:g} s")
        if action.motion:
            self._floor.take(session_id, command_id, action.lifetime_s)
        self._last_issued[action.name] = now

    def on_status(self, command_id: str, state: str) -> None:
        """Hear from the robot's driver what became of a command; ``state`` is one of ``STATES``."""
        self._floor.on_status(command_id, state)
