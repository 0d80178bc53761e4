"""From a command's closing brace on the wire to ``action_command`` elsewhere: python -m bench.command_path.

A proxy between dialogue and backend notes when each command was whole. Prints a table; never fails.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rclpy.node import Node
from rich.console import Console
from rich.table import Table
from smolfusion_ros.msg import ActionCommand, Turn, Utterance

from bench import _json
from bench._backend import serving, write_profile
from bench._proxy import Proxy
from bench._stack import NAMESPACE, running, wait_for_log
from smolfusion_ros.bringup.profile import load_profile
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._spinning import spinning

BACKEND_PORT, PROXY_PORT = 18094, 18095
PHRASES = (
    "nod your head",
    "wave your left hand",
    "clap your hands",
    "turn left 45 degrees",
    "look at the cup",
    "dance",
)
ANSWER_S = 20.0


class Commander(Node):
    """Says phrases and notes when commands come."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.heard_s: list[float] = []
        self.turns = 0
        self._utterance = self.create_publisher(Utterance, "utterance", _qos.UTTERANCE)
        self.create_subscription(ActionCommand, "action_command", self._on_command, _qos.COMMAND)
        self.create_subscription(Turn, "turn", self._on_turn, _qos.COMMAND)

    def say(self, text: str, session_id: str) -> None:
        """Say it and wait for the end of its turn."""
        known, end_s = self.turns, time.monotonic() + ANSWER_S
        self._utterance.publish(Utterance(text=text, session_id=session_id))
        while self.turns == known and time.monotonic() < end_s:
            time.sleep(0.01)

    def _on_command(self, _command: ActionCommand) -> None:
        self.heard_s.append(time.perf_counter())

    def _on_turn(self, _turn: Turn) -> None:
        self.turns += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=36)
    _json.add_option(parser)
    arguments = parser.parse_args()
    profile = load_profile("embedded")
    with serving(profile, "llm", port=BACKEND_PORT), tempfile.TemporaryDirectory() as directory:
        proxy = Proxy(PROXY_PORT, BACKEND_PORT)
        path = Path(directory) / "bench.yaml"
        write_profile(path, profile, "llm", provider="remote", url=f"http://127.0.0.1:{PROXY_PORT}")
        with running("rendered:still", "--profile", str(path), llm=False) as stack:
            wait_for_log(stack, ["ready"])
            with spinning(lambda: Commander("bench", namespace=NAMESPACE)) as commander:
                for number in range(arguments.turns):
                    commander.say(PHRASES[number % len(PHRASES)], f"session {number // len(PHRASES)}")
                    time.sleep(1.2)  # longer than any cooldown of these
    closed_s, heard_s = proxy.closed_s, commander.heard_s
    delays_ms = [1000 * min(heard - closed for closed in closed_s if closed <= heard) for heard in heard_s]
    _report(delays_ms, len(closed_s))
    _json.write(arguments.json, {"delays_ms": delays_ms})


def _report(delays_ms: list[float], on_the_wire: int) -> None:
    console = Console(width=120)
    if on_the_wire != len(delays_ms):
        console.print(f"{on_the_wire} commands on the wire, {len(delays_ms)} published: refused ones are left out")
    table = Table(title=f"closing brace on the wire → action_command in another process, {len(delays_ms)} commands")
    for heading in ("median, ms", "p95, ms", "worst, ms"):
        table.add_column(heading, justify="right")
    table.add_row(*(f"{each:.1f}" for each in (median(delays_ms), quantiles(delays_ms, n=20)[-1], max(delays_ms))))
    console.print(table)


if __name__ == "__main__":
    main()
