"""Turns put to a language model one by one, and what came of each."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import jiter
import jsonschema

from smolfusion_ros.dialogue.answer import AnswerWriter
from smolfusion_ros.dialogue.conversation import Conversation
from smolfusion_ros.dialogue.grammar import answer_schema
from smolfusion_ros.dialogue.model import Timings
from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.errors import CommandError
from training.data.conversations import Turn

Call = dict[str, Any]
# Who the base models were told to be, and what the robot must not say of itself.
_STRANGER = re.compile(
    r"smollm|qwen|hugging face|alibaba|openai|language model|\bassistant\b|i(?:'m| am) (?:a )?human", re.IGNORECASE
)
_NAME = re.compile(r"my name is (\w+)", re.IGNORECASE)


@dataclass
class Outcome:
    """What a model made of a turn; ``wanted`` and ``got`` are commands as they are published."""

    turn: Turn
    wanted: list[Call]
    got: list[Call] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    say: str = ""
    valid: bool = False
    timings: Timings | None = None

    @property
    def exact(self) -> bool:
        """The commands, all of them in their order, and none that the robot refuses."""
        return self.got == self.wanted and not self.rejected

    @property
    def wrong_arguments(self) -> bool:
        """The right actions, but not what was said of them: the other hand, another distance."""
        names = [call["name"] for call in self.wanted]
        return not self.exact and names == [call["name"] for call in self.got] and not self.rejected

    def in_persona(self, name: str) -> bool:
        """Nothing said that the robot is not."""
        other = _NAME.search(self.say)
        return not _STRANGER.search(self.say) and (other is None or other[1].lower() == name.lower())


class Asker:
    """Puts the turns of a conversation to a model, each behind the true turns before it."""

    def __init__(self, writer: AnswerWriter, layout: PromptLayout) -> None:
        self._writer = writer
        self._layout = layout
        self._schema = jsonschema.Draft202012Validator(answer_schema(layout.catalogue))

    async def outcomes(self, turns: Sequence[Turn]) -> AsyncIterator[Outcome]:
        """What the model makes of every turn."""
        conversation = Conversation(max_turns=100, max_tokens=1_000_000)
        for turn in turns:
            yield await self._outcome(turn, conversation)
            text = self._layout.answer_text(turn.say, turn.commands)
            conversation.append(await self._writer.restored_turn(turn.scene, turn.heard, text))

    async def _outcome(self, turn: Turn, conversation: Conversation) -> Outcome:
        outcome = Outcome(turn, [self._published(command) for command in turn.commands])
        answer = await self._writer.begin(conversation, turn.scene, turn.heard)
        async with aclosing(self._writer.write(answer, conversation)) as updates:
            async for update in updates:
                for written in update.commands:
                    try:
                        outcome.got.append(self._published(written))
                    except CommandError as error:
                        outcome.rejected.append(str(error))
        outcome.say, outcome.timings = answer.reply.say, answer.timings
        outcome.valid = answer.reply.complete and self._schema.is_valid(jiter.from_json(answer.reply.text.encode()))
        return outcome

    def _published(self, written: object) -> Call:
        command = self._layout.catalogue.command(written)
        return {"name": command.name, **command.arguments}
