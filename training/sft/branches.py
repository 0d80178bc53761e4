"""Conversations as token ids: a constant prefix, and branches that continue it.

The ids are those that the dialogue node sends: the same pieces of ``PromptLayout``, tokenised apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from smolfusion_ros.dialogue.prompt import TURN_END, Piece, PromptLayout
from training.data.conversations import Turn
from training.data.files import Instruction

IGNORED = -100
_SYSTEM, _USER, _END = (Piece(text, True) for text in ("<|im_start|>system\n", "<|im_start|>user\n", TURN_END))


@dataclass(frozen=True)
class Branch:
    """What follows a prefix; ``labels`` are the ids where the answer stands, ``IGNORED`` elsewhere."""

    prefix: tuple[int, ...]
    ids: tuple[int, ...]
    labels: tuple[int, ...]


class Tokenizer:
    """Turns layouts into ids.

    Args:
        longest: tokens of a branch; one that is longer loses its last turns.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, layout: PromptLayout, *, longest: int) -> None:
        self._tokenizer = tokenizer
        self._layout = layout
        self._longest = longest
        self._prefix = self._ids(layout.prefix())

    def branch(self, conversation: Sequence[Turn] | Instruction) -> Branch | None:
        """A conversation as a branch; None where not even its first turn fits."""
        if isinstance(conversation, Instruction):
            return self._instruction(conversation)
        ids: list[int] = []
        labels: list[int] = []
        for turn in conversation:
            asked = self._ids(self._layout.turn(turn.scene, turn.heard))
            answer = self._ids([Piece(self._layout.answer_tail(turn.say, turn.commands), True)])
            if len(ids) + len(asked) + len(answer) > self._longest:
                break
            ids += (*asked, *answer)
            labels += (*[IGNORED] * len(asked), *answer)
        return Branch(self._prefix, tuple(ids), tuple(labels)) if ids else None

    def _instruction(self, given: Instruction) -> Branch | None:
        """Without an input the instruction is what was said, and there is no system text."""
        system, heard = (given.system, given.heard) if given.heard else ("", given.system)
        prefix = [_SYSTEM, Piece(system, False), _END] if system else []
        asked = self._ids([_USER, Piece(heard, False), Piece(self._layout.assistant_opening, True)])
        answer = self._ids([Piece(given.answer, False), _END])
        if len(asked) + len(answer) > self._longest:
            return None
        return Branch(self._ids(prefix), (*asked, *answer), (*[IGNORED] * len(asked), *answer))

    def _ids(self, pieces: Sequence[Piece]) -> tuple[int, ...]:
        return tuple(
            token
            for piece in pieces
            for token in self._tokenizer(piece.text, add_special_tokens=False, split_special_tokens=not piece.special)[
                "input_ids"
            ]
        )
