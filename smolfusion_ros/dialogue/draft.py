"""A turn while it is going on: collects what is said and commanded, and takes its times."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from smolfusion_ros.dialogue.actions import STOP, Catalogue, Command
from smolfusion_ros.dialogue.answer import Answer
from smolfusion_ros.dialogue.outcomes import Outcomes
from smolfusion_ros.dialogue.policy import CommandPolicy, Situation
from smolfusion_ros.dialogue.text import one_line
from smolfusion_ros.dialogue.turn import IssuedCommand, SceneContext, TurnListener, TurnRecord, new_id
from smolfusion_ros.errors import BackendError, CommandError

_log = logging.getLogger(__name__)

# How long a cancelled request may take to close its connection.
STOP_S = 2.0
# A record tells these refusals, and how many more there were.
MAX_REJECTED = 16
MAX_REASON_CHARACTERS = 200


@dataclass(frozen=True)
class CommandStage:
    """What the commands of every turn go through, in this order.

    Attributes:
        max_commands: commands that one turn may give.
    """

    catalogue: Catalogue
    policy: CommandPolicy
    outcomes: Outcomes
    max_commands: int


class Draft:
    """The state of one running turn; becomes a ``TurnRecord``."""

    def __init__(self, turn_id: str, session_id: str, heard: str, listener: TurnListener, stage: CommandStage) -> None:
        self.id = turn_id
        self.session_id = session_id
        self.heard = heard
        self.source = "llm"
        self.said = ""
        self.error = ""
        self.interrupted = False
        self.scene = SceneContext()
        self.finished = asyncio.Event()
        self.answer: Answer | None = None
        self._listener = listener
        self._stage = stage
        self._commands: list[IssuedCommand] = []
        self._rejected: list[str] = []
        self._untold = 0
        self._begun_s = self._marked_s = monotonic()
        self._stages_s: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def commands(self) -> list[Command]:
        """What went out to the robot."""
        return [issued.command for issued in self._commands]

    async def run(self, work: Coroutine[Any, Any, None], deadline_s: float) -> None:
        """Do the turn's work until it ends, is interrupted, or the deadline passes; errors are kept."""
        if self.interrupted:  # while it was waiting
            work.close()
            return
        self._task = asyncio.create_task(work)
        try:
            await asyncio.wait_for(asyncio.shield(self._task), deadline_s)
        except asyncio.TimeoutError:
            self.error = f"no answer within {deadline_s:g} s"
            await self._stop()
        except BackendError as error:
            self.error = str(error)
        except asyncio.CancelledError:
            self.interrupted = True
            await self._stop()
        except Exception as error:  # one turn's trouble must not end the dialogue, nor its emergency stop
            _log.exception("turn %s failed", self.id)
            self.error = f"{type(error).__name__}: {error}"

    def interrupt(self) -> None:
        """End the work; the turn keeps what was said so far."""
        self.interrupted = True
        if self._task is not None:
            self._task.cancel()

    def mark(self, stage: str) -> None:
        """A stage ends now."""
        now = monotonic()
        self._stages_s[stage] = now - self._marked_s
        self._marked_s = now

    def speak(self, delta: str) -> None:
        """The robot says something."""
        if not delta:
            return
        if not self.said and self.source == "llm":
            self.mark("first_token")
        self.said += delta
        self._listener.on_text(self.id, self.session_id, delta)

    def command(self, written: object, situation: Situation) -> None:
        """Check a command as the model wrote it; publish it or keep the reason why not."""
        try:
            command = self._stage.catalogue.command(written)
        except CommandError as error:
            name = written.get("name", "?") if isinstance(written, Mapping) else "?"
            self._reject(f"{name}: {error}")
        else:
            self.issue(command, situation)

    def issue(self, command: Command, situation: Situation) -> None:
        """Publish a valid command if it may go out now; keep the reason if not.

        Args:
            situation: that of this moment, which may be long after the prompt was rendered.
        """
        stage, command_id = self._stage, new_id()
        try:
            if self.interrupted:
                raise CommandError("the turn was interrupted")
            if len(self._commands) >= stage.max_commands and not self._still_stops(command):
                raise CommandError(f"a turn gives at most {stage.max_commands} commands")
            stage.policy.admit(command, situation, session_id=self.session_id, command_id=command_id)
        except CommandError as error:
            self._reject(f"{command.name}: {error}")
            return
        issued = IssuedCommand(command_id, self.session_id, command, self.source, self.scene.stamp_ns, self.id)
        stage.outcomes.issued(self.session_id, command_id, command.name)
        self._commands.append(issued)
        self._stages_s.setdefault("command", monotonic() - self._begun_s)
        self._listener.on_command(issued)

    def finish(self) -> TurnRecord:
        """The record of the turn, which the listener hears too."""
        self._stages_s["total"] = monotonic() - self._begun_s
        timings = self.answer.timings if self.answer else None
        record = TurnRecord(
            id=self.id,
            session_id=self.session_id,
            heard=self.heard,
            said=self.said,
            scene=self.scene.line,
            commands=tuple(self._commands),
            rejected=(*self._rejected, *([f"… and {self._untold} more"] if self._untold else ())),
            source=self.source,
            interrupted=self.interrupted,
            error=self.error,
            stages_s=dict(self._stages_s),
            prompt_tokens=len(self.answer.prompt_ids) if self.answer else 0,
            evaluated_tokens=timings.evaluated_tokens if timings else 0,
            answer_tokens=self.answer.answer_tokens if self.answer else 0,
        )
        self._listener.on_finished(record)
        return record

    def _still_stops(self, command: Command) -> bool:
        """A stop gets through after any number of commands; another one behind it would change nothing."""
        return command.name == STOP and not any(issued.command.name == STOP for issued in self._commands[-1:])

    def _reject(self, reason: str) -> None:
        if len(self._rejected) < MAX_REJECTED:
            self._rejected.append(one_line(reason)[:MAX_REASON_CHARACTERS])
        else:
            self._untold += 1

    async def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=STOP_S)
