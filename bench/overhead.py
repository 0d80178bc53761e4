"""What HTTP adds to an answer: python -m bench.overhead.

An utterance that no model is asked for, by the service ``chat`` and by ``POST /chat`` in turn, over one connection.
Prints a table; never fails.
"""

from __future__ import annotations

import argparse
import threading
import time
from contextlib import ExitStack
from statistics import median, quantiles

import httpx
from rclpy.node import Node
from rich.console import Console
from rich.table import Table
from smolfusion_ros.srv import Chat

from bench import _json
from bench._stack import GATEWAY_PORT, NAMESPACE, running, wait_for_log
from smolfusion_ros.nodes._spinning import spinning

UTTERANCE = "stop"
SETTLE = 10
PAUSE_S = 0.02
ANSWER_S = 10.0
# A client knows the server before the server knows it; an answer would be lost meanwhile.
MATCHING_S = 0.5
# Each address of loopback is a client of its own to the rate limit of 120 requests a minute.
REQUESTS_PER_ADDRESS = 100


class Caller(Node):
    """Asks the service and waits in another thread than the node's."""

    def __init__(self, name: str, **options: str) -> None:
        super().__init__(name, **options)
        self._chat = self.create_client(Chat, "chat")

    def wait_for_service(self) -> None:
        """Until the service is found, and has found this client."""
        if not self._chat.wait_for_service(ANSWER_S):
            raise TimeoutError(f"no service chat within {ANSWER_S:g} s")
        time.sleep(MATCHING_S)

    def ask(self) -> float:
        """Seconds from the request to its answer."""
        answered = threading.Event()
        begun_s = time.perf_counter()
        self._chat.call_async(Chat.Request(text=UTTERANCE)).add_done_callback(lambda _: answered.set())
        if not answered.wait(ANSWER_S):
            raise TimeoutError(f"chat did not answer within {ANSWER_S:g} s")
        return time.perf_counter() - begun_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    _json.add_option(parser)
    arguments = parser.parse_args()
    with (
        running("rendered:still", gateway=True) as stack,
        spinning(lambda: Caller("bench", namespace=NAMESPACE)) as caller,
        ExitStack() as clients,
    ):
        wait_for_log(stack, ["ready", "serving http"])
        https = [
            clients.enter_context(_client(number)) for number in range(1 + arguments.rounds // REQUESTS_PER_ADDRESS)
        ]
        times_s = _measured(caller, https, arguments.rounds)
    _report(times_s)
    _json.write(arguments.json, times_s)


def _client(number: int) -> httpx.Client:
    transport = httpx.HTTPTransport(local_address=f"127.0.0.{2 + number}")
    return httpx.Client(base_url=f"http://127.0.0.1:{GATEWAY_PORT}", transport=transport, timeout=ANSWER_S)


def _measured(caller: Caller, https: list[httpx.Client], rounds: int) -> dict[str, list[float]]:
    caller.wait_for_service()
    for _ in range(SETTLE):
        caller.ask()
    for http in https:
        _post(http)
    found: dict[str, list[float]] = {"chat": [], "POST /chat": []}
    for number in range(rounds):
        time.sleep(PAUSE_S)
        found["chat"].append(caller.ask())
        time.sleep(PAUSE_S)
        found["POST /chat"].append(_post(https[number // REQUESTS_PER_ADDRESS]))
    return found


def _post(http: httpx.Client) -> float:
    begun_s = time.perf_counter()
    http.post("/chat", json={"text": UTTERANCE}).raise_for_status()
    return time.perf_counter() - begun_s


def _report(times_s: dict[str, list[float]]) -> None:
    table = Table(title=f"{UTTERANCE!r} to its answer, {len(times_s['chat'])} times each")
    for heading in ("by", "median, ms", "p95, ms", "beyond the service, ms"):
        table.add_column(heading, justify="left" if heading == "by" else "right")
    for name, seconds in times_s.items():
        beyond_ms = 1e3 * (median(seconds) - median(times_s["chat"]))
        table.add_row(
            name, f"{1e3 * median(seconds):.1f}", f"{1e3 * quantiles(seconds, n=20)[-1]:.1f}", f"{beyond_ms:.1f}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
