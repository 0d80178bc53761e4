"""The safety stage: whether a valid command may go out now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smolfusion_ros.dialogue.actions import STOP, Command
from smolfusion_ros.errors import CommandError


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
    """Preconditions, cooldowns and the emergency stop.

    Args:
        clock: a steady clock in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last_issued: dict[str, float] = {}
        self.emergency_stop = False

    def admit(self, command: Command, situation: Situation) -> None:
        """Let a command pass and start its cooldown; ``stop`` always passes.

        Raises:
            CommandError: why it must not go out.
        """
        action = command.action
        if action.name == STOP:
            return
        if self.emergency_stop:
            raise CommandError("emergency stop is engaged")
        if action.needs_person and not situation.person_seen:
            raise CommandError("needs a person, nobody is seen")
        if action.max_scene_age_s and situation.scene_age_s > action.max_scene_age_s:
            raise CommandError(f"the scene is older than {action.max_scene_age_s:g} s")
        now = self._clock()
        since = now - self._last_issued.get(action.name, -float("inf"))
        if since < action.cooldown_s:
            raise CommandError(f"again within {action.cooldown_s:g} s")
        self._last_issued[action.name] = now
