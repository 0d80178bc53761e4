"""Long answers to clients who take a byte a second: nobody else waits, little is kept, and they are cut off."""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import psutil
import pytest
from scripted_robot import ANSWER, Gateway, ScriptedRobot, served

from smolfusion_ros.gateway import server
from smolfusion_ros.gateway.robot import Piece
from smolfusion_ros.gateway.schemas import Delta

SLOW = 10
PIECE = Delta(text="x" * 8192)
PIECES = 512  # 4 MiB an answer
ROUNDS = 3
# A piece on its way and what asyncio holds back, for each; all answers in full would be 40 MiB.
GROWTH_BYTES = 8 * 2**20
FACTOR, ALLOWANCE_S = 2.0, 0.5
WAIT_S = 30.0


class Storyteller(ScriptedRobot):
    """Tells everybody a story of some MiB.

    Attributes:
        told: pieces that were taken, by session.
        over: sessions whose story has ended, told in full or not.
        pause_s: in the middle of a story.
    """

    def __init__(self) -> None:
        super().__init__(max_streams=SLOW + 4)
        self.told: dict[str, int] = {}
        self.over: set[str] = set()
        self.pause_s = 0.0

    async def converse(self, text: str, session_id: str) -> AsyncGenerator[Piece, None]:
        self.told[session_id] = 0
        try:
            for number in range(PIECES):
                yield PIECE
                self.told[session_id] += 1
                await asyncio.sleep(self.pause_s if number == PIECES // 2 else 0.0)
            yield ANSWER
        finally:
            self.over.add(session_id)


@contextmanager
def dawdlers(gateway: Gateway) -> Iterator[list[socket.socket]]:
    """Clients with the smallest buffer there is, who take a byte a second."""
    host, port = gateway.url.removeprefix("http://").split(":")
    connections, ended = [socket.socket() for _ in range(SLOW)], threading.Event()

    def dawdle() -> None:
        while not ended.wait(1.0):
            for each in connections:
                with suppress(OSError):
                    each.recv(1, socket.MSG_DONTWAIT)

    reading = threading.Thread(target=dawdle)
    try:
        for number, each in enumerate(connections):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            each.connect((host, int(port)))
            body = json.dumps({"text": "a story", "session_id": f"slow {number}", "stream": True})
            head = (
                f"POST /chat HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            )
            each.sendall(f"{head}\r\n\r\n{body}".encode())
        reading.start()
        yield connections
    finally:
        ended.set()
        reading.join()
        for each in connections:
            each.close()


def listen(gateway: Gateway, session_id: str) -> float:
    """Seconds to the end of an answer that is taken as it comes."""
    begun, last = time.perf_counter(), b""
    asked = {"text": "a story", "session_id": session_id, "stream": True}
    with httpx.stream("POST", f"{gateway.url}/chat", json=asked, timeout=WAIT_S, trust_env=False) as answer:
        for last in answer.iter_bytes():  # noqa: B007
            pass
    assert last.endswith(b"\n\n") and b"event: done" in last[-4096:]
    return time.perf_counter() - begun


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def until_stuck(robot: Storyteller) -> None:
    """Until every dawdler's answer has begun, and none has got on for a while."""
    until(lambda: len([name for name, pieces in robot.told.items() if name.startswith("slow") and pieces]) == SLOW)
    before: dict[str, int] = {}
    while before != robot.told:
        before = dict(robot.told)
        time.sleep(0.5)


def test_slow_readers_of_long_answers_hold_up_nobody_and_cost_little() -> None:
    robot, process = Storyteller(), psutil.Process()
    with served(robot) as gateway:
        listen(gateway, "first")
        alone_s = [listen(gateway, f"alone {number}") for number in range(ROUNDS)]
        before = process.memory_info().rss
        with dawdlers(gateway):
            until_stuck(robot)
            grown = process.memory_info().rss - before
            among_s = [listen(gateway, f"among {number}") for number in range(ROUNDS)]
            told = [pieces for name, pieces in robot.told.items() if name.startswith("slow")]
            assert not [name for name in robot.over if name.startswith("slow")], "they are still being told"
        until(lambda: len(robot.over) == len(robot.told))
        until(lambda: robot.hub.streams == 0)
    alone, among = statistics.median(alone_s), statistics.median(among_s)
    print(
        f"{PIECES * len(PIECE.text) / 2**20:.0f} MiB in {alone:.2f} s alone, {among:.2f} s beside {SLOW} slow readers, "
        f"for whom {max(told)} of {PIECES} pieces were taken and {grown / 2**20:.1f} MiB kept"
    )
    assert among < FACTOR * alone + ALLOWANCE_S
    assert max(told) < PIECES / 4
    assert grown < GROWTH_BYTES


def test_slow_readers_are_cut_off_and_their_answers_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALL_TIMEOUT_S", 1.5)
    robot = Storyteller()
    with served(robot) as gateway, dawdlers(gateway) as connections:
        until(lambda: len(robot.told) == SLOW)
        begun = time.monotonic()
        until(lambda: len(robot.over) == SLOW)
        print(f"cut off after {time.monotonic() - begun:.1f} s")
        assert max(robot.told.values()) < PIECES / 4
        until(lambda: robot.hub.streams == 0)
        for each in connections:
            each.settimeout(WAIT_S)
            with pytest.raises(ConnectionError):
                while each.recv(65536):
                    pass
                raise ConnectionError
        # Who waits for a robot that is lost in thought is no slow reader.
        robot.pause_s = 3.0
        assert listen(gateway, "patient") > robot.pause_s
