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
from typing import Any

import httpx

from smolfusion_ros.errors import BackendError, BackendRefusedError, BackendUnavailableError
from smolfusion_ros.llama import answers, slots
from smolfusion_ros.llama.answers import Capabilities, Chunk, VisionAnswer
from smolfusion_ros.llama.guard import PROBE_TIMEOUT_S, Guard, State
from smolfusion_ros.secret import Secret

# The layout's own pieces, and what is seen now: its line is evaluated ahead of a turn and put into its prompt.
REMEMBERED_PIECES = 64


class LlamaClient:
    """One server, by its base URL.

    Args:
        base_url: e.g. ``http://127.0.0.1:8080``, without ``/v1``.
        model: name sent to servers that hold several models.
        timeout_s: longest silence of the server while it answers.
        key: sent to the server as a bearer token; no error or log tells it.
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
        key: Secret | None = None,
        guard: Guard | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.guard = guard or Guard()
        self.servers = 0
        self._model = model
        self._key = Secret() if key is None else key
        self.url = base_url
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {self._key.value}"} if self._key else None,
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
            self.guard.probed(State.DOWN, self._words(error))
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
                if answer.status_code == 401:  # a proxy that hides this path alone answers 403 or 404
                    self._check(answer.status_code, answer.text)
                if answer.status_code == 200:
                    self._capabilities = answers.native_capabilities(answer.json())
                else:
                    models = await self._http.get("/v1/models", timeout=2.0)
                    self._check(models.status_code, models.text)
                    self._capabilities = answers.foreign_capabilities(models.json())
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
            raise BackendError(f"{self.url} gave no tokens: {self._quoted(str(answer))}") from error
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
        async with aclosing(self._chunks("/completion", body, answers.completion_chunk)) as chunks:
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
        async with aclosing(self._chunks("/v1/chat/completions", body, answers.chat_chunk)) as chunks:
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
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise BackendError(f"{self.url} gave no answer: {self._quoted(str(answer))}") from error

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
            self._check(answer.status_code, answer.text)
            return answer.json()

    async def _chunks(
        self, path: str, body: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Chunk]
    ) -> AsyncGenerator[Chunk, None]:
        async with self._guarded(), self._http.stream("POST", path, json=body) as answer:
            if answer.status_code != 200:
                self._check(answer.status_code, (await answer.aread()).decode(errors="replace"))
            async for line in answers.lines(answer):
                if not line.startswith("data:") or line[5:].strip() == "[DONE]":
                    continue
                event = json.loads(line[5:])
                if isinstance(event, dict) and "error" in event:
                    raise BackendError(self._key.hidden_in(str(event["error"])))
                try:
                    chunk = read(event)
                except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                    raise BackendError(f"no piece of an answer: {self._quoted(line[5:].strip())}") from error
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
            self.guard.failed(self._words(error))
            raise BackendUnavailableError(f"{self.url}: {self._words(error)}") from error
        except BackendRefusedError as error:
            self.guard.failed(str(error))
            raise BackendRefusedError(f"{self.url}: {error}") from error
        except BackendError as error:
            raise BackendError(f"{self.url}: {error}") from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise BackendError(f"{self.url}: not JSON: {error}") from error
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise BackendError(f"{self.url}: not what such a server answers: {self._words(error)}") from error
        if is_answer:
            self.guard.succeeded()
        else:
            self.guard.alive()

    def _forget(self) -> None:
        self._capabilities = None
        self._token_cache.clear()

    def _check(self, status_code: int, text: str) -> None:
        said = f"HTTP {status_code}: {self._quoted(text)}"
        if status_code in (401, 403):
            reason = f"the key of {self._key.origin} is refused" if self._key else f"a key is wanted{self._where()}"
            raise BackendRefusedError(f"{reason}: {said}")
        if status_code == 503:
            raise BackendUnavailableError("still loading its model")
        if status_code >= 500 and status_code != 501:  # "not implemented" is no outage
            raise BackendUnavailableError(said)
        if status_code != 200:
            raise BackendError(said)

    def _where(self) -> str:
        return f" ({self._key.origin})" if self._key.origin else ""

    def _quoted(self, text: str) -> str:
        """The beginning of what the server said; a server may repeat what it was sent."""
        return self._key.hidden_in(text)[:200]

    def _words(self, error: Exception) -> str:
        return self._key.hidden_in(str(error)) or type(error).__name__
