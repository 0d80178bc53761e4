"""How soon the robot stops, and falls silent: python -m bench.reactions.

Under full load: a camera of 30 frames a second in which something moves, the vision model at work, and the language
model writing. ``Stop`` is said while it does; then stories are cancelled in mid-sentence. Prints a table; never fails.
"""

from __future__ import annotations

import argparse
import threading
import time
from statistics import median, quantiles
from typing import Any

import httpx
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.node import Node
from rclpy.task import Future
from rich.console import Console
from rich.table import Table
from smolfusion_ros.action import Converse
from smolfusion_ros.msg import ActionCommand, Reply, Utterance

from bench import _json
from bench._stack import LLM_PORT, NAMESPACE, running, wait_for_log
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._spinning import spinning

STORY = "tell me a long story about a dragon, a princess and a wizard"
WAIT_S = 20.0
# A reply that says nothing for so long after a cancel has ended.
SILENCE_S = 0.5


class Person(Node):
    """Asks for stories, stops them, and notes when what came."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._stopped_s: float | None = None
        self._stop_came, self._speaking = threading.Event(), threading.Event()
        self.spoken_s = 0.0
        self._utterance = self.create_publisher(Utterance, "utterance", _qos.UTTERANCE)
        self._converse = ActionClient(self, Converse, "converse")
        self.create_subscription(ActionCommand, "action_command", self._on_command, _qos.COMMAND)
        self.create_subscription(Reply, "reply", self._on_reply, _qos.REPLY)

    def wait_until_heard(self) -> None:
        """Until the dialogue listens, and is heard here.

        Raises:
            TimeoutError: it does not within 20 s.
        """
        end_s = time.monotonic() + WAIT_S
        while not (self._utterance.get_subscription_count() and self.count_publishers("action_command")):
            if time.monotonic() > end_s:
                raise TimeoutError(f"no dialogue within {WAIT_S:g} s")
            time.sleep(0.1)
        time.sleep(1.0)  # the other direction of each topic is matched by now

    def begin_story(self, session_id: str) -> ClientGoalHandle:
        """Ask for a story and wait for its first words.

        Raises:
            TimeoutError: there are none within 20 s.
        """
        self._speaking.clear()
        if not self._converse.wait_for_server(WAIT_S):
            raise TimeoutError("nobody serves converse")
        goal = self._converse.send_goal_async(Converse.Goal(text=STORY, session_id=session_id))
        if not self._speaking.wait(WAIT_S):
            raise TimeoutError(f"no story within {WAIT_S:g} s")
        return _result(goal)

    def stop_s(self, session_id: str) -> float:
        """Say stop; seconds until the command is in this process."""
        self._stop_came.clear()
        begun_s = time.perf_counter()
        self._utterance.publish(Utterance(text="Stop!", session_id=session_id))
        if not self._stop_came.wait(WAIT_S) or self._stopped_s is None:
            raise TimeoutError(f"no stop within {WAIT_S:g} s")
        return self._stopped_s - begun_s

    def _on_command(self, command: ActionCommand) -> None:
        if command.name == "stop":
            self._stopped_s = time.perf_counter()
            self._stop_came.set()

    def _on_reply(self, reply: Reply) -> None:
        if reply.delta:
            self.spoken_s = time.perf_counter()
            self._speaking.set()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stops", type=int, default=200)
    parser.add_argument("--cancels", type=int, default=30)
    _json.add_option(parser)
    arguments = parser.parse_args()
    with running("rendered:visit") as stack, spinning(lambda: Person("bench", namespace=NAMESPACE)) as person:
        wait_for_log(stack, ["ready"])
        person.wait_until_heard()
        stops_s = [_stop(person, number) for number in range(arguments.stops)]
        cancels_s = [_cancel(person, number) for number in range(arguments.cancels)]
    times_s = {
        "stop said → action_command, writing or not": stops_s,
        "cancel → last words of the reply": [silent for silent, _ in cancels_s],
        "cancel → backend idle": [idle for _, idle in cancels_s],
    }
    table = Table(title="reactions under full load, ms")
    for heading in ("", "times", "median", "p99", "worst"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, seconds in times_s.items():
        figures_s = median(seconds), quantiles(seconds, n=100, method="inclusive")[-1], max(seconds)
        table.add_row(name, str(len(seconds)), *(f"{1000 * each:.1f}" for each in figures_s))
    Console(width=100).print(table)
    _json.write(arguments.json, times_s)


def _stop(person: Person, number: int) -> float:
    """Every other time in mid-story."""
    story = person.begin_story(f"story {number}") if number % 2 else None
    seconds = person.stop_s("stops")
    if story is not None:
        _result(story.get_result_async())
    time.sleep(0.1)
    return seconds


def _cancel(person: Person, number: int) -> tuple[float, float]:
    """Seconds from the request until the last words were heard (0: none came), and until the backend was idle."""
    story = person.begin_story(f"cancelled {number}")
    begun_s = time.perf_counter()
    cancelled = story.cancel_goal_async()
    while _is_generating():
        if time.perf_counter() - begun_s > WAIT_S:
            raise TimeoutError(f"the backend is not idle after {WAIT_S:g} s")
        time.sleep(0.002)
    idle_s = time.perf_counter() - begun_s
    _result(cancelled)
    time.sleep(SILENCE_S)
    return max(0.0, person.spoken_s - begun_s), idle_s


def _is_generating() -> bool:
    return any(slot["is_processing"] for slot in httpx.get(f"http://127.0.0.1:{LLM_PORT}/slots").json())


def _result(future: Future) -> Any:
    """What a future comes to; the node spins in another thread."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    if not done.wait(WAIT_S):
        raise TimeoutError(f"no answer within {WAIT_S:g} s")
    return future.result()


if __name__ == "__main__":
    main()
