"""One answer from the language model: the request for it, and its tokens for the history."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from smolfusion_ros.dialogue.actions import Command
from smolfusion_ros.dialogue.conversation import Conversation, PastTurn
from smolfusion_ros.dialogue.grammar import ANSWER_OPENING, answer_grammar, answer_schema
from smolfusion_ros.dialogue.model import Chunk, LanguageModel, Timings
from smolfusion_ros.dialogue.pins import ANY_SLOT
from smolfusion_ros.dialogue.prompt import TURN_END, Piece, PromptLayout
from smolfusion_ros.dialogue.reply_stream import ReplyStream, Update
from smolfusion_ros.errors import BackendError

# Scene line with news, a long utterance, and the layout around them.
MAX_TURN_TOKENS = 448
# Fewer are evaluated sooner than they are read.
SAVED_FROM_TOKENS = 16
# llama-server sends the token that it would write, and the end.
MAX_EVALUATION_PIECES = 4
# No tokenizer comes near this in speech; a server that does not keep to the limit of tokens is cut off here.
CHARACTERS_PER_ANSWER_TOKEN = 16


@dataclass
class Answer:
    """An answer while it is written."""

    scene: str
    heard: str
    reply: ReplyStream
    slot: int = ANY_SLOT
    prompt_ids: tuple[int, ...] = ()
    turn_ids: tuple[int, ...] = ()
    written_ids: list[int] = field(default_factory=list)
    timings: Timings | None = None

    @property
    def answer_tokens(self) -> int:
        return self.timings.answer_tokens if self.timings else len(self.written_ids)


class AnswerWriter:
    """Puts turns to one language model and keeps their tokens.

    A native server continues token ids under the grammar; another gets chat messages and the schema.
    """

    def __init__(self, model: LanguageModel, layout: PromptLayout, *, max_answer_tokens: int) -> None:
        self._model = model
        self._layout = layout
        self._max_answer_tokens = max_answer_tokens
        self._grammar = answer_grammar(layout.catalogue)
        self._schema = answer_schema(layout.catalogue)
        self._prefix: tuple[str, tuple[int, ...]] | None = None  # (model, token ids)
        self._restored_to = 0  # of the servers there were

    async def history_room(self) -> int | None:
        """Tokens of the server's context that are left for past turns; None where it does not tell."""
        context_tokens = (await self._model.capabilities()).context_tokens
        if not context_tokens:
            return None
        taken = len(await self._prefix_ids()) + MAX_TURN_TOKENS + self._max_answer_tokens
        return max(1, context_tokens - taken)

    async def begin(self, conversation: Conversation, scene: str, heard: str, slot: int = ANY_SLOT) -> Answer:
        """Render the prompt of the next turn, for a slot of the server.

        Raises:
            BackendError: the server cannot be reached or asked.
        """
        if not (await self._model.capabilities()).native:
            return Answer(scene, heard, ReplyStream(opened=""))
        await self._restore()
        turn_ids = await self._ids(self._layout.turn(scene, heard))
        prompt_ids = (*await self._prefix_ids(), *conversation.token_ids, *turn_ids)
        return Answer(scene, heard, ReplyStream(ANSWER_OPENING), slot, prompt_ids, turn_ids)

    async def ahead(self, conversation: Conversation, scene: str) -> tuple[int, ...] | None:
        """The next turn's prompt as far as it is known before anybody speaks; None where the server takes no ids."""
        if not (await self._model.capabilities()).native:
            return None
        opening = await self._ids(self._layout.turn_opening(scene))
        return (*await self._prefix_ids(), *conversation.token_ids, *opening)

    async def evaluate(self, ids: Sequence[int], slot: int = ANY_SLOT) -> Timings | None:
        """Have the server evaluate a prompt into a slot's cache; what it tells of that.

        A server that writes all the same is cut off.
        """
        async with aclosing(self._model.complete(ids, grammar="", max_tokens=0, slot=slot)) as chunks:
            pieces = 0
            async for chunk in chunks:
                pieces += 1
                if chunk.timings is not None or pieces > MAX_EVALUATION_PIECES:
                    return chunk.timings
        return None

    async def write(self, answer: Answer, conversation: Conversation) -> AsyncGenerator[Update, None]:
        """Let the model write; closing the iterator ends the generation in the backend.

        An answer that grows beyond all bounds ends before the piece that passes them.
        """
        most = self._max_answer_tokens * CHARACTERS_PER_ANSWER_TOKEN
        async for chunk in self._chunks(answer, conversation):
            if len(answer.reply.text) + len(chunk.text) > most:
                return
            answer.written_ids += chunk.token_ids
            answer.timings = chunk.timings or answer.timings
            if chunk.text:
                yield answer.reply.feed(chunk.text)

    async def past_turn(self, answer: Answer, issued: Sequence[Command]) -> PastTurn:
        """The turn for the history, its answer closed if it was cut off; ``issued`` are the commands that went out.

        The tokens that the model wrote are kept as they are, so that they match the backend's cache; only an
        answer cut off among its commands is rendered anew.
        """
        reply = answer.reply
        if reply.complete:
            tail = ""
        elif reply.speaking:
            tail = '", "commands": []}'
        else:
            text = self._layout.answer_text(reply.say, [command.as_written() for command in issued])
            ids = await self._retokenized(answer, text)
            return PastTurn(answer.scene, answer.heard, text, ids)
        if not answer.prompt_ids:
            return PastTurn(answer.scene, answer.heard, reply.text + tail)
        end = await self._model.tokenize(TURN_END, special=True)
        written = answer.written_ids[:-1] if answer.written_ids[-1:] == [end[0]] else answer.written_ids
        closing = await self._model.tokenize(tail, special=False) if tail else ()
        ids = (*answer.turn_ids, *written, *closing, *end)
        return PastTurn(answer.scene, answer.heard, reply.text + tail, ids)

    async def restored_turn(self, scene: str, heard: str, answer_text: str) -> PastTurn:
        """A turn from memory, tokenised again."""
        if not (await self._model.capabilities()).native:
            return PastTurn(scene, heard, answer_text)
        pieces = [*self._layout.turn(scene, heard), *self._layout.answer_pieces(answer_text)]
        return PastTurn(scene, heard, answer_text, await self._ids(pieces))

    async def retold(self, turn: PastTurn, said: str) -> PastTurn:
        """A turn of whose answer only ``said`` was heard; its commands stay."""
        try:
            commands = json.loads(turn.answer)["commands"]
        except (ValueError, TypeError, KeyError):  # of a server that keeps to no schema
            commands = []
        return await self.restored_turn(turn.scene, turn.heard, self._layout.answer_text(said, commands))

    async def warm_up(self, slot: int = ANY_SLOT) -> tuple[int, ...]:
        """Have a slot of the server evaluate the constant part of the prompt, so that the first turn need not.

        Returns:
            its ids; none where the server takes no ids.
        """
        if not (await self._model.capabilities()).native:
            async for _ in self._model.chat(self._layout.messages((), "", ""), max_tokens=1):
                pass
            return ()
        await self._restore()
        prefix = await self._prefix_ids()
        timings = await self.evaluate(prefix, slot)
        if timings is not None and timings.evaluated_tokens > SAVED_FROM_TOKENS:
            with suppress(BackendError):
                await self._model.save(await self._saved_name())
        return prefix

    async def _restore(self) -> None:
        """Give a server that has started anew the constant part of the prompt as one before it had evaluated it."""
        name = await self._saved_name()
        if self._restored_to != self._model.servers:
            self._restored_to = self._model.servers
            with suppress(BackendError):  # damaged, or the server takes none
                await self._model.restore(name)

    async def _saved_name(self) -> str:
        """The same for the same model and the same constant part of the prompt."""
        content = repr((await self._model.capabilities(), await self._prefix_ids()))
        return f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.slot"

    async def _prefix_ids(self) -> tuple[int, ...]:
        model_id = (await self._model.capabilities()).model_id
        if self._prefix is None or self._prefix[0] != model_id:
            self._prefix = (model_id, await self._ids(self._layout.prefix()))
        return self._prefix[1]

    async def _retokenized(self, answer: Answer, text: str) -> tuple[int, ...]:
        return (*answer.turn_ids, *await self._ids(self._layout.answer_pieces(text))) if answer.prompt_ids else ()

    async def _ids(self, pieces: Sequence[Piece]) -> tuple[int, ...]:
        parts = await asyncio.gather(*(self._model.tokenize(piece.text, special=piece.special) for piece in pieces))
        return tuple(token for part in parts for token in part)

    def _chunks(self, answer: Answer, conversation: Conversation) -> AsyncIterator[Chunk]:
        if answer.prompt_ids:
            return self._model.complete(
                answer.prompt_ids, grammar=self._grammar, max_tokens=self._max_answer_tokens, slot=answer.slot
            )
        history = [(turn.scene, turn.heard, turn.answer) for turn in conversation.turns]
        messages = self._layout.messages(history, answer.scene, answer.heard)
        return self._model.chat(messages, schema=self._schema, max_tokens=self._max_answer_tokens)
