"""Answers that come in pieces: server-sent events, pictures one after the other, and clients that go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Any, TypeVar

from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from smolfusion_ros.gateway.camera import Camera
from smolfusion_ros.gateway.hub import Hub

# A connection that says nothing looks dead to proxies.
PING_S = 15.0
# A browser whose stream broke off comes again after this time.
RETRY_MS = 2000
BOUNDARY = "frame"

Result = TypeVar("Result")


class ClientGoneError(Exception):
    """Nobody is there to answer any more."""


async def until_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result; the work is cancelled when the client goes away.

    Raises:
        ClientGoneError: it did.
    """
    working, going = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, going}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError
        return working.result()
    finally:
        for each in (working, going):
            each.cancel()
        await asyncio.gather(working, going, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def event_stream(events: AsyncGenerator[ServerSentEvent, None]) -> EventSourceResponse:
    """Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    return EventSourceResponse(events, ping=PING_S, sep="\n", ping_message_factory=_ping)


def events_schema(*names: str) -> dict[str, Any]:
    """The description of each event of a stream."""
    data = {"type": "string", "contentMediaType": "application/json"}
    return {
        "type": "object",
        "properties": {"event": {"type": "string", "enum": list(names)}, "data": data, "retry": {"type": "integer"}},
        "required": ["event", "data"],
    }


def sent(name: str, data: str, retry_ms: int | None = None) -> ServerSentEvent:
    """One event; ``data`` is JSON."""
    return ServerSentEvent(event=name, data=data, retry=retry_ms, sep="\n")


def _ping() -> ServerSentEvent:
    return ServerSentEvent(comment="ping", sep="\n")


class Streamed(Response):
    """A response that holds one of the places for streams from before it begins until it has ended.

    Args:
        content: gives the response that is sent; what it raises is answered as any other error.
    """

    def __init__(self, hub: Hub, content: Callable[[], AbstractAsyncContextManager[Response]]) -> None:
        super().__init__()
        self._hub = hub
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._hub.stream():
            async with self._content() as response:
                await response(scope, receive, send)


def everything(hub: Hub) -> Response:
    """A snapshot, then what happens, until the client goes or is too slow."""
    return Streamed(hub, lambda: nullcontext(event_stream(_everything(hub))))


async def _everything(hub: Hub) -> AsyncGenerator[ServerSentEvent, None]:
    with hub.reader() as reader:
        begun = hub.snapshot()
        yield sent(begun.name, begun.data, RETRY_MS)
        while (event := await reader.next()) is not None:
            yield sent(event.name, event.data)


def motion_jpeg(hub: Hub, camera: Camera) -> Response:
    """The newest picture whenever there is a newer one; a slow client skips."""
    media_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
    return Streamed(hub, lambda: nullcontext(StreamingResponse(_pictures(camera), media_type=media_type)))


async def _pictures(camera: Camera) -> AsyncGenerator[bytes, None]:
    # A browser shows a part when the boundary behind it has come, so each part brings its own.
    yield f"--{BOUNDARY}\r\n".encode()
    number = 0
    while (frame := await camera.newer_than(number)) is not None:
        number = frame.number
        head = f"Content-Type: {frame.media_type}\r\nContent-Length: {len(frame.data)}\r\n"
        head += f"X-Timestamp: {frame.stamp:.6f}\r\n\r\n"
        yield head.encode() + frame.data + f"\r\n--{BOUNDARY}\r\n".encode()


async def first_of(pieces: AsyncGenerator[Result, None]) -> Result:
    """The first piece of at least one."""
    return await pieces.__anext__()


async def last_of(pieces: AsyncGenerator[Result, None]) -> Result:
    """The last piece of at least one."""
    async with aclosing(pieces) as closing:
        last = await closing.__anext__()
        async for piece in closing:
            last = piece
    return last
