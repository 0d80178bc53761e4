"""An asynchronous client for a llama.cpp server or any OpenAI-compatible one.

What the server can do is probed once per connection (``Capabilities``): llama.cpp's own server takes token ids and
a grammar and tells its timings; others are spoken to in chat messages and a JSON schema.
API of llama-server: ``tools/server/README.md`` of llama.cpp.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from smolfusion_ros.errors import BackendError, BackendUnavailableError
from smolfusion_ros.llama import slots
from smolfusion_ros.llama.guard import PROBE_TIMEOUT_S, Guard, State

# The layout's own pieces, and what is seen now: its line is evaluated ahead of a turn and put into its prompt.
REMEMBERED_PIECES = 64


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


class LlamaClient:
    """One server, by its base URL.

    Args:
        base_url: e.g. ``http://127.0.0.1:8080``, without ``/v1``.
        model: name sent to servers that hold several models.
        timeout_s: longest silence of the server while it answers.
        guard: refuses requests while the server is away or struggling.
        transport: for tests; an httpx transport in place of the network.

    Attributes:
        servers: how many were probed; one that was away may be another when it is back.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str = "default",
        timeout_s: float = 30.0,
        guard: Guard | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.guard = guard or Guard()
        self.servers = 0
        self._model = model
        self.url = base_url
        self._http = httpx.AsyncClient(
            base_url=base_url,
            timeout=httpx.Timeout(timeout_s, connect=min(2.0, timeout_s)),
            # A kept connection would save 0.2 ms on loopback, but llama-server closes it unasked after a while, and
            # Nagle's algorithm on its side then delays every second answer by 40 ms.
            limits=httpx.Limits(max_keepalive_connections=0),
            transport=transport,
            trust_env=False,
        )
        self._capabilities: Capabilities | None = None
        self._token_cache: OrderedDict[tuple[str, bool], tuple[int, ...]] = OrderedDict()  # the newest last

    async def close(self) -> None:
        """Close all connections; the server frees what it was doing for them."""
        await self._http.aclose()

    async def probe(self) -> None:
        """Ask whether the server is up and tell the guard; never raises."""
        try:
            answer = await self._http.get("/health", timeout=PROBE_TIMEOUT_S)
        except httpx.TimeoutException:
            self.guard.probed(State.UNKNOWN, f"no answer within {PROBE_TIMEOUT_S:g} s")
        except httpx.HTTPError as error:
            self.guard.probed(State.DOWN, _words(error))
        else:
            if answer.status_code == 503:
                self.guard.probed(State.LOADING)
            elif answer.status_code >= 500:
                self.guard.probed(State.DOWN, f"HTTP {answer.status_code}")
            else:  # also 404: a server without /health serves nothing before its model is loaded
                self.guard.probed(State.UP)
        if self.guard.state in (State.DOWN, State.LOADING):
            self._forget()

    async def capabilities(self) -> Capabilities:
        """Probe the server, once; forgotten when it becomes unreachable, as another may take its place."""
        if self._capabilities is None:
            async with self._guarded(is_answer=False):
                answer = await self._http.get("/props", timeout=2.0)
                if answer.status_code == 503:
                    raise BackendUnavailableError("still loading its model")
                if answer.status_code == 200:
                    self._capabilities = _native_capabilities(answer.json())
                else:
                    models = await self._http.get("/v1/models", timeout=2.0)
                    _check(models.status_code, models.text)
                    self._capabilities = _foreign_capabilities(models.json())
                self.servers += 1
        return self._capabilities

    async def tokenize(self, text: str, *, special: bool) -> tuple[int, ...]:
        """Token ids of a piece of text (native servers). Those of the last pieces are remembered.

        Args:
            special: control tokens in the text count as such.
        """
        key = (text, special)
        if key in self._token_cache:
            self._token_cache.move_to_end(key)
            return self._token_cache[key]
        body = {"content": text, "add_special": False, "parse_special": special}
        answer = await self._post("/tokenize", body, is_answer=False)
        try:
            ids = tuple(int(token) for token in answer["tokens"])
        except (KeyError, TypeError, ValueError) as error:
            raise BackendError(f"{self.url} gave no tokens: {str(answer)[:200]}") from error
        self._token_cache[key] = ids
        if len(self._token_cache) > REMEMBERED_PIECES:
            self._token_cache.popitem(last=False)
        return ids

    async def complete(
        self,
        prompt: Sequence[int],
        *,
        grammar: str,
        max_tokens: int,
        temperature: float = 0.0,
        slot: int = -1,
    ) -> AsyncGenerator[Chunk, None]:
        """Continue a prompt of token ids under a grammar (native servers). Closing the iterator ends the generation.

        Args:
            max_tokens: 0: the prompt is evaluated into the slot's cache, and nothing is written.
            slot: -1: the server chooses.
        """
        body = {
            "prompt": list(prompt),
            "grammar": grammar,
            "n_predict": max_tokens,
            "temperature": temperature,
            "id_slot": slot,
            "cache_prompt": True,
            "return_tokens": True,
            "stream": True,
        }
        async with aclosing(self._chunks("/completion", body, _completion_chunk)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def restore(self, name: str) -> None:
        """Read a prompt's evaluation that was saved under this name into slot 0; without one nothing happens."""
        taken = await asyncio.to_thread(slots.take, name)
        if taken is not None:
            await self._post("/slots/0?action=restore", {"filename": taken}, is_answer=False)
            await asyncio.to_thread(slots.keep, name, taken)

    async def save(self, name: str) -> None:
        """Save what slot 0 has evaluated for ``restore``."""
        new = f"{name}.new"
        await self._post("/slots/0?action=save", {"filename": new}, is_answer=False)
        await asyncio.to_thread(slots.keep, name, new)

    async def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int,
        temperature: float = 0.0,
    ) -> AsyncIterator[Chunk]:
        """Answer chat messages, as JSON under a schema if one is given. Closing the iterator ends the generation."""
        body = await self._chat_body(messages, schema, max_tokens, temperature) | {"stream": True}
        async with aclosing(self._chunks("/v1/chat/completions", body, _chat_chunk)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def ask_about_image(
        self,
        image: bytes,
        question: str,
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 96,
        deadline_s: float | None = None,
    ) -> VisionAnswer:
        """Ask a vision-language model about one picture; the picture first, so that a backend can cache it.

        Args:
            image: JPEG or PNG, handed on byte for byte.
            deadline_s: how long the whole answer may take; None: no longer than the server may be silent.

        Raises:
            BackendUnavailableError: also when the deadline passed.
        """
        kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
        url = f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": question}]
        body = await self._chat_body([{"role": "user", "content": content}], schema, max_tokens, 0.0)
        answer = await self._post("/v1/chat/completions", body, deadline_s)
        try:
            text = answer["choices"][0]["message"]["content"] or ""
            return VisionAnswer(text.strip(), int((answer.get("usage") or {}).get("prompt_tokens", 0)))
        except (AttributeError, KeyError, IndexError, TypeError) as error:
            raise BackendError(f"{self.url} gave no answer: {str(answer)[:200]}") from error

    async def _chat_body(
        self,
        messages: Sequence[Mapping[str, Any]],
        schema: Mapping[str, Any] | None,
        max_tokens: int,
        temperature: float,
    ) -> dict[str, Any]:
        capabilities = await self.capabilities()
        body: dict[str, Any] = {
            "model": self._model,
            "messages": list(messages),
            "max_tokens": max_tokens,
            "temperature": temperature,
            "chat_template_kwargs": {"enable_thinking": False},
        }
        if capabilities.schema_beside_type:
            body["repeat_penalty"] = 1.0  # llama-cpp-python's default is 1.1
        if schema is not None and capabilities.schema_beside_type:
            body["response_format"] = {"type": "json_object", "schema": schema}
        elif schema is not None:
            named = {"name": "answer", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body

    async def _post(
        self, path: str, body: Mapping[str, Any], deadline_s: float | None = None, *, is_answer: bool = True
    ) -> Any:
        async with self._guarded(is_answer=is_answer):
            try:
                answer = await asyncio.wait_for(self._http.post(path, json=body), deadline_s)
            except asyncio.TimeoutError as error:
                raise BackendUnavailableError(f"no answer within {deadline_s:g} s") from error
            _check(answer.status_code, answer.text)
            return answer.json()

    async def _chunks(
        self, path: str, body: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Chunk]
    ) -> AsyncGenerator[Chunk, None]:
        async with self._guarded(), self._http.stream("POST", path, json=body) as answer:
            if answer.status_code != 200:
                _check(answer.status_code, (await answer.aread()).decode(errors="replace"))
            async for line in _lines(answer):
                if not line.startswith("data:") or line[5:].strip() == "[DONE]":
                    continue
                event = json.loads(line[5:])
                if isinstance(event, dict) and "error" in event:
                    raise BackendError(str(event["error"]))
                try:
                    chunk = read(event)
                except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                    raise BackendError(f"no piece of an answer: {line[5:205].strip()}") from error
                self.guard.alive()
                yield chunk

    @asynccontextmanager
    async def _guarded(self, *, is_answer: bool = True) -> AsyncIterator[None]:
        """One request: not made while the guard refuses it; its errors say which server, and the guard hears of it.

        Args:
            is_answer: false for what a server may still tell that can answer no more; it ends no row of failures.
        """
        try:
            self.guard.check()
        except BackendUnavailableError as error:
            raise BackendUnavailableError(f"{self.url}: {error}") from None
        try:
            yield
        except (BackendUnavailableError, httpx.HTTPError) as error:
            self._forget()
            self.guard.failed(_words(error))
            raise BackendUnavailableError(f"{self.url}: {_words(error)}") from error
        except BackendError as error:
            raise BackendError(f"{self.url}: {error}") from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise BackendError(f"{self.url}: not JSON: {error}") from error
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise BackendError(f"{self.url}: not what such a server answers: {_words(error)}") from error
        if is_answer:
            self.guard.succeeded()
        else:
            self.guard.alive()

    def _forget(self) -> None:
        self._capabilities = None
        self._token_cache.clear()


async def _lines(answer: httpx.Response) -> AsyncIterator[str]:
    """Lines of an event stream; httpx's own also end at U+2028 and the like, which JSON may hold."""
    rest = b""
    async for data in answer.aiter_bytes():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r").decode()
    if rest:
        yield rest.decode()


def _check(status_code: int, text: str) -> None:
    if status_code == 503:
        raise BackendUnavailableError("still loading its model")
    if status_code >= 500 and status_code != 501:  # "not implemented" is no outage
        raise BackendUnavailableError(f"HTTP {status_code}: {text[:200]}")
    if status_code != 200:
        raise BackendError(f"HTTP {status_code}: {text[:200]}")


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _completion_chunk(event: Mapping[str, Any]) -> Chunk:
    timings = event.get("timings")
    return Chunk(
        text=_text(event.get("content", "")),
        token_ids=tuple(int(token) for token in event.get("tokens", ())),
        is_final=bool(event.get("stop")),
        timings=_timings(timings) if event.get("stop") and timings else None,
    )


def _chat_chunk(event: Mapping[str, Any]) -> Chunk:
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


def _native_capabilities(props: Mapping[str, Any]) -> Capabilities:
    settings = props.get("default_generation_settings", {})
    return Capabilities(
        native=True,
        model_id=str(props.get("model_path", "")),
        context_tokens=int(settings.get("n_ctx", 0)),
        slots=int(props.get("total_slots", 0)),
    )


def _foreign_capabilities(models: Mapping[str, Any]) -> Capabilities:
    model = (models.get("data") or [{}])[0]
    # llama-cpp-python's server names itself "me" as the owner of its models.
    return Capabilities(
        native=False, schema_beside_type=model.get("owned_by") == "me", model_id=str(model.get("id", ""))
    )
