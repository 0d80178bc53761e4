"""Who may pass: names, origins, tokens, rates; and bodies that are too large, too slow or without an end."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from clock import Clock
from scripted_robot import Gateway, served

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.gateway import server
from smolfusion_ros.gateway.rates import MAX_CLIENTS, Rates, client_of
from smolfusion_ros.gateway.server import is_private, listen
from smolfusion_ros.gateway.settings import Settings

TOKEN = "0123456789abcdef"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@contextmanager
def guarded(**settings: Any) -> Iterator[Gateway]:
    with served(settings=Settings(**{"requests_per_minute": 100000, **settings})) as gateway:
        yield gateway


def get(gateway: Gateway, path: str = "/actions", **headers: str) -> httpx.Response:
    return httpx.get(
        gateway.url + path, headers={key.replace("_", "-"): value for key, value in headers.items()}, trust_env=False
    )


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "192.168.1.20", "robot.lan:8000", "ROBOT.LAN."]
)
def test_own_names_and_addresses_are_answered(host: str) -> None:
    with guarded(host_names=("robot.lan",)) as gateway:
        assert get(gateway, host=host).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "a b"])
def test_name_that_was_bound_to_our_address_is_refused(host: str) -> None:
    with guarded() as gateway:
        refused = get(gateway, host=host)
    assert (refused.status_code, refused.json()["code"]) == (421, "bad_host")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost:8000"}, 200),
        ({"origin": "https://robots.example"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://localhost:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}, 403),
    ],
)
def test_pages_of_other_web_sites_are_refused(headers: dict[str, str], status: int) -> None:
    with guarded(cors_origins=("https://robots.example",)) as gateway:
        assert get(gateway, host="localhost:8000", **headers).status_code == status


def test_other_web_sites_are_let_in_by_name_only() -> None:
    preflight = {
        "origin": "https://robots.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    with guarded(cors_origins=("https://robots.example",), token=TOKEN) as gateway:
        allowed = httpx.options(f"{gateway.url}/chat", headers=preflight, trust_env=False)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://robots.example"
        refused = get(gateway, origin="https://robots.example")
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://robots.example")
    with guarded() as gateway:
        assert "access-control-allow-origin" not in get(gateway).headers
        assert httpx.options(f"{gateway.url}/chat", headers=preflight, trust_env=False).status_code == 403


def test_nothing_is_told_without_the_token() -> None:
    paths = ("/actions", "/stream", "/health", "/metrics", "/openapi.json", "/camera.jpg", "/nothing")
    with guarded(token=TOKEN) as gateway, httpx.Client(base_url=gateway.url, trust_env=False) as http:
        for given in ("", f"Bearer {TOKEN}x", "Bearer", f"Basic {TOKEN}", TOKEN, "Bearer \xff"):
            for path in paths:
                refused = http.get(path, headers={"authorization": given.encode("latin-1")})
                assert (refused.status_code, refused.json()["code"]) == (401, "bad_token"), (given, path)
                assert refused.headers["www-authenticate"] == "Bearer"
        assert http.get("/actions", headers=BEARER).status_code == 200


def test_emergency_stop_needs_the_token_too() -> None:
    with guarded(token=TOKEN) as gateway:
        assert httpx.post(f"{gateway.url}/emergency_stop", trust_env=False).status_code == 401
        assert gateway.robot.asked == []


def test_hasty_client_is_told_to_wait_but_may_always_stop_the_robot() -> None:
    with guarded(requests_per_minute=5) as gateway:
        codes = [get(gateway).status_code for _ in range(7)]
        assert codes == [200] * 5 + [429] * 2
        refused = get(gateway)
        assert (refused.json()["code"], refused.headers["retry-after"]) == ("too_many_requests", "12")
        for _ in range(8):
            assert httpx.post(f"{gateway.url}/emergency_stop", trust_env=False).json() == {
                "engaged": True,
                "detail": "",
            }


def test_requests_come_back_evenly_and_forgotten_clients_are_the_silent_ones() -> None:
    clock = Clock()
    rates = Rates(60, clock)
    assert [rates.wait_s("a") for _ in range(60)] == [0.0] * 60
    assert rates.wait_s("a") == pytest.approx(1.0)
    assert rates.wait_s("b") == 0.0
    clock.now_s += 2.5
    assert [rates.wait_s("a") for _ in range(3)] == pytest.approx([0.0, 0.0, 0.5])
    for number in range(2 * MAX_CLIENTS):
        rates.wait_s(f"client {number}")
        assert rates.wait_s("a") > 0.0, "a busy client is not forgotten for silent ones"
    assert len(rates) == MAX_CLIENTS


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8::1:2", "2001:db8::/64"),
        ("2001:db8::9", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_client_is_an_address_or_an_ipv6_network(address: str, client: str) -> None:
    assert client_of(address) == client


def _send(gateway: Gateway, head: str, pieces: Iterator[bytes]) -> tuple[int, bytes]:
    """Send pieces as long as they are taken; how many bytes were, and what was answered."""
    host, port = gateway.url.removeprefix("http://").split(":")
    sent, answer = 0, b""
    with socket.create_connection((host, int(port)), 10.0) as connection:
        connection.sendall(f"POST /analyze HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
        connection.setblocking(False)
        for piece in pieces:
            try:
                answer = connection.recv(65536)
                break
            except BlockingIOError:
                pass
            connection.setblocking(True)
            connection.sendall(piece)
            connection.setblocking(False)
            sent += len(piece)
        connection.settimeout(10.0)
        while not answer.endswith(b"}"):
            answer += connection.recv(65536)
        return sent, answer


def _chunks() -> Iterator[bytes]:
    chunk = b"x" * 65536
    for _ in range(800):
        yield b"10000\r\n" + chunk + b"\r\n"


def test_body_without_a_length_is_refused_as_soon_as_it_is_too_large() -> None:
    with guarded(max_body_bytes=2**20) as gateway:
        head = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        sent, answer = _send(gateway, head, _chunks())
    print(f"{sent / 2**20:.1f} of 50 MiB were sent")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"body_too_large"' in answer
    assert sent < 10 * 2**20


def test_body_that_says_it_is_too_large_is_refused_unread() -> None:
    with guarded(max_body_bytes=2**20) as gateway:
        sent, answer = _send(gateway, f"Content-Length: {50 * 2**20}\r\n", iter(()))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent == 0


def test_client_that_goes_on_sending_reads_the_refusal() -> None:
    with guarded(max_body_bytes=2**20) as gateway:
        refused = httpx.post(f"{gateway.url}/analyze", content=(b"x" * 65536 for _ in range(800)), trust_env=False)
    assert refused.status_code == 413


def test_body_that_stands_still_is_given_up() -> None:
    with guarded(body_timeout_s=0.3) as gateway:
        begun = time.monotonic()
        _, answer = _send(gateway, "Content-Length: 100\r\n", iter((b"x",)))
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert 0.2 < time.monotonic() - begun < 2.0


def test_head_that_stands_still_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.3)
    with guarded() as gateway:
        host, port = gateway.url.removeprefix("http://").split(":")
        for begin in (b"", b"GET / HTTP/1.1\r\nHos"):
            with socket.create_connection((host, int(port)), 5.0) as connection:
                connection.sendall(begin)
                with pytest.raises(ConnectionResetError):
                    assert connection.recv(1) == b""
                    raise ConnectionResetError
        assert get(gateway).status_code == 200


def test_connection_is_kept_for_the_next_request() -> None:
    with guarded() as gateway, httpx.Client(base_url=gateway.url, trust_env=False) as http:
        ports = {http.get("/actions").extensions["network_stream"].get_extra_info("client_addr")[1] for _ in range(3)}
    assert len(ports) == 1


def test_every_answer_keeps_browsers_strict() -> None:
    with guarded(token=TOKEN) as gateway:
        for answer in (get(gateway), get(gateway, **BEARER), get(gateway, "/nothing", **BEARER)):
            assert answer.headers["content-security-policy"].startswith("default-src 'self'; ")
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"token": "short"}, "the token has 5 characters; at least 16"),
        ({"token": "päßword" * 4}, "of ASCII"),
        ({"cors_origins": ("*",)}, "'\\*' is no origin"),
        ({"cors_origins": ("https://a.example/",)}, "is no origin"),
        ({"max_body_bytes": 10}, "too small"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        Settings(**settings)


def test_token_is_not_shown() -> None:
    assert TOKEN not in repr(Settings(token=TOKEN))


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("", False),
        ("::", False),
        ("192.0.2.1", False),
    ],
)
def test_only_loopback_is_private(host: str, private: bool) -> None:
    assert is_private(host) is private


def test_taken_port_is_told() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1, port {port}: Address already in use"):
            listen("127.0.0.1", port)
    with pytest.raises(ConfigurationError, match="has no address"):
        listen("no such host.invalid", 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use any port")
def test_port_that_may_not_be_used_is_told() -> None:
    with pytest.raises(ConfigurationError, match="Permission denied"):
        listen("127.0.0.1", 80)
