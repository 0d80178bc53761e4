"""What every answer gets, whoever gives it: safe headers, a count, and a problem document where the app fails."""

from __future__ import annotations

from time import monotonic

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smolfusion_ros.gateway.measures import Measures
from smolfusion_ros.gateway.problems import problem_of
from smolfusion_ros.gateway.streaming import ClientGoneError

# Nothing from elsewhere, nothing inline; pictures also from memory (a page that bears a token fetches them itself).
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Outermost:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun_s, status = monotonic(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientGoneError:
            pass
        except Exception as error:  # one request's defect; the server goes on
            problem = problem_of(error)
            if status:
                raise
            await problem.response()(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path_format", "other")
            self._measures.on_request(scope["method"], route, status, monotonic() - begun_s)
