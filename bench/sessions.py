"""The first word when many people talk to one backend: python -m bench.sessions.

One person talks alone; then ten sessions talk in turn, which no evaluation ahead can foresee. Once with as many slots
as sessions, each keeping its conversation, and once with a single slot, which has to evaluate every history anew.
Prints a table; never fails.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench import _json
from bench._backend import write_profile
from bench._stack import NAMESPACE, running, wait_for_log
from bench._talk import UTTERANCES, Visitor
from smolfusion_ros.bringup.profile import load_profile
from smolfusion_ros.nodes._spinning import spinning

PAUSE_S = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5, help="measured, after as many turns of each session as …")
    parser.add_argument("--settle", type=int, default=3, help="… these")
    _json.add_option(parser)
    arguments = parser.parse_args()
    found = {slots: _measured(slots, arguments) for slots in (arguments.sessions, 1)}
    table = Table(title=f"first text of an answer, {arguments.sessions} sessions in turn on one backend")
    for heading in ("slots", "one session, ms", "many, ms", "ratio", "tokens evaluated, one", "many"):
        table.add_column(heading, justify="right")
    for slots, (one, many) in found.items():
        times_ms = [1000 * median(seconds for seconds, _ in each) for each in (one, many)]
        tokens = [f"{median(tokens for _, tokens in each):.0f}" for each in (one, many)]
        table.add_row(
            str(slots), f"{times_ms[0]:.0f}", f"{times_ms[1]:.0f}", f"{times_ms[1] / times_ms[0]:.2f}", *tokens
        )
    Console().print(table)
    _json.write(arguments.json, {f"{slots} slots": {"one": one, "many": many} for slots, (one, many) in found.items()})


def _measured(slots: int, arguments: argparse.Namespace) -> tuple[list[tuple[float, int]], list[tuple[float, int]]]:
    """Seconds to the first text and tokens evaluated, of one session's turns and of many sessions'."""
    profile = load_profile("embedded")
    with tempfile.TemporaryDirectory(prefix="smolfusion-bench-") as directory:
        path = Path(directory) / "bench.yaml"
        write_profile(path, profile, "llm", slots=slots)
        with (
            running("rendered:still", "--profile", str(path)) as stack,
            spinning(lambda: Visitor("bench", namespace=NAMESPACE)) as visitor,
        ):
            wait_for_log(stack, ["ready"])
            turns = arguments.sessions * arguments.rounds
            one = _talked(visitor, ["alone"] * (arguments.settle + turns))[arguments.settle :]
            names = [f"session {number}" for number in range(arguments.sessions)]
            many = _talked(visitor, names * (arguments.settle + arguments.rounds))
            return one, many[arguments.settle * arguments.sessions :]


def _talked(visitor: Visitor, sessions: list[str]) -> list[tuple[float, int]]:
    figures = []
    for number, session in enumerate(sessions):
        visitor.change_scene()
        time.sleep(PAUSE_S)
        exchange = visitor.ask(UTTERANCES[number % len(UTTERANCES)], session)
        figures.append((exchange.first_text_s, exchange.turn.evaluated_tokens))
    return figures


if __name__ == "__main__":
    main()
