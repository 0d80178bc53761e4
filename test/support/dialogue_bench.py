"""A dialogue engine around a scripted model, and a listener that keeps everything in the order it came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from scripted_model import ScriptedModel

from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.engine import DialogueEngine
from smolfusion_ros.dialogue.grammar import ANSWER_OPENING
from smolfusion_ros.dialogue.model import LanguageModel
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.dialogue.policy import CommandPolicy, Situation
from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.dialogue.reflexes import Reflexes
from smolfusion_ros.dialogue.turn import IssuedCommand, Limits, SceneContext, TurnRecord

T = TypeVar("T")

CONFIG = Path(__file__).parents[2] / "config"
CANNED = "Not now."
NOD: dict[str, Any] = {"name": "nod", "arguments": {}}
BOW: dict[str, Any] = {"name": "bow", "arguments": {}}
FLY: dict[str, Any] = {"name": "fly", "arguments": {}}
STOP: dict[str, Any] = {"name": "stop", "arguments": {}}
WALK: dict[str, Any] = {
    "name": "walk",
    "arguments": {"direction": "forward", "distance": {"value": 1, "unit": "m"}},
}


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine; it may not take long."""
    return asyncio.run(asyncio.wait_for(work, 20))


def rest(say: str, *commands: Mapping[str, Any]) -> str:
    """An answer as a model continues it behind its opening."""
    return PromptLayout.answer_text(say, commands).removeprefix(ANSWER_OPENING)


class Listener:
    """``events``: (kind, turn id or session, what), in the order heard."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, Any]] = []

    def on_text(self, turn_id: str, session_id: str, delta: str) -> None:
        self.events.append(("text", turn_id, delta))

    def on_command(self, command: IssuedCommand) -> None:
        self.events.append(("command", command.session_id, command))

    def on_finished(self, record: TurnRecord) -> None:
        self.events.append(("finished", record.id, record))

    def said(self, turn_id: str) -> str:
        return "".join(what for kind, of, what in self.events if kind == "text" and of == turn_id)

    def commanded(self) -> list[str]:
        return [what.command.name for kind, _, what in self.events if kind == "command"]

    def records(self) -> list[TurnRecord]:
        return [what for kind, _, what in self.events if kind == "finished"]


class Bench:
    """The engine under test and all that surrounds it.

    Attributes:
        scene: what is seen; may be changed at any time.
        clock_s: the steady clock of the bench's own policy.
        memory: (scene line, utterance, answer) of a session, or an error; ``asked_memory`` lists who was asked for.
    """

    def __init__(
        self,
        model: LanguageModel | None = None,
        *,
        policy: CommandPolicy | None = None,
        remembered: Callable[[str], Awaitable[Sequence[tuple[str, str, str]]]] | None = None,
        **limits: Any,
    ) -> None:
        self.model: Any = model or ScriptedModel()
        self.listener = Listener()
        self.scene = SceneContext("10:00:00 person left", Situation(person_seen=True, scene_age_s=0.1), 42)
        self.clock_s = 0.0
        self.memory: dict[str, Sequence[tuple[str, str, str]] | Exception] = {}
        self.asked_memory: list[str] = []
        catalogue = Catalogue.load(CONFIG / "actions.yaml")
        self.layout = PromptLayout(
            Persona("Ro", "You are Ro.", CANNED, canned_stale_scene="I saw that {seconds} seconds ago."), catalogue
        )
        self.engine = DialogueEngine(
            self.model,
            self.layout,
            reflexes=Reflexes.load(CONFIG / "actions.yaml", catalogue),
            policy=policy or CommandPolicy(lambda: self.clock_s),
            scene=lambda: self.scene,
            remembered=remembered or self._remembered,
            limits=Limits(**limits),
        )

    async def turn(self, heard: str = "hello", session: str = "s", turn_id: str | None = None) -> TurnRecord:
        return await self.engine.turn(heard, session, self.listener, turn_id=turn_id)

    async def command(self, *written: Mapping[str, Any], session: str = "s") -> TurnRecord:
        """A turn whose answer gives these commands."""
        self.model.answers(rest("Yes.", *written))
        return await self.turn(session=session)

    async def scene_told(self, session: str = "s") -> str:
        """The context line of a turn of its own."""
        return (await self.turn("and now?", session)).scene

    def start(self, turn_id: str, heard: str = "hello", session: str = "s") -> asyncio.Task[TurnRecord]:
        """Begin a turn without waiting for its end."""
        return asyncio.create_task(self.turn(heard, session, turn_id))

    def prompt_text(self, index: int) -> str:
        """The prompt of the model's n-th request."""
        return self.model.text(self.model.requests[index].prompt)

    async def _remembered(self, session_id: str) -> Sequence[tuple[str, str, str]]:
        self.asked_memory.append(session_id)
        found = self.memory.get(session_id, ())
        if isinstance(found, Exception):
            raise found
        return found
