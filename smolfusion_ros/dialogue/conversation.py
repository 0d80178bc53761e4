"""The conversation as the backend sees it: an append-only list of turns, bounded in turns and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smolfusion_ros.errors import ConfigurationError

# A cautious estimate: English takes four characters a token, JSON and other languages fewer.
CHARACTERS_PER_TOKEN = 2
WRAPPING_TOKENS = 12


@dataclass(frozen=True)
class PastTurn:
    """A finished turn.

    Attributes:
        token_ids: those of the whole turn, as the backend holds them in its cache.
        turn_id: empty for one that was taken from memory.
    """

    scene: str
    heard: str
    answer: str
    token_ids: tuple[int, ...] = ()
    turn_id: str = ""

    @property
    def tokens(self) -> int:
        """How many tokens the turn takes; estimated where the server takes no token ids."""
        characters = len(self.scene) + len(self.heard) + len(self.answer)
        return len(self.token_ids) or WRAPPING_TOKENS + characters // CHARACTERS_PER_TOKEN


class Conversation:
    """History of one session.

    When a bound is passed, the oldest half goes at once: a sliding window would invalidate the backend's cache
    on every turn, this does so once in many.
    """

    def __init__(self, *, max_turns: int, max_tokens: int) -> None:
        if max_turns < 2 or max_tokens < 1:
            raise ConfigurationError(f"history of {max_turns} turns, {max_tokens} tokens: at least 2 and 1")
        self._max_turns = max_turns
        self._max_tokens = max_tokens
        self._turns: list[PastTurn] = []

    @property
    def turns(self) -> Sequence[PastTurn]:
        return tuple(self._turns)

    @property
    def token_ids(self) -> list[int]:
        """All turns' tokens, in order."""
        return [token for turn in self._turns for token in turn.token_ids]

    @property
    def token_count(self) -> int:
        return sum(turn.tokens for turn in self._turns)

    def append(self, turn: PastTurn) -> None:
        self._turns.append(turn)

    def replace_newest(self, turn: PastTurn) -> None:
        """The newest turn was not as it was thought."""
        self._turns[-1] = turn

    def prune(self) -> int:
        """Drop the oldest half while a bound is passed; how many turns went."""
        before = len(self._turns)
        while self._turns and (len(self._turns) > self._max_turns or self.token_count > self._max_tokens):
            del self._turns[: max(1, len(self._turns) // 2)]
        return before - len(self._turns)
