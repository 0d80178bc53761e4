"""The web page's files, read once: what is served cannot be changed or escaped from by a request."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.gateway.problems import ProblemError

INDEX = "index.html"
MAX_BYTES = 8 * 2**20
# Not left to the machine's own table of types: a script of another type is not run.
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True)
class Asset:
    """One file of the page."""

    data: bytes
    media_type: str
    etag: str


def load_page(directory: Path | None) -> dict[str, Asset]:
    """All files under a directory by their path in the address; none where it holds no index.html.

    Raises:
        ConfigurationError: they cannot be read, or are more than 8 MiB.
    """
    if directory is None or not (directory / INDEX).is_file():
        return {}
    assets: dict[str, Asset] = {}
    try:
        for file in sorted(each for each in directory.rglob("*") if each.is_file()):
            data = file.read_bytes()
            media_type = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            path = "/" + file.relative_to(directory).as_posix()
            assets[path] = Asset(data, media_type, f'"{hashlib.sha256(data).hexdigest()[:16]}"')
    except OSError as error:
        raise ConfigurationError(f"the web page cannot be read: {error}") from error
    if sum(len(asset.data) for asset in assets.values()) > MAX_BYTES:
        raise ConfigurationError(f"the web page in {directory} has more than {MAX_BYTES} bytes")
    assets["/"] = assets[f"/{INDEX}"]
    return assets


def page_routes(assets: dict[str, Asset]) -> APIRouter:
    """Routes to the page's files; a hint at the root where there are none."""
    router = APIRouter(include_in_schema=False)

    async def asset(request: Request) -> Response:
        found = assets[request.url.path]
        headers = {"ETag": found.etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == found.etag:
            return Response(status_code=304, headers=headers)
        return Response(found.data, media_type=found.media_type, headers=headers)

    async def hint() -> Response:
        raise ProblemError(404, "no_page", "no web page is installed; the interface is described at /openapi.json")

    for path in assets:
        router.add_api_route(path, asset, methods=["GET"])
    if not assets:
        router.add_api_route("/", hint, methods=["GET"])
    return router
