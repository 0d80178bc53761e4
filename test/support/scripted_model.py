"""A language model in memory: it answers what a test has written down, at the pace that the test sets.

Its tokenizer takes words, but what it writes comes one character per token, so that token ids of an answer that is
tokenised again differ from those that were written, as they do with real models.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_CONTROL = re.compile(r"(<\|im_start\|>|<\|im_end\|>|<think>|</think>)")
_WORD = re.compile(r"\s*\S+|\s+")

# Text to write, an event to wait for, or an error to end with
Step = str | asyncio.Event | Exception


@dataclass(frozen=True)
class Capabilities:
    native: bool = True
    model_id: str = "model-a"
    context_tokens: int = 4096
    slots: int = 1


@dataclass(frozen=True)
class Timings:
    cached_tokens: int
    evaluated_tokens: int
    answer_tokens: int
    prompt_ms: float = 0.0


@dataclass(frozen=True)
class Chunk:
    text: str
    token_ids: tuple[int, ...] = ()
    is_final: bool = False
    timings: Timings | None = None


@dataclass
class Request:
    """One generation that was asked for; ``ended`` once the model is free of it."""

    prompt: tuple[int, ...] = ()
    messages: list[Mapping[str, Any]] = field(default_factory=list)
    grammar: str = ""
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 0
    slot: int = -1
    written_ids: list[int] = field(default_factory=list)
    ended: bool = False
    finished: bool = False


class ScriptedModel:
    """Implements ``dialogue.model.LanguageModel``."""

    def __init__(self, *, native: bool = True, writes_end_token: bool = True) -> None:
        self.served = Capabilities(native=native, context_tokens=4096 if native else 0)
        self.requests: list[Request] = []
        self.before_tokenize: Callable[[str, bool], Any] | None = None
        self.away: Exception | None = None
        self.servers = 1
        self.restored: list[str] = []
        self.saved: list[str] = []
        self.ms_per_token = 1.0
        self.evaluates_after: asyncio.Event | None = None  # what is evaluated without an answer waits for it
        self._caches: dict[int, tuple[int, ...]] = {}  # by slot
        self._writes_end_token = writes_end_token
        self._scripts: list[tuple[Step, ...]] = []
        self._ids: dict[tuple[str, str, bool], int] = {}
        self._texts: list[str] = []

    def answers(self, *steps: Step) -> None:
        """Write down the next answer."""
        self._scripts.append(steps)

    def text(self, ids: Sequence[int]) -> str:
        """What token ids stand for."""
        return "".join(self._texts[token] for token in ids)

    def is_control(self, token: int) -> bool:
        return bool(_CONTROL.fullmatch(self._texts[token])) and self._is_id(token, True)

    def knows(self, token: int) -> bool:
        """The id is one of the model that is served now."""
        return self._is_id(token, True) or self._is_id(token, False)

    async def capabilities(self) -> Capabilities:
        await asyncio.sleep(0)
        if self.away is not None:
            raise self.away
        return self.served

    async def tokenize(self, text: str, *, special: bool) -> tuple[int, ...]:
        await asyncio.sleep(0)
        if self.before_tokenize is not None:
            waiting = self.before_tokenize(text, special)
            if waiting is not None:
                await waiting
        if not special:
            return tuple(self._id(word, False) for word in _WORD.findall(text))
        ids: list[int] = []
        for part in _CONTROL.split(text):
            if _CONTROL.fullmatch(part):
                ids.append(self._id(part, True))
            else:
                ids += [self._id(word, False) for word in _WORD.findall(part)]
        return tuple(ids)

    async def restore(self, name: str) -> None:
        await asyncio.sleep(0)
        self.restored.append(name)

    async def save(self, name: str) -> None:
        await asyncio.sleep(0)
        self.saved.append(name)

    async def complete(
        self, prompt: Sequence[int], *, grammar: str, max_tokens: int, temperature: float = 0.0, slot: int = -1
    ) -> AsyncGenerator[Chunk, None]:
        request = Request(prompt=tuple(prompt), grammar=grammar, max_tokens=max_tokens, slot=slot)
        async for chunk in self._write(request):
            yield chunk

    async def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int,
        temperature: float = 0.0,
    ) -> AsyncIterator[Chunk]:
        request = Request(messages=list(messages), schema=schema, max_tokens=max_tokens)
        async for chunk in self._write(request):
            yield Chunk(chunk.text, (), chunk.is_final)

    async def _write(self, request: Request) -> AsyncIterator[Chunk]:
        self.requests.append(request)
        cached = min(_common(self._caches.get(request.slot, ()), request.prompt), max(0, len(request.prompt) - 1))
        self._caches[request.slot] = request.prompt
        evaluated = len(request.prompt) - cached
        if request.max_tokens == 0:
            await (self.evaluates_after.wait() if self.evaluates_after else asyncio.sleep(0))
            request.finished = request.ended = True
            yield Chunk("", (), True, Timings(cached, evaluated, 0, evaluated * self.ms_per_token))
            return
        steps = self._scripts.pop(0) if self._scripts else ('Yes.", "commands": []}',)
        try:
            for step in steps:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    await asyncio.sleep(0)
                    ids = tuple(self._id(char, False) for char in step)
                    request.written_ids += ids
                    yield Chunk(step, ids)
            ids = (self._id("<|im_end|>", True),) if self._writes_end_token else ()
            request.written_ids += ids
            request.finished = True
            count = len(request.written_ids)
            self._caches[request.slot] = (*request.prompt, *request.written_ids)
            yield Chunk("", ids, True, Timings(cached, evaluated, count, evaluated * self.ms_per_token))
        finally:
            request.ended = True

    def _id(self, text: str, control: bool) -> int:
        key = (self.served.model_id, text, control)
        if key not in self._ids:
            self._ids[key] = len(self._texts)
            self._texts.append(text)
        return self._ids[key]

    def _is_id(self, token: int, control: bool) -> bool:
        return self._ids.get((self.served.model_id, self._texts[token], control)) == token


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(first), len(second)))


async def eventually(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until a condition holds; fails when it does not."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        await asyncio.sleep(0.001)
