"""Servers of files on real sockets that do what they are told: Range, ETag, redirects, breaking off in the middle."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

PIECE_BYTES = 1 << 16
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Asked:
    """One request; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    status: int


@dataclass
class Behaviour:
    """What a server does; may be changed at any time.

    break_offs: after how many bytes of content the next answers end, one entry an answer; None: it is sent whole.
    hold: content stops at half of what was asked for until the event is set.
    """

    ranges: bool = True
    if_range: bool = True
    etag: str | None = '"1"'
    length: bool = True
    status: int | None = None
    error_code: str | None = None
    break_offs: list[int | None] = field(default_factory=list)
    hold: threading.Event | None = None


class FileServer:
    """``with FileServer({"/toy.gguf": b"..."}) as server``; as a proxy, too, for whole addresses as paths."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.behaviour = Behaviour()
        self.asked: list[Asked] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def do_HEAD(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FileServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.behaviour.hold is not None:
            self.behaviour.hold.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def ranges(self) -> list[str | None]:
        """The Range of every GET, in order."""
        return [asked.headers.get("range") for asked in self.asked if asked.method == "GET"]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        does = self.behaviour
        content = self.files.get(request.path)
        status = does.status or (200 if content is not None else 404)
        headers = {"ETag": does.etag} if does.etag else {}
        if does.error_code:
            headers["X-Error-Code"] = does.error_code
        asked_range = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        unchanged = not does.if_range or request.headers.get("If-Range") in (None, does.etag)
        content = content or b""
        if status == 200 and does.ranges and asked_range and unchanged:
            first = int(asked_range[1])
            status = 206 if first < len(content) else 416
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            content = content[first:]
        if does.length:
            headers["Content-Length"] = str(len(content))
        self.send(request, status, headers)
        if request.command == "GET" and status in (200, 206):
            self._send_content(request, content)

    def send(self, request: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers, and remember what was asked."""
        lower = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.command, request.path, lower, status))
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()

    def _send_content(self, request: BaseHTTPRequestHandler, content: bytes) -> None:
        limit = self.behaviour.break_offs.pop(0) if self.behaviour.break_offs else None
        content = content if limit is None else content[:limit]
        half = len(content) // 2
        try:
            for first in range(0, len(content), PIECE_BYTES):
                if self.behaviour.hold is not None and first >= half:
                    self.behaviour.hold.wait()
                request.wfile.write(content[first : first + PIECE_BYTES])
        except ConnectionError:
            request.close_connection = True


class Hub(FileServer):
    """The Hugging Face Hub, as far as the files of one repository go; their content lies on another host, ``store``.

    told: files of which it tells size and SHA-256, in the place of the store's. token: without it all is gated.
    """

    def __init__(self, repository: str, store: FileServer) -> None:
        super().__init__({})
        self.repository = repository
        self.store = store
        self.told: dict[str, bytes] = {}
        self.token: str | None = None

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer as the Hub does to resolve/<revision>/<path>."""
        match = re.fullmatch(rf"/{self.repository}/resolve/(main|{COMMIT})(/.+)", request.path)
        if match is None:
            self.send(
                request, 404, {"X-Error-Code": "RevisionNotFound" if "/resolve/" in request.path else "RepoNotFound"}
            )
        elif self.behaviour.status:
            self.send(request, self.behaviour.status, {"X-Error-Code": self.behaviour.error_code or ""})
        elif self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            self.send(request, 401, {"X-Error-Code": "GatedRepo"})
        elif match[2] not in self.store.files:
            self.send(request, 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            content = self.told.get(match[2], self.store.files[match[2]])
            headers = {
                "X-Repo-Commit": COMMIT,
                "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"{self.store.url}{match[2]}",
                "Content-Length": "0",
            }
            self.send(request, 302, headers)
