"""Downloads a file, and takes up what an earlier call began.

``hf_hub_download`` cannot do that: from huggingface_hub 1.18 on it writes to a file of a random name, deletes it
when the download breaks off, and never finds it again when the process was killed
(https://github.com/huggingface/huggingface_hub/issues/4196). Hence huggingface_hub tells where a file is
(``hub.py``), and the bytes are fetched here, in the same way for every server.
"""

import errno
import json
import re
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from smolfusion_ros.errors import ModelDamagedError, ModelError, ModelMissingError

TIMEOUT_S = 30.0
# Between attempts that bring nothing, once something has come: a wireless network is back within seconds.
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Source:
    """A file on a server.

    name: what messages call it; size (bytes) and sha256: what it must have, None where unknown; version: names
    the content where the server told it beforehand, so that pieces of one version fit together; headers: sent along,
    an Authorization to the url's own host only.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None
    version: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


# Hands chunks on, and may show how it gets on: chunks, file name, bytes there before, bytes of the whole file.
Watch = Callable[[Iterator[bytes], str, int, int | None], Generator[bytes, None, None]]


def unwatched(chunks: Iterator[bytes], name: str, done: int, total: int | None) -> Generator[bytes, None, None]:
    """A Watch that shows nothing."""
    yield from chunks


def mib(size: int | None) -> str:
    """A number of bytes in MiB, for people."""
    return "an unknown number of MiB" if size is None else f"{size / (1 << 20):.1f} MiB"


def download(source: Source, directory: Path, report: Callable[[str], None] = print, watch: Watch = unwatched) -> Path:
    """Download a file into a directory of its own; returns its path there, unchecked.

    What came stays in the directory when the call ends early, however it ends, and the next call goes on with it.
    Proxies are taken from the environment (HTTPS_PROXY, NO_PROXY). One process at a time per directory.
    Raises ModelMissingError (not to be had), ModelDamagedError (another size than ``source.size``), OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    partial = _Partial(directory, source)
    began = time.monotonic()
    if partial.offset:
        report(f"{source.name}: going on after {mib(partial.offset)} of {mib(partial.total)}")
    came, failures = False, 0
    with _client() as client:
        while not partial.is_whole:
            before = partial.size
            try:
                _attempt(client, source, partial, watch)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                progressed = partial.size > before
                came, failures = came or progressed, 0 if progressed else failures + 1
                if not came or failures >= len(WAITS_S) or not _may_pass(error):
                    raise ModelMissingError(_explained(source, partial, error)) from error
                wait_s = WAITS_S[failures]
                report(f"{source.name} broke off after {mib(partial.size)} ({_words(error)}), again in {wait_s:g} s")
                time.sleep(wait_s)
    report(f"{source.name}: all {mib(partial.size)} came, after {time.monotonic() - began:.1f} s")
    return partial.data


class _Partial:
    """What came of a file so far, and a note of which file that is."""

    def __init__(self, directory: Path, source: Source) -> None:
        self.data = directory / "data"
        self.validator: str | None = None
        self.total: int | None = None
        self._note = directory / "origin.json"
        self._source = source
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            known = note["origin"] == self._origin
            self.validator, self.total = note["validator"], note["total"]
        except (OSError, ValueError, KeyError, TypeError):
            known = False
        if not known or (self.total is not None and self.size > self.total):
            self.discard()

    @property
    def size(self) -> int:
        """Bytes that came."""
        return self.data.stat().st_size if self.data.exists() else 0

    @property
    def offset(self) -> int:
        """Bytes that need not be asked for again; 0 where nothing could tell that the rest belongs to them."""
        told_apart = self.validator or self._source.version or self._source.sha256
        return self.size if told_apart else 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing is to come."""
        return self.total is not None and self.size == self.total

    def conditions(self) -> dict[str, str]:
        """The headers that ask for the rest, or for everything if the file is another one by now."""
        headers = {"Range": f"bytes={self.offset}-"} if self.offset else {}
        return {**headers, "If-Range": self.validator} if headers and self.validator else headers

    def is_continued_by(self, response: httpx.Response) -> bool:
        """Whether an answer is the rest of this very file: not every server knows If-Range."""
        match = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        return (
            match is not None
            and int(match[1]) == self.offset
            and (self.total is None or match[2] in ("*", str(self.total)))
            and (self.validator is None or _validator(response) in (None, self.validator))
        )

    def begin(self, response: httpx.Response, total: int | None) -> None:
        """Start from nothing, as the response does."""
        self.discard()
        # Where the version is known the validator is left out: hosts that mirror a file may give it tags of their own.
        self.validator = None if self._source.version else _validator(response)
        self.total = total
        note = {"origin": self._origin, "validator": self.validator, "total": total}
        self._note.write_text(json.dumps(note), encoding="utf-8")

    def discard(self) -> None:
        """Forget what came."""
        self.data.unlink(missing_ok=True)
        self.validator = self.total = None

    @property
    def _origin(self) -> str:
        return self._source.version or self._source.url


def _attempt(client: httpx.Client, source: Source, partial: _Partial, watch: Watch) -> None:
    offset = partial.offset
    # Compressed, the bytes that came could not be counted.
    headers = {**source.headers, "Accept-Encoding": "identity", **partial.conditions()}
    with client.stream("GET", source.url, headers=headers) as response:
        if offset and response.status_code in (206, 416):
            if not partial.is_continued_by(response):
                partial.discard()
                return
        else:
            response.raise_for_status()
            offset, total = 0, _length(response)
            if source.size is not None and total is not None and total != source.size:
                partial.discard()
                raise ModelDamagedError(f"it has {total} bytes, expected {source.size}")
            partial.begin(response, total)
        if partial.total is not None and shutil.disk_usage(partial.data.parent).free < partial.total - offset:
            raise OSError(errno.ENOSPC, f"no space for the {mib(partial.total - offset)} still to come")
        name = source.name.rpartition("/")[2]
        with (
            closing(watch(response.iter_raw(), name, offset, partial.total)) as chunks,
            partial.data.open("ab") as file,
        ):
            for chunk in chunks:
                file.write(chunk)
    if partial.total is None:
        partial.total = partial.size
    elif partial.size <= offset < partial.total:
        raise httpx.RemoteProtocolError("an answer without content")


def _client() -> httpx.Client:
    try:
        return httpx.Client(follow_redirects=True, timeout=TIMEOUT_S)
    except (ImportError, ValueError, OSError) as error:
        names = "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE"
        raise ModelError(f"the environment's proxy or certificates ({names}) cannot be used: {error}") from error


def _validator(response: httpx.Response) -> str | None:
    """What If-Range takes: a strong ETag, else the date of the last change."""
    etag: str | None = response.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _length(response: httpx.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and "Content-Encoding" not in response.headers else None


def _may_pass(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in PASSING_STATUS
    return isinstance(error, httpx.TransportError)


def _words(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"{error.response.status_code} {error.response.reason_phrase}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _explained(source: Source, partial: _Partial, error: Exception) -> str:
    status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None
    if status in (404, 410):
        return f"{source.name} is not there ({_words(error)}): correct its origin in the manifest"
    if status in (401, 403, 407):
        return f"{source.name} may not be had ({_words(error)}): it needs a login, or a proxy refuses it"
    kept = f" The {mib(partial.size)} that came are kept: call again to go on." if partial.size else ""
    remedy = "Is there internet? HTTPS_PROXY sets a proxy" if status is None else "Try again later"
    return f"{source.name} cannot be downloaded ({_words(error)}).{kept} {remedy}"
