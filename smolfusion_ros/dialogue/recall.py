"""The conversations at hand, each taken from memory when its session is not at hand (any more)."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from smolfusion_ros.dialogue.answer import AnswerWriter
from smolfusion_ros.dialogue.conversation import Conversation, PastTurn
from smolfusion_ros.dialogue.turn import Limits
from smolfusion_ros.errors import SmolFusionError

_log = logging.getLogger(__name__)

# (scene line, utterance, answer as the model writes it), oldest first
RememberedTurn = tuple[str, str, str]


class Conversations:
    """Of all sessions; the least recently used goes when there are too many.

    Args:
        writer: counts the tokens of past turns.
        remembered: the newest turns of a session as memory has them; may take long, and fail.
    """

    def __init__(
        self,
        writer: AnswerWriter,
        limits: Limits,
        remembered: Callable[[str], Awaitable[Sequence[RememberedTurn]]] | None = None,
    ) -> None:
        self._writer = writer
        self._limits = limits
        self._remembered = remembered
        self._held: OrderedDict[str, Conversation] = OrderedDict()
        self._unread: set[str] = set()  # of those held, where memory could not be asked
        self._model_id = ""
        self._reading: set[str] = set()  # one that is dropped meanwhile leaves it: what was read is out of date

    def get(self, session_id: str) -> Conversation | None:
        """A conversation that is held."""
        return self._held.get(session_id)

    def drop(self, session_id: str) -> None:
        """The session's next turn starts from what memory holds."""
        self._held.pop(session_id, None)
        self._unread.discard(session_id)
        self._reading.discard(session_id)

    async def recall(self, session_id: str, model_id: str) -> None:
        """Take a session from memory if it is not held, or could not be taken before.

        Args:
            model_id: of the model whose tokens are counted; those of another one are worth nothing.

        Raises:
            BackendError: the tokens cannot be counted.
        """
        if model_id != self._model_id:
            self._held.clear()
            self._unread.clear()
            self._reading.clear()
            self._model_id = model_id
        if session_id in self._held:
            self._held.move_to_end(session_id)
        while session_id not in self._held or session_id in self._unread:
            self._reading.add(session_id)
            conversation, is_read = await self._read(session_id)
            if session_id not in self._reading:
                continue
            self._reading.discard(session_id)
            self._hold(session_id, conversation)
            self._unread.discard(session_id)
            if not is_read:
                self._unread.add(session_id)
                return

    async def of(self, session_id: str, model_id: str) -> Conversation:
        """The conversation of a session, as it is held or as ``recall`` finds it."""
        if model_id != self._model_id or session_id not in self._held:
            await self.recall(session_id, model_id)
        self._held.move_to_end(session_id)
        return self._held[session_id]

    async def _read(self, session_id: str) -> tuple[Conversation, bool]:
        """What memory knows that is not held, and after it what is held; and whether memory could be asked."""
        held = self._held.get(session_id)
        turns = list(held.turns) if held is not None else []
        remembered = await self._ask(session_id)
        known = {(turn.scene, turn.heard) for turn in turns}
        earlier = [await self._writer.restored_turn(*each) for each in remembered or () if each[:2] not in known]
        return await self._conversation([*earlier, *turns]), remembered is not None

    async def _ask(self, session_id: str) -> Sequence[RememberedTurn] | None:
        """What memory says; None where it does not."""
        if self._remembered is None:
            return ()
        try:
            return await self._remembered(session_id)
        except SmolFusionError as error:
            _log.warning("session %s goes on without its history: %s", session_id, error)
            return None

    async def _conversation(self, turns: Sequence[PastTurn]) -> Conversation:
        room, limit = await self._writer.history_room(), self._limits.max_history_tokens
        max_tokens = limit if room is None else min(limit, room)
        conversation = Conversation(max_turns=self._limits.max_turns, max_tokens=max_tokens)
        for turn in turns:
            conversation.append(turn)
        conversation.prune()
        return conversation

    def _hold(self, session_id: str, conversation: Conversation) -> None:
        self._held[session_id] = conversation
        self._held.move_to_end(session_id)
        while len(self._held) > self._limits.max_sessions:
            gone, _ = self._held.popitem(last=False)
            self._unread.discard(gone)
