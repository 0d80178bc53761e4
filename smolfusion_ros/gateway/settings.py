"""Who may reach the gateway, and how much of it: values that cannot be wrong once made."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from smolfusion_ros.errors import ConfigurationError

MIN_TOKEN_CHARACTERS = 16
MAKE_A_TOKEN = (
    "(umask 077; python3 -c 'import secrets; print(secrets.token_urlsafe(32))' > token), "
    "then name that file in the parameter token_file, or set SMOLFUSION_TOKEN"
)


@dataclass(frozen=True)
class Settings:
    """Bounds of the HTTP interface.

    Attributes:
        token: what every request must bear; empty: none. Kept out of ``repr``.
        host_names: names this robot is called by in a Host header, besides ``localhost`` and addresses.
        cors_origins: other web sites that may use the interface, ``https://name[:port]``.
        max_body_bytes: of one request.
        body_timeout_s: a body must have arrived within this time.
        requests_per_minute: of one client; the emergency stop and the page's files are not counted.
        page: directory of the web page's files; None: there is none.
    """

    token: str = field(default="", repr=False)
    host_names: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 8 * 2**20
    body_timeout_s: float = 10.0
    requests_per_minute: int = 120
    page: Path | None = None

    def __post_init__(self) -> None:
        if self.token and (len(self.token) < MIN_TOKEN_CHARACTERS or not self.token.isascii()):
            raise ConfigurationError(
                f"the token has {len(self.token)} characters; at least {MIN_TOKEN_CHARACTERS} of ASCII: {MAKE_A_TOKEN}"
            )
        for origin in self.cors_origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("http", "https")
                or not parts.netloc
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise ConfigurationError(f"cors_origins: {origin!r} is no origin; write it like https://robots.example")
        if self.max_body_bytes < 1024 or self.requests_per_minute < 1 or self.body_timeout_s <= 0.0:
            raise ConfigurationError(f"a bound of {self} is too small")


def is_loopback(addresses: list[str]) -> bool:
    """Whether nothing but this machine reaches these addresses."""
    return all(ipaddress.ip_address(each.split("%")[0]).is_loopback for each in addresses)
