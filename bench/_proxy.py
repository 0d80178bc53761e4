"""Stands between the dialogue and its backend and notes when each command of an answer was whole on the wire."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import suppress

from smolfusion_ros.dialogue.reply_stream import ReplyStream

CHUNK_BYTES = 1 << 16


class Proxy:
    """Forwards connections on loopback, byte for byte.

    Attributes:
        closed_s: when commands' objects were closed, seconds of ``time.perf_counter``.
    """

    def __init__(self, port: int, backend_port: int) -> None:
        self.port = port
        self.closed_s: list[float] = []
        self._backend_port = backend_port
        self._ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        if not self._ready.wait(5):
            raise RuntimeError(f"port {port} cannot be listened on")

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        self._ready.set()
        await server.serve_forever()

    async def _connect(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        backend, to_backend = await asyncio.open_connection("127.0.0.1", self._backend_port)
        asking = asyncio.create_task(_forward(client, to_backend))
        reply, rest = ReplyStream(), b""
        with suppress(ConnectionError):
            while data := await backend.read(CHUNK_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {") and reply.feed(json.loads(line[6:]).get("content") or "").commands:
                        self.closed_s.append(time.perf_counter())
                to_client.write(data)
                await to_client.drain()
        asking.cancel()
        for writer in (to_client, to_backend):
            writer.close()


async def _forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
        sink.write_eof()
