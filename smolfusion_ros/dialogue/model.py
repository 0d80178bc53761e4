"""What the dialogue asks of a language model's server; ``llama.client.LlamaClient`` is one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, Protocol


class Capabilities(Protocol):
    """See ``llama.client.Capabilities``."""

    @property
    def native(self) -> bool: ...
    @property
    def model_id(self) -> str: ...
    @property
    def context_tokens(self) -> int: ...
    @property
    def slots(self) -> int: ...


class Timings(Protocol):
    """See ``llama.client.Timings``."""

    @property
    def cached_tokens(self) -> int: ...
    @property
    def evaluated_tokens(self) -> int: ...
    @property
    def answer_tokens(self) -> int: ...
    @property
    def prompt_ms(self) -> float: ...


class Chunk(Protocol):
    """See ``llama.client.Chunk``."""

    @property
    def text(self) -> str: ...
    @property
    def token_ids(self) -> tuple[int, ...]: ...
    @property
    def is_final(self) -> bool: ...
    @property
    def timings(self) -> Timings | None: ...


class LanguageModel(Protocol):
    """A server that continues token ids under a grammar, or at least chats under a schema."""

    @property
    def servers(self) -> int: ...

    async def capabilities(self) -> Capabilities: ...

    async def tokenize(self, text: str, *, special: bool) -> tuple[int, ...]: ...

    def complete(
        self, prompt: Sequence[int], *, grammar: str, max_tokens: int, temperature: float = 0.0, slot: int = -1
    ) -> AsyncGenerator[Chunk, None]: ...

    async def restore(self, name: str) -> None: ...

    async def save(self, name: str) -> None: ...

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int,
        temperature: float = 0.0,
    ) -> AsyncIterator[Chunk]: ...
