"""Serves the app on a socket: uvicorn, with an end to what a client may keep waiting for."""

from __future__ import annotations

import asyncio
import logging
import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.gateway.settings import is_loopback

# A request's head must have come within this time of the connection, or of the answer before.
HEAD_TIMEOUT_S = 10.0
# A client that takes less than the buffer's hysteresis (48 KiB) in this time is hung up on.
STALL_TIMEOUT_S = 30.0
# What a slow reader of a stream lags behind lies in these.
SEND_BUFFER_BYTES = 128 * 1024
MAX_HEAD_BYTES = 16 * 1024
BACKLOG = 64


class HurriedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which waits for a head and for a reader for ever."""

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering():
            _cancel(self._head_timer)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._is_answering():
            self._await_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall_timer = self.loop.call_later(STALL_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._stall_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        _cancel(self._head_timer)
        _cancel(self._stall_timer)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        _cancel(self._head_timer)
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def addresses_of(host: str) -> list[str]:
    """The addresses that a host to listen on stands for; empty: all of this machine.

    Raises:
        ConfigurationError: there are none.
    """
    try:
        found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"host {host!r} has no address: {error}") from error
    return [str(each[4][0]) for each in found]


def is_private(host: str) -> bool:
    """Whether only this machine reaches a host to listen on."""
    return is_loopback(addresses_of(host))


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections as soon as it is served.

    Raises:
        ConfigurationError: the port is taken or may not be used; says which.
    """
    address = addresses_of(host)[0]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Head and body of an answer are written one after the other, and Nagle would hold the second one back.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listening.bind((address, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        where = f"{host or 'all addresses'}, port {port}"
        raise ConfigurationError(f"cannot listen on {where}: {reason}; choose another port") from error
    return listening


class Server:
    """The app on a socket.

    Args:
        max_connections: what is more is answered with 503.
    """

    def __init__(self, app: ASGIApp, listening: socket.socket, *, max_connections: int) -> None:
        self._socket = listening
        _forward_logging()
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                app,
                http=HurriedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # whoever wants to be somebody else could say so
                limit_concurrency=max_connections,
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
                timeout_graceful_shutdown=1,
            )
        )

    @property
    def url(self) -> str:
        """Where it is served."""
        host, port = self._socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    async def serve(self) -> None:
        """Until ``stop``; then answers under way may take a second to end."""
        await self._uvicorn.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Take no more connections and let go of those that there are; from any thread."""
        self._uvicorn.should_exit = True


class _Forward(logging.Handler):
    """What uvicorn logs, to the package's log. That a client spoke nonsense, or left, is no warning of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        ours = logging.getLogger(__name__)
        ours.log(logging.ERROR if record.levelno >= logging.ERROR else logging.DEBUG, "%s", self.format(record))


def _forward_logging() -> None:
    logger = logging.getLogger("uvicorn.error")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if not any(isinstance(each, _Forward) for each in logger.handlers):
        logger.addHandler(_Forward())
