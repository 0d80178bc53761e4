"""Who may pass, as pure ASGI middleware: names, rate, origin, token, in this order.

A page of another web site can make this machine's browser send requests here, and can call itself by our address (DNS
rebinding). Against the first stand the Origin header and the browser's Sec-Fetch-Site, against the second the Host
header: a name that is not ours is refused, an address cannot be rebound. The token is no cookie, so that no browser
sends it by itself.
"""

from __future__ import annotations

import hmac
import ipaddress
import math
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from smolfusion_ros.gateway.problems import ProblemError
from smolfusion_ros.gateway.rates import Rates, client_of
from smolfusion_ros.gateway.settings import Settings

# Nothing may keep a person from stopping the robot but a wrong token.
UNCOUNTED = ("POST", "/emergency_stop")
_OURS = ("same-origin", "none")


class Guard:
    """Refuses with a problem document, or lets pass.

    Args:
        public: paths of the page's files. They need no token, as they hold no secret and the page asks for the token,
            and are not counted, as they cost nothing and a page has many.
    """

    def __init__(self, app: ASGIApp, settings: Settings, public: Collection[str] = ()) -> None:
        self._app = app
        self._names = {"localhost", *(name.lower() for name in settings.host_names)}
        self._origins = frozenset(settings.cors_origins)
        self._token = settings.token.encode()
        self._public = frozenset(public)
        self._rates = Rates(settings.requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check(scope)
            except ProblemError as problem:
                await problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise ProblemError(421, "bad_host", f"{host[:80]!r} is not a name of this robot (host_names)")
        if (scope["method"], scope["path"]) != UNCOUNTED and scope["path"] not in self._public:
            self._count(scope)
        self._check_site(scope, headers, host)
        if self._token and scope["path"] not in self._public:
            self._check_token(headers)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name.rstrip(".") in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _count(self, scope: Scope) -> None:
        client = scope.get("client")
        wait_s = self._rates.wait_s(client_of(client[0] if client else ""))
        if wait_s > 0.0:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            raise ProblemError(429, "too_many_requests", f"come again in {wait_s:.1f} s", headers=headers)

    def _check_site(self, scope: Scope, headers: Headers, host: str) -> None:
        origin = headers.get("origin")
        if origin is not None:
            if origin in self._origins or origin in (f"http://{host}", f"https://{host}"):
                return
            raise ProblemError(403, "foreign_origin", f"the web site {origin[:80]!r} is not in cors_origins")
        site = headers.get("sec-fetch-site", "none")
        followed_link = headers.get("sec-fetch-mode") == "navigate" and scope["path"] in self._public
        if site not in _OURS and not followed_link:
            raise ProblemError(403, "foreign_origin", f"the request comes from another web site ({site[:20]})")

    def _check_token(self, headers: Headers) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token)
        if scheme.lower() != "bearer" or not right:
            detail = "send the header `Authorization: Bearer <token>`"
            raise ProblemError(401, "bad_token", detail, headers={"WWW-Authenticate": "Bearer"})
