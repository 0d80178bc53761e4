"""A llama server on a real socket that does what it is told: for faults that a real one cannot be told to make.

It answers 503 while loading, writes at a given pace, breaks off in mid-stream, cuts JSON off, or says what no
grammar would let it say. Everything asked of it is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

BREAK_OFF = object()  # the connection is reset, as by a server that dies
PROPS = {"model_path": "/models/a.gguf", "default_generation_settings": {"n_ctx": 2048}}


@dataclass(frozen=True)
class Asked:
    """One request; the names of its headers are in lower case."""

    method: str
    path: str
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    """A whole answer; ``body`` is sent as JSON unless it is bytes already."""

    body: Any = None
    status: int = 200
    after_s: float = 0.0


class Stream:
    """An event stream.

    Args:
        steps: objects to send as JSON, text to send as it is, ``asyncio.Event`` to wait for, or ``BREAK_OFF``.
    """

    def __init__(self, *steps: object) -> None:
        self.steps = steps


class ScriptedServer:
    """``async with ScriptedServer({path: reply}) as server``; ``replies`` and ``key`` may be changed at any time.

    Attributes:
        key: what every request but that for ``/health`` must bear; a refusal repeats what was borne instead.
    """

    def __init__(self, replies: Mapping[str, Reply | Stream]) -> None:
        self.replies = dict(replies)
        self.key = ""
        self.asked: list[Asked] = []
        self.hung_up = asyncio.Event()
        self.url = ""
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @classmethod
    def native(cls, replies: Mapping[str, Reply | Stream] | None = None) -> ScriptedServer:
        """As llama.cpp's own server presents itself."""
        return cls({"/health": Reply({"status": "ok"}), "/props": Reply(PROPS), **(replies or {})})

    @classmethod
    def llama_cpp_python(cls, replies: Mapping[str, Reply | Stream] | None = None) -> ScriptedServer:
        """As llama-cpp-python's server presents itself."""
        models = {"object": "list", "data": [{"id": "tiny", "object": "model", "owned_by": "me", "permissions": []}]}
        return cls({"/v1/models": Reply(models), **(replies or {})})

    @classmethod
    def vllm(cls, replies: Mapping[str, Reply | Stream] | None = None) -> ScriptedServer:
        """As vLLM's server presents itself."""
        models = {"object": "list", "data": [{"id": "Qwen/Qwen3-1.7B", "object": "model", "owned_by": "vllm"}]}
        return cls({"/health": Reply(b""), "/v1/models": Reply(models), **(replies or {})})

    def bodies(self, path: str) -> list[Any]:
        """What was sent to one path."""
        return [asked.body for asked in self.asked if asked.path == path]

    async def __aenter__(self) -> ScriptedServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._answer(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        try:
            await asyncio.wait({connection})
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split(" ", 2)
            fields = (line.split(": ", 1) for line in head.splitlines()[1:] if line)
            headers = {name.lower(): value for name, value in fields}
            content = await reader.readexactly(int(headers.get("content-length", 0)))
            self.asked.append(Asked(method, path, json.loads(content) if content else None, headers))
            if self.key and headers.get("authorization") != f"Bearer {self.key}" and path != "/health":
                await self._send(Reply({"error": f"Unauthorized: {headers.get('authorization')}"}, 401), writer)
                return
            reply = self.replies.get(path, Reply({"error": {"code": 404, "message": "File Not Found"}}, 404))
            if isinstance(reply, Stream):
                await self._stream(reply, reader, writer)
            else:
                await self._send(reply, writer)

    async def _send(self, reply: Reply, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(reply.after_s)
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        writer.write(f"HTTP/1.1 {reply.status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    async def _stream(self, stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        hanging_up = asyncio.create_task(reader.read())
        for step in stream.steps:
            if step is BREAK_OFF:
                writer.transport.abort()
                return
            if isinstance(step, asyncio.Event):
                waiting = asyncio.create_task(step.wait())
                await asyncio.wait({waiting, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
            else:
                text = step if isinstance(step, str) else f"data: {json.dumps(step, ensure_ascii=False)}\n\n"
                data = text.encode()
                writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                await writer.drain()
            if hanging_up.done():
                self.hung_up.set()
                return
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        hanging_up.cancel()
