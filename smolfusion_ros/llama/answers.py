"""What servers answer, read: llama.cpp's own, and those that speak OpenAI's interface."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Capabilities:
    """What a server can do.

    Attributes:
        native: llama.cpp's own server: ``/tokenize``, ``/completion`` with token ids and grammar, timings.
        schema_beside_type: wants the JSON schema as llama-cpp-python's server does.
        model_id: changes when another model is served.
        context_tokens: context of one slot; 0 where the server does not tell.
        slots: conversations whose prompts it keeps at the same time; 0 where it does not tell.
    """

    native: bool
    schema_beside_type: bool = False
    model_id: str = ""
    context_tokens: int = 0
    slots: int = 0


@dataclass(frozen=True)
class Timings:
    """A native server's account of one request."""

    cached_tokens: int
    evaluated_tokens: int
    answer_tokens: int
    prompt_ms: float
    answer_ms: float


@dataclass(frozen=True)
class Chunk:
    """One piece of an answer; ``timings`` and ``is_final`` come with the last."""

    text: str
    token_ids: tuple[int, ...] = ()
    is_final: bool = False
    timings: Timings | None = None


@dataclass(frozen=True)
class VisionAnswer:
    """Words about a picture, and how many tokens the question took with its picture."""

    text: str
    prompt_tokens: int


async def lines(answer: httpx.Response) -> AsyncIterator[str]:
    """Lines of an event stream; httpx's own also end at U+2028 and the like, which JSON may hold."""
    rest = b""
    async for data in answer.aiter_bytes():
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line.rstrip(b"\r").decode()
    if rest:
        yield rest.decode()


def completion_chunk(event: Mapping[str, Any]) -> Chunk:
    """One event of ``/completion``. AttributeError, KeyError, TypeError or ValueError where it is none, as below."""
    timings = event.get("timings")
    return Chunk(
        text=_text(event.get("content", "")),
        token_ids=tuple(int(token) for token in event.get("tokens", ())),
        is_final=bool(event.get("stop")),
        timings=_timings(timings) if event.get("stop") and timings else None,
    )


def chat_chunk(event: Mapping[str, Any]) -> Chunk:
    """One event of a streamed ``/v1/chat/completions``."""
    choice = (event.get("choices") or [{}])[0]
    text = _text((choice.get("delta") or {}).get("content") or "")
    return Chunk(text=text, is_final=choice.get("finish_reason") is not None)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _timings(fields: Mapping[str, Any]) -> Timings:
    return Timings(
        cached_tokens=int(fields.get("cache_n", 0)),
        evaluated_tokens=int(fields.get("prompt_n", 0)),
        answer_tokens=int(fields.get("predicted_n", 0)),
        prompt_ms=float(fields.get("prompt_ms", 0.0)),
        answer_ms=float(fields.get("predicted_ms", 0.0)),
    )


def native_capabilities(props: Mapping[str, Any]) -> Capabilities:
    """``/props`` of llama.cpp's own server."""
    settings = props.get("default_generation_settings", {})
    return Capabilities(
        native=True,
        model_id=str(props.get("model_path", "")),
        context_tokens=int(settings.get("n_ctx", 0)),
        slots=int(props.get("total_slots", 0)),
    )


def foreign_capabilities(models: Mapping[str, Any]) -> Capabilities:
    """``/v1/models`` of any other server."""
    model = (models.get("data") or [{}])[0]
    # llama-cpp-python's server names itself "me" as the owner of its models.
    return Capabilities(
        native=False, schema_beside_type=model.get("owned_by") == "me", model_id=str(model.get("id", ""))
    )
