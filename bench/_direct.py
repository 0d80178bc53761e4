"""First tokens asked of a backend directly: its own limit, and the naive way of putting a conversation to it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from smolfusion_ros.dialogue.grammar import ANSWER_OPENING, answer_grammar
from smolfusion_ros.dialogue.prompt import TURN_END, Piece, PromptLayout
from smolfusion_ros.llama.client import LlamaClient

Past = tuple[str, str, str]  # scene line, utterance, whole answer


@dataclass(frozen=True)
class First:
    """How long the first token took, and how many tokens were evaluated for it."""

    seconds: float
    evaluated_tokens: int


async def ids_of(client: LlamaClient, pieces: Sequence[Piece]) -> tuple[int, ...]:
    """Pieces of a prompt as a server's token ids."""
    return tuple([token for piece in pieces for token in await client.tokenize(piece.text, special=piece.special)])


class Direct:
    """Puts prompts to a server without any node in between.

    Args:
        window: turns that the naive way keeps in its prompt.
    """

    def __init__(self, client: LlamaClient, layout: PromptLayout, window: int) -> None:
        self._client = client
        self._layout = layout
        self._window = window
        self._grammar = answer_grammar(layout.catalogue)

    async def limit(self, history: Sequence[Past], scene: str, heard: str) -> First:
        """The backend's own first token of free text, everything up to the utterance being in its cache."""
        before = [*self._layout.prefix(), *self._turns(history), *self._layout.turn_opening(scene)]
        known = await ids_of(self._client, before)
        whole = await ids_of(self._client, [*self._layout.turn(scene, heard)])
        opening = await ids_of(self._client, self._layout.turn_opening(scene))
        async for _ in self._client.complete(known, grammar="", max_tokens=0, slot=0):
            pass
        return await self._first((*known, *whole[len(opening) :]), grammar="")

    async def naive(self, history: Sequence[Past], scene: str, heard: str) -> First:
        """The scene in the system prompt, a sliding window of turns behind it; grammar and opened answer as ours."""
        system = f"{self._layout.system_text()}\nYou see: {scene}"
        pieces = [Piece("<|im_start|>system\n", True), Piece(system, False), Piece(TURN_END, True)]
        for _, said, answer in history[-self._window :]:
            pieces += [*self._plain(said), *self._layout.answer_pieces(answer)]
        return await self._first(await ids_of(self._client, [*pieces, *self._plain(heard)]), grammar=self._grammar)

    def _plain(self, heard: str) -> list[Piece]:
        opening = Piece(self._layout.assistant_opening + ANSWER_OPENING, True)
        return [Piece("<|im_start|>user\n", True), Piece(heard, False), opening]

    def _turns(self, history: Sequence[Past]) -> list[Piece]:
        pieces: list[Piece] = []
        for scene, heard, answer in history:
            pieces += [*self._layout.turn(scene, heard), *self._layout.answer_pieces(answer)]
        return pieces

    async def _first(self, ids: Sequence[int], *, grammar: str) -> First:
        begun_s, first_s, evaluated = time.perf_counter(), 0.0, 0
        async with aclosing(self._client.complete(ids, grammar=grammar, max_tokens=3, slot=0)) as chunks:
            async for chunk in chunks:
                first_s = first_s or time.perf_counter() - begun_s
                evaluated = chunk.timings.evaluated_tokens if chunk.timings else evaluated
        return First(first_s, evaluated)
