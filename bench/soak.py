"""The stack over a long time: python -m bench.soak --minutes 45 --settle 15.

A rendered visitor comes and goes at 30 frames a second and says something every ten seconds, in turn in three
conversations. What each process holds is sampled throughout; the table tells its growth from the first three minutes
after the settling time (caches fill, the history of every conversation reaches its bound) to the last three.
"""

from __future__ import annotations

import argparse
import itertools
import time
from statistics import fmean
from typing import Any

from rclpy.node import Node
from rich.console import Console
from rich.table import Table
from smolfusion_ros.msg import ActionCommand, Scene, Turn, Utterance

from bench import _json
from bench._stack import NAMESPACE, Holding, running, wait_for_log
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._spinning import spinning

MIB = 1024 * 1024
PHRASES = (
    "hello robot",
    "please wave back with your right hand",
    "what do you see?",
    "turn left 45 degrees",
    "stop",
    "how are you today?",
    "nod please",
)
SAMPLE_S = 5.0
# Samples whose mean is one end of the growth, three minutes of them: single ones swing with the frames in flight.
ENDS = 36


class Talker(Node):
    """Says the phrases and counts what comes of them."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.spoken = self.commands = self.scenes = 0
        self.turns: list[Turn] = []
        self._phrases = itertools.cycle(PHRASES)
        self._sessions = itertools.cycle(("anna", "ben", "chris"))
        self._utterance = self.create_publisher(Utterance, "utterance", _qos.UTTERANCE)
        self.create_subscription(Turn, "turn", self.turns.append, _qos.COMMAND)
        self.create_subscription(ActionCommand, "action_command", self._on_command, _qos.COMMAND)
        self.create_subscription(Scene, "scene", self._on_scene, _qos.COMMAND)

    def say(self) -> None:
        self._utterance.publish(Utterance(text=next(self._phrases), session_id=next(self._sessions)))
        self.spoken += 1

    def _on_command(self, _command: ActionCommand) -> None:
        self.commands += 1

    def _on_scene(self, _scene: Scene) -> None:
        self.scenes += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=45.0)
    parser.add_argument("--settle", type=float, default=15.0, help="minutes before growth is counted")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between utterances")
    _json.add_option(parser)
    arguments = parser.parse_args()
    samples: list[tuple[float, dict[str, Holding]]] = []
    with running("rendered:visit") as stack, spinning(lambda: Talker("bench", namespace=NAMESPACE)) as talker:
        wait_for_log(stack, ["ready"])
        begun_s = time.monotonic()
        next_utterance_s = 0.0
        while (now_s := time.monotonic() - begun_s) < 60 * arguments.minutes:
            if now_s >= next_utterance_s:
                talker.say()
                next_utterance_s += arguments.every
            if not samples or now_s - samples[-1][0] >= SAMPLE_S:
                samples.append((now_s, stack.holdings()))
            time.sleep(0.1)
        time.sleep(5)
        trouble = [line for line in stack.log.read_text(errors="replace").splitlines() if "Traceback" in line]
    document = [(at, {name: vars(held) for name, held in each.items()}) for at, each in samples]
    _json.write(arguments.json, document)
    _report([each for each in samples if each[0] >= 60 * arguments.settle], talker, arguments.minutes)
    Console().print(f"tracebacks in the log: {len(trouble)}; log: {stack.log}")


def _report(samples: list[tuple[float, dict[str, Holding]]], talker: Talker, minutes: float) -> None:
    table = Table(title=f"{minutes:g} minutes, growth from minute {samples[0][0] / 60:.1f} on")
    for heading in ("process", "PSS, MiB", "growth, %", "USS, MiB", "growth, %", "threads", "most", "files", "most"):
        table.add_column(heading, justify="left" if heading == "process" else "right")
    for name in sorted(samples[0][1]):
        held = [each[name] for _, each in samples if name in each]
        row = []
        for kind in ("pss", "uss"):
            first, last = (fmean(getattr(each, kind) for each in part) for part in (held[:ENDS], held[-ENDS:]))
            row += [f"{first / MIB:.1f} → {last / MIB:.1f}", f"{100 * (last / first - 1):+.2f}"]
        for kind in ("threads", "files"):
            counts = [getattr(each, kind) for each in held]
            ends = (max(part) for part in (counts[:ENDS], counts[-ENDS:]))
            row += [" → ".join(map(str, ends)), str(max(counts))]
        table.add_row(name, *row)
    console = Console(width=120)
    console.print(table)
    failed = [turn.error for turn in talker.turns if turn.error]
    console.print(
        f"{talker.spoken} utterances, {len(talker.turns)} turns ({len(failed)} without an answer from the model), "
        f"{talker.commands} commands, {talker.scenes} scenes"
    )
    for error in sorted(set(failed)):
        console.print(f"  {failed.count(error)}: {error}")


if __name__ == "__main__":
    main()
