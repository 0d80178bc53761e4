"""Downloads over real sockets, from servers that break off, change their files or know no Range."""

import socket
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from file_server import FileServer

from smolfusion_ros.errors import ModelDamagedError, ModelError, ModelMissingError
from smolfusion_ros.llama import download as module
from smolfusion_ros.llama.download import Source, download

CONTENT = b"GGUF" + bytes(range(256)) * 2000
OTHER = b"GGUF" + bytes(reversed(range(256))) * 2000
MIDDLE = 300_000


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITS_S", (0.01, 0.01))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer({"/m.gguf": CONTENT}) as started:
        yield started


@pytest.fixture
def source(server: FileServer) -> Source:
    return Source(f"{server.url}/m.gguf", f"{server.url}/m.gguf")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


class Interrupt:
    """A Watch that is interrupted, as by Ctrl-C, once a number of bytes has passed."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(
        self, chunks: Iterator[bytes], name: str, done: int, total: int | None
    ) -> Generator[bytes, None, None]:
        for chunk in chunks:
            yield chunk
            done += len(chunk)
            if done >= self.after:
                raise KeyboardInterrupt


def interrupted(source: Source, scratch: Path, after: int = MIDDLE) -> int:
    """Begin a download; returns how many bytes came."""
    with pytest.raises(KeyboardInterrupt):
        download(source, scratch, watch=Interrupt(after))
    came = (scratch / "data").stat().st_size
    assert after <= came < len(CONTENT)
    return came


def test_interrupted_download_asks_for_the_rest_only(server: FileServer, source: Source, scratch: Path):
    came = interrupted(source, scratch)
    lines: list[str] = []
    assert download(source, scratch, lines.append).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={came}-"]
    assert server.asked[1].headers["if-range"] == '"1"' and server.asked[1].status == 206
    assert "going on after 0.3 MiB of 0.5 MiB" in lines[0]


def test_download_that_came_whole_is_not_asked_for_again(server: FileServer, source: Source, scratch: Path):
    download(source, scratch)
    assert download(source, scratch).read_bytes() == CONTENT
    assert len(server.asked) == 1


@pytest.mark.parametrize("if_range", [True, False], ids=["server knows If-Range", "server ignores If-Range"])
def test_file_that_changed_meanwhile_is_begun_anew(server: FileServer, source: Source, scratch: Path, if_range: bool):
    interrupted(source, scratch)
    server.files["/m.gguf"] = OTHER
    server.behaviour.etag, server.behaviour.if_range = '"2"', if_range
    assert download(source, scratch).read_bytes() == OTHER


def test_server_without_range_sends_everything_again(server: FileServer, source: Source, scratch: Path):
    server.behaviour.ranges = False
    interrupted(source, scratch)
    assert download(source, scratch).read_bytes() == CONTENT
    assert server.asked[1].status == 200


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
def test_pieces_that_nothing_holds_together_are_not_joined(
    server: FileServer, source: Source, scratch: Path, etag: str | None
):
    server.behaviour.etag = etag
    interrupted(source, scratch)
    assert download(source, scratch).read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_known_sha256_holds_pieces_together_without_an_etag(server: FileServer, source: Source, scratch: Path):
    server.behaviour.etag = None
    source = replace(source, sha256="0" * 64)
    came = interrupted(source, scratch)
    assert download(source, scratch).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={came}-"]
    assert "if-range" not in server.asked[1].headers


def test_file_of_another_address_is_not_gone_on_with(server: FileServer, source: Source, scratch: Path):
    interrupted(source, scratch)
    server.files["/other.gguf"] = OTHER
    assert download(replace(source, url=f"{server.url}/other.gguf"), scratch).read_bytes() == OTHER
    assert server.ranges == [None, None]


def test_same_version_at_another_address_is_gone_on_with(server: FileServer, source: Source, scratch: Path):
    source = replace(source, version="abc")
    came = interrupted(source, scratch)
    server.files["/moved.gguf"], server.behaviour.etag = CONTENT, '"tag of another mirror"'
    assert download(replace(source, url=f"{server.url}/moved.gguf"), scratch).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={came}-"] and server.asked[1].status == 206


@pytest.mark.parametrize("damage", ["not JSON", "[]", '{"origin": 1}'])
def test_unreadable_note_means_a_new_beginning(server: FileServer, source: Source, scratch: Path, damage: str):
    interrupted(source, scratch)
    (scratch / "origin.json").write_text(damage)
    assert download(source, scratch).read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_more_than_the_file_has_is_thrown_away(server: FileServer, source: Source, scratch: Path):
    interrupted(source, scratch)
    (scratch / "data").write_bytes(CONTENT + b"more")
    assert download(source, scratch).read_bytes() == CONTENT


def test_file_that_became_shorter_is_begun_anew(server: FileServer, source: Source, scratch: Path):
    interrupted(source, scratch)
    server.files["/m.gguf"] = CONTENT[:1000]
    assert download(source, scratch).read_bytes() == CONTENT[:1000]
    assert [asked.status for asked in server.asked] == [200, 416, 200]


def test_connection_that_breaks_off_is_taken_up_at_once(server: FileServer, source: Source, scratch: Path):
    server.behaviour.break_offs = [100_000, 0, 100_000]
    lines: list[str] = []
    assert download(source, scratch, lines.append).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=100000-", "bytes=200000-"]
    assert len([line for line in lines if "broke off after 0.1 MiB" in line]) == 2


def test_server_that_keeps_breaking_off_is_left_with_what_came_kept(server: FileServer, source: Source, scratch: Path):
    server.behaviour.break_offs = [100_000, 0, 0]
    with pytest.raises(ModelMissingError, match=r"m\.gguf cannot be downloaded .* 0\.1 MiB that came are kept"):
        download(source, scratch)
    assert download(source, scratch).read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=100000-"


def test_busy_server_is_asked_again_once_something_came(server: FileServer, source: Source, scratch: Path):
    server.behaviour.break_offs = [100_000]
    statuses = iter([503])

    def busy_once(line: str) -> None:
        server.behaviour.status = next(statuses, None) if "broke off" in line else None

    assert download(source, scratch, busy_once).read_bytes() == CONTENT
    assert [asked.status for asked in server.asked] == [200, 503, 206]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, r"m\.gguf is not there \(404 Not Found\)"),
        (401, r"m\.gguf may not be had \(401 Unauthorized\).*login"),
        (403, r"m\.gguf may not be had \(403 Forbidden\)"),
        (500, r"m\.gguf cannot be downloaded \(500 Internal Server Error\)"),
    ],
)
def test_refusal_is_said_once_and_at_once(server: FileServer, source: Source, scratch: Path, status: int, message: str):
    server.behaviour.status = status
    with pytest.raises(ModelMissingError, match=message):
        download(source, scratch)
    assert len(server.asked) == 1


def test_nobody_at_the_address_is_said_with_the_way_out(scratch: Path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/m.gguf"
        with pytest.raises(ModelMissingError, match=rf"{url} cannot be downloaded .*internet\? HTTPS_PROXY"):
            download(Source(url, url), scratch)


def test_wrong_size_is_noticed_before_the_content_comes(server: FileServer, source: Source, scratch: Path):
    with pytest.raises(ModelDamagedError, match=f"it has {len(CONTENT)} bytes, expected 7"):
        download(replace(source, size=7), scratch)
    assert not (scratch / "data").exists()


def test_file_of_unknown_length_comes_whole(server: FileServer, source: Source, scratch: Path):
    server.behaviour.length = False
    assert download(source, scratch).read_bytes() == CONTENT


def test_no_space_is_noticed_before_the_content_comes(
    server: FileServer, source: Source, scratch: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = module.shutil.disk_usage(scratch.parent)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage._replace(free=len(CONTENT) - 1))
    with pytest.raises(OSError, match=r"no space for the 0\.5 MiB still to come"):
        download(source, scratch)


def test_proxy_of_the_environment_is_asked(server: FileServer, scratch: Path, monkeypatch: pytest.MonkeyPatch):
    url = "http://models.invalid/m.gguf"
    server.files[url] = CONTENT
    monkeypatch.setenv("HTTP_PROXY", server.url)
    assert download(Source(url, url), scratch).read_bytes() == CONTENT
    assert server.asked[0].path == url


def test_proxy_that_is_no_address_is_named(source: Source, scratch: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "nonsense://proxy")
    with pytest.raises(ModelError, match="HTTP_PROXY"):
        download(source, scratch)


def test_progress_is_told_with_what_was_there_before(server: FileServer, source: Source, scratch: Path):
    came = interrupted(source, scratch)
    told: list[tuple[str, int, int | None]] = []

    def watch(chunks: Iterator[bytes], name: str, done: int, total: int | None) -> Generator[bytes, None, None]:
        told.append((name, done, total))
        yield from chunks

    download(source, scratch, watch=watch)
    assert told == [("m.gguf", came, len(CONTENT))]


def test_server_is_not_told_a_token_meant_for_another(server: FileServer, scratch: Path):
    with FileServer({}) as first:
        first.answer = redirect_to(f"{server.url}/m.gguf", first)
        url = f"{first.url}/m.gguf"
        assert download(Source(url, url, headers={"Authorization": "Bearer t"}), scratch).read_bytes() == CONTENT
        assert first.asked[0].headers["authorization"] == "Bearer t"
    assert "authorization" not in server.asked[0].headers


def redirect_to(location: str, server: FileServer) -> Callable[..., None]:
    return lambda request: server.send(request, 302, {"Location": location, "Content-Length": "0"})
