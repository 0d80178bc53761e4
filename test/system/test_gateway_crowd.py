"""Fifty people at the gateway at once, some of whom read slowly or go away: nobody else pays for it."""

import asyncio
import json
import socket
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import psutil
import pytest
import yaml

from system.probe import until
from system.stack import Stack, Workplace, answers, running

pytestmark = pytest.mark.system

POLITE, SLOW, LEAVING = 30, 10, 10
SLOTS = 4
PARAMETERS = {
    "dialogue": {"max_waiting": 64, "max_answer_tokens": 24},
    "gateway": {"requests_per_minute": 10000},
}
STORY = "tell me a long story about a dragon, a princess and a wizard"
# Ten more turns and ten halves are half as much work again, and the machine may have other things to do.
FACTOR, ALLOWANCE_S = 2.0, 3.0
IDLE_S = 3.0
GROWTH_BYTES = 15 * 2**20
READ_EVERY_S = 1.0
TURNS_AT_ONCE = 12


@dataclass
class Crowd:
    """What came of everybody: seconds to the whole answer, what was refused, and who went away from which answer."""

    took_s: list[float] = field(default_factory=list)
    refused: list[httpx.Response] = field(default_factory=list)
    bytes_read: list[int] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    place = Workplace(tmp_path_factory.mktemp("crowd"), slots=SLOTS)
    file = place.directory / "crowd.yaml"
    file.write_text(yaml.safe_dump({f"/**/{name}": {"ros__parameters": each} for name, each in PARAMETERS.items()}))
    with running(place, provider="xllamacpp", params_file=str(file)) as started:
        until(lambda: answers(f"{url(started)}/actions"), "the gateway")
        yield started


def url(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.options.gateway_port}"


def test_slow_and_leaving_clients_hold_up_nobody(stack: Stack) -> None:
    gateway = psutil.Process(stack.processes["gateway"].pid)
    asyncio.run(crowd_at(url(stack), "first", SLOTS))  # every slot evaluates the constant part of the prompt once
    alone = asyncio.run(crowd_at(url(stack), "alone", POLITE))
    before = gateway.memory_full_info().pss
    among = asyncio.run(crowd_at(url(stack), "among", POLITE, SLOW, LEAVING))
    begun = time.monotonic()
    with httpx.Client() as backend:
        until(lambda: not stack.is_generating(backend), "an idle backend", IDLE_S)
    idle_s = time.monotonic() - begun
    grown = gateway.memory_full_info().pss - before
    print(
        f"whole answers, median and last: {statistics.median(alone.took_s):.2f} and {max(alone.took_s):.2f} s alone, "
        f"{statistics.median(among.took_s):.2f} and {max(among.took_s):.2f} s among slow and leaving clients, "
        f"who read {among.bytes_read} bytes; idle after {idle_s:.2f} s; memory grew by {grown / 2**20:.1f} MiB"
    )
    assert (alone.refused, among.refused) == ([], [])
    assert (len(alone.took_s), len(among.took_s)) == (POLITE, POLITE)
    assert statistics.median(among.took_s) < FACTOR * statistics.median(alone.took_s) + ALLOWANCE_S
    assert max(among.took_s) < FACTOR * max(alone.took_s) + ALLOWANCE_S
    assert len(among.left) == LEAVING
    interrupted = [stack.probe.history(session)[-1].interrupted for session in among.left]
    assert all(interrupted), interrupted
    assert grown < GROWTH_BYTES
    health = httpx.get(f"{url(stack)}/health", trust_env=False)
    assert health.status_code == 200, health.text


def test_more_than_may_wait_are_told_when_to_come_again(stack: Stack) -> None:
    assert stack.probe.set_parameters("dialogue", max_waiting=TURNS_AT_ONCE - SLOTS) == []
    try:
        crowd = asyncio.run(crowd_at(url(stack), "too many", POLITE))
    finally:
        stack.probe.set_parameters("dialogue", max_waiting=PARAMETERS["dialogue"]["max_waiting"])
    print(f"{len(crowd.took_s)} answered, {len(crowd.refused)} refused: {crowd.refused[0].text}")
    assert len(crowd.took_s) + len(crowd.refused) == POLITE
    assert len(crowd.took_s) >= TURNS_AT_ONCE
    for each in crowd.refused:
        assert each.status_code == 503
        assert int(each.headers["retry-after"]) > 0
        assert each.json()["code"] in ("busy", "inactive")


async def crowd_at(address: str, name: str, polite: int, slow: int = 0, leaving: int = 0) -> Crowd:
    """Everybody asks for a story in a session of his own; ends when the polite ones have theirs."""
    crowd = Crowd()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=address, timeout=30.0, limits=limits, trust_env=False) as http:
        dawdling = [asyncio.ensure_future(read_slowly(address, f"{name} slow {n}", crowd)) for n in range(slow)]
        gone = [leave(http, f"{name} leaving {n}", crowd) for n in range(leaving)]
        waiting = [listen(http, f"{name} {n}", crowd) for n in range(polite)]
        await asyncio.gather(*gone, *waiting)
        for each in dawdling:
            assert not each.done()
            each.cancel()
        await asyncio.gather(*dawdling, return_exceptions=True)
    return crowd


def asked(session_id: str) -> dict[str, object]:
    return {"text": STORY, "session_id": session_id, "stream": True}


async def listen(http: httpx.AsyncClient, session_id: str, crowd: Crowd) -> None:
    begun, events = time.monotonic(), []
    async with http.stream("POST", "/chat", json=asked(session_id)) as answer:
        if answer.status_code != 200:
            await answer.aread()
            crowd.refused.append(answer)
            return
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                events.append(line.removeprefix("event: "))
            last = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else None
            assert last is None or "reply" not in last or last["source"] == "llm"
    assert events[-1] == "done", events
    crowd.took_s.append(time.monotonic() - begun)


async def leave(http: httpx.AsyncClient, session_id: str, crowd: Crowd) -> None:
    async with http.stream("POST", "/chat", json=asked(session_id)) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line == "event: delta":
                crowd.left.append(session_id)
                return


async def read_slowly(address: str, session_id: str, crowd: Crowd) -> None:
    """One byte a second, for ever, out of the smallest buffer there is."""
    read, body, loop = 0, json.dumps(asked(session_id)).encode(), asyncio.get_running_loop()
    host, port = httpx.URL(address).host, httpx.URL(address).port
    head = f"POST /chat HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        await loop.sock_connect(connection, (host, port))
        await loop.sock_sendall(connection, f"{head}\r\n".encode() + body)
        try:
            while await loop.sock_recv(connection, 1):
                read += 1
                await asyncio.sleep(READ_EVERY_S)
        finally:
            crowd.bytes_read.append(read)
