"""A person who talks to the robot in sound: python -m bench.voice.

The real stack between a room made of topics: a synthetic person (espeak-ng) says commands at the pace of speech, the
robot's voice is heard in the room again. Prints how long each part of an answer takes, how soon the robot is silent
when somebody speaks, and what listening costs while nobody does. Needs espeak-ng. Never fails on time.
"""

from __future__ import annotations

import argparse
import threading
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rich.console import Console
from rich.table import Table
from smolfusion_ros.msg import Reply, Speaking, Turn, Utterance

from bench import _json
from bench._stack import NAMESPACE, Stack, running, wait_for_log
from smolfusion_ros.demo.room import Room, spoken
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._spinning import spinning
from smolfusion_ros.speech.synthesis import make_voice

COMMANDS = (
    "Please wave your right hand.",
    "Wave your left hand.",
    "What is your name?",
    "Can you clap your hands?",
    "Shake your head please.",
    "How are you today?",
)
LONG = "What can you do for me? Please tell me everything."
INTERRUPTION = "Please wave your right hand."
WAIT_S = 30.0
ENGINE = "last time of the engine (s)"
QUIET_S = 20.0


@dataclass(frozen=True)
class Answer:
    """One exchange in sound; seconds. ``engine_s`` is what the recogniser alone took."""

    utterance_s: float
    engine_s: float
    first_reply_s: float
    first_clause_s: float
    audible_s: float


class Listener(Node):
    """Notes when what came, on the steady clock."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.room = Room(self, echo_db=-20.0)
        self._at_s: dict[str, float] = {}
        self._changed = threading.Condition()
        self.engine_s = 0.0
        self.create_subscription(Utterance, "utterance", lambda _: self._note("utterance"), _qos.UTTERANCE)
        self.create_subscription(Reply, "reply", self._on_reply, _qos.REPLY)
        self.create_subscription(Turn, "turn", lambda _: self._note("turn"), _qos.COMMAND)
        self.create_subscription(Speaking, "speaking", self._on_speaking, _qos.LATCHED)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 50)

    def begin(self) -> None:
        """Forget what was noted."""
        with self._changed:
            self._at_s.clear()

    def wait(self, what: str) -> float:
        """When it came, since ``begin``.

        Raises:
            TimeoutError: it did not within half a minute.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: what in self._at_s, WAIT_S):
                raise TimeoutError(f"no {what} within {WAIT_S:g} s")
            return self._at_s[what]

    def _note(self, what: str) -> None:
        with self._changed:
            self._at_s.setdefault(what, time.monotonic())
            self._changed.notify_all()

    def _on_reply(self, reply: Reply) -> None:
        if reply.delta:
            self._note("reply")
        if reply.clause:
            self._note("clause")

    def _on_speaking(self, speaking: Speaking) -> None:
        self._note("audible" if speaking.active else "interrupted" if speaking.interrupted else "silent")

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        for status in array.status:
            if status.name.endswith("listener: recognition"):
                told = {pair.key: pair.value for pair in status.values}
                self.engine_s = float(told.get(ENGINE, 0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of the commands")
    parser.add_argument("--interruptions", type=int, default=20)
    _json.add_option(parser)
    arguments = parser.parse_args()
    options = ("--voice", "--sound", "topic", "--nodes", "dialogue,memory,listener,speaker")
    with running("", *options) as stack, spinning(lambda: Listener("bench", namespace=NAMESPACE)) as ears:
        wait_for_log(stack, ["ready"])
        _until_heard(ears)
        idle = _idle_share(stack)
        answers = [_answer(ears, text) for _ in range(arguments.rounds) for text in COMMANDS]
        silences_s = [_interruption_s(ears) for _ in range(arguments.interruptions)]
        ears.room.close()
    _print(idle, answers, silences_s)
    _json.write(arguments.json, {"idle": idle, "answers": [vars(each) for each in answers], "silences_s": silences_s})


def _until_heard(ears: Listener) -> None:
    end_s = time.monotonic() + WAIT_S
    while not (ears.count_subscribers("audio") and ears.count_publishers("voice")):
        if time.monotonic() > end_s:
            raise TimeoutError("listener and speaker are not there")
        time.sleep(0.1)
    time.sleep(2.0)


def _idle_share(stack: Stack) -> dict[str, float]:
    """Share of a core that listening and speaking take while the room is quiet."""
    before, begun_s = stack.holdings(), time.monotonic()
    time.sleep(QUIET_S)
    after, took_s = stack.holdings(), time.monotonic() - begun_s
    return {name: (after[name].cpu_s - before[name].cpu_s) / took_s for name in ("listener", "speaker")}


def _answer(ears: Listener, text: str) -> Answer:
    ears.begin()
    said_s = ears.room.say(spoken(_voice(), text))
    utterance_s = ears.wait("utterance")
    reply_s, clause_s, audible_s = (ears.wait(each) for each in ("reply", "clause", "audible"))
    ears.wait("silent")
    time.sleep(1.5)  # a report of the recogniser's own time has come by now
    return Answer(
        utterance_s - said_s, ears.engine_s, reply_s - utterance_s, clause_s - utterance_s, audible_s - utterance_s
    )


def _interruption_s(ears: Listener) -> float:
    """From the first sample of somebody's speech to the end of the robot's last piece of voice."""
    ears.begin()
    ears.room.say(spoken(_voice(), LONG))
    ears.wait("audible")
    time.sleep(0.6)
    ears.begin()
    pieces = len(ears.room.heard)
    begun_ns = ears.get_clock().now().nanoseconds
    ears.room.say(spoken(_voice(), INTERRUPTION))
    ears.wait("interrupted")
    begun = begun_ns * 1e-9
    last = [at_s for at_s, _ in ears.room.heard[pieces:] if at_s < begun + 1.0]
    ears.wait("silent")
    time.sleep(1.0)
    return (last[-1] + 0.02 - begun) if last else 0.0


def _voice() -> Any:
    return make_voice("espeak", words_per_minute=150)


def _print(idle: dict[str, float], answers: list[Answer], silences_s: list[float]) -> None:
    table = Table("stage", "median", "worst", title=f"{len(answers)} exchanges in sound, seconds")
    for name, values in (
        ("end of speech → utterance", [each.utterance_s for each in answers]),
        ("   of it the recogniser", [each.engine_s for each in answers]),
        ("utterance → first text of the reply", [each.first_reply_s for each in answers]),
        ("utterance → first clause", [each.first_clause_s for each in answers]),
        ("utterance → audible", [each.audible_s for each in answers]),
        ("end of speech → audible", [each.utterance_s + each.audible_s for each in answers]),
        (f"somebody speaks → silent ({len(silences_s)})", silences_s),
    ):
        if values:
            table.add_row(name, f"{median(values):.3f}", f"{max(values):.3f}")
    console = Console()
    console.print(table)
    console.print("quiet room: " + ", ".join(f"{name} {share:.1%} of a core" for name, share in idle.items()))


if __name__ == "__main__":
    main()
