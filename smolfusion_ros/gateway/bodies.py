"""Reads a request's body, bounded in bytes and time, before anything looks into it; and looks into it.

A body is held in memory as a whole, since it is small; nothing of it touches the disk.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smolfusion_ros.gateway.problems import ProblemError, shape_problem
from smolfusion_ros.gateway.settings import Settings

# Bodies of all requests together, in those of the largest size.
MAX_BODIES = 4
# A client that is still sending hears of the refusal only if it is listened to a little longer.
LINGER_S = 2.0
MAX_PARTS = 8

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# What a client sends wrong is told to the client.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

Model = TypeVar("Model", bound=BaseModel)


class BodyLimit:
    """ASGI middleware: hands the body on in one piece, or refuses it while it is still arriving."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._max_bytes = settings.max_body_bytes
        self._timeout_s = settings.body_timeout_s
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            try:
                self._check_length(Headers(scope=scope).get("content-length"))
                complete = await asyncio.wait_for(self._read(body, receive), self._timeout_s)
            except asyncio.TimeoutError:
                detail = f"the body did not arrive within {self._timeout_s:g} s"
                await _refuse(ProblemError(408, "body_timeout", detail), scope, receive, send)
                return
            except ProblemError as problem:
                await _refuse(problem, scope, receive, send)
                return
            if complete:
                await self._app(scope, _replaying(bytes(body), receive), send)
        finally:
            self._held_bytes -= len(body)

    def _check_length(self, length: str | None) -> None:
        if length is not None and length.isdecimal() and int(length) > self._max_bytes:
            raise self._too_large()

    def _too_large(self) -> ProblemError:
        return ProblemError(413, "body_too_large", f"the body has more than {self._max_bytes} bytes (max_body_bytes)")

    async def _read(self, body: bytearray, receive: Receive) -> bool:
        """False where the client went away."""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            piece = message.get("body", b"")
            if len(body) + len(piece) > self._max_bytes:
                raise self._too_large()
            if self._held_bytes + len(piece) > MAX_BODIES * self._max_bytes:
                raise ProblemError(503, "busy", "too many large requests at once", headers={"Retry-After": "1"})
            body += piece
            self._held_bytes += len(piece)
            if not message.get("more_body", False):
                return True


def _replaying(body: bytes, receive: Receive) -> Receive:
    read = False

    async def replay() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _refuse(problem: ProblemError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, take what still comes for a while without keeping it, and close the connection."""
    response = problem.response()
    response.headers["Connection"] = "close"
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    end_s = monotonic() + LINGER_S
    try:
        while (left_s := end_s - monotonic()) > 0.0:
            message = await asyncio.wait_for(receive(), left_s)
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                break
    except asyncio.TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def content_type(request: Request) -> tuple[str, dict[str, str]]:
    """The body's media type and its parameters."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    return kind.decode("latin-1"), {key.decode("latin-1"): value.decode("latin-1") for key, value in options.items()}


async def json_of(request: Request, model: type[Model]) -> Model:
    """The body as a model.

    Raises:
        ProblemError: 415 for another content type, 400 where it is no JSON, 422 where it has another shape.
    """
    kind, _ = content_type(request)
    if kind != "application/json":
        raise ProblemError(415, "bad_content_type", f"the content type is {kind[:80]!r}, not 'application/json'")
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        if found[0]["type"] == "json_invalid":
            raise ProblemError(400, "bad_json", found[0]["msg"]) from error
        raise shape_problem(found) from error


async def form_of(request: Request) -> dict[str, bytes]:
    """The parts of a multipart form by name, in memory.

    Raises:
        ProblemError: 400 where it is no such form, 422 for a part twice or without a name, or too many.
    """
    _, options = content_type(request)
    try:
        parts = _Parts()
        parser = MultipartParser(options.get("boundary", ""), parts.callbacks())
        parser.write(await request.body())
        parser.finalize()
    except (FormParserError, UnicodeEncodeError) as error:
        raise ProblemError(400, "bad_form", f"the multipart form cannot be read: {error}") from error
    if not parts.ended:
        raise ProblemError(400, "bad_form", "the multipart form has no end")
    return parts.found


class _Parts:
    """Hears python-multipart's streaming parser."""

    def __init__(self) -> None:
        self.found: dict[str, bytes] = {}
        self.ended = False
        self._disposition = bytearray()
        self._field = bytearray()
        self._value = bytearray()
        self._data = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_begin": self._begin_header,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._disposition.clear()
        self._data = bytearray()

    def _begin_header(self) -> None:
        self._field.clear()
        self._value.clear()

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition[:] = self._value

    def _end_part(self) -> None:
        _, options = parse_options_header(bytes(self._disposition))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if not name or name in self.found or len(self.found) >= MAX_PARTS:
            raise ProblemError(422, "bad_form", f"the form has a part without a name, one twice, or over {MAX_PARTS}")
        self.found[name] = bytes(self._data)

    def _end(self) -> None:
        self.ended = True
