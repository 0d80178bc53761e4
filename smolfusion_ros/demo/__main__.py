"""``scripts/demo``: starts the real stack, lets a visitor talk to it, and tells how it went.

Exits 0 only if commands really came out.
"""

from __future__ import annotations

import argparse
import queue
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from smolfusion_ros.demo.observer import Event, Observer
from smolfusion_ros.demo.speaking_observer import SpeakingObserver
from smolfusion_ros.demo.view import View
from smolfusion_ros.demo.visitor import VISIT, Visitor
from smolfusion_ros.nodes._spinning import spinning

START_S = 90.0
TURN_S = 60.0
STOP_S = 15.0
# A spoken line that brought no turn by then was not understood.
UNHEARD_S = 15.0
TAIL_LINES = 25


def main() -> int:
    arguments = _parser().parse_args()
    begun = time.monotonic()
    with (
        tempfile.TemporaryFile(mode="w+") as log,
        _stack(arguments, log) as stack,
        spinning(lambda: _observer(arguments)) as ros,
    ):
        demo = Demo(ros, stack, begun)
        with demo.view:
            demo.view.show("", "starting the language model, the vision-language model and the nodes")
            started = demo.wait_until(lambda: ros.heard and bool(ros.scene), START_S)
            if started and arguments.chat:
                demo.chat()
            elif started:
                demo.visit()
        if isinstance(ros, SpeakingObserver):
            ros.keep(arguments.voice)
            print(f"what was heard in the room: {arguments.voice}")
        if not started or not demo.commands:
            log.seek(0)
            print("".join(log.readlines()[-TAIL_LINES:]), file=sys.stderr)
            print("no command came out" if started else "the stack did not start", file=sys.stderr)
            return 1
        demo.report()
    return 0


class Demo:
    """Shows events as they come and keeps the figures."""

    def __init__(self, ros: Observer, stack: subprocess.Popen[str], begun: float) -> None:
        self.view = View()
        self.commands = 0
        self._ros = ros
        self._stack = stack
        self._begun = begun
        self._samples_s: dict[str, list[float]] = defaultdict(list)
        self._visitor: Visitor | None = None
        self._said_s = float("inf")

    def wait_until(self, condition: Callable[[], bool], deadline_s: float) -> bool:
        """Show events until the condition holds; False after the deadline or when the stack has ended."""
        deadline = time.monotonic() + deadline_s
        while time.monotonic() < deadline and self._stack.poll() is None:
            if condition():
                return True
            self._show_events()
        return False

    def visit(self) -> None:
        """The scripted visitor talks."""
        visitor = self._visitor = Visitor(VISIT, self._say, time.monotonic)
        self.wait_until(lambda: self._is_over(visitor), TURN_S + len(VISIT) * TURN_S)

    def chat(self) -> None:
        """The person at the keyboard talks, until end of input."""
        self.view.show("", "say something (end with Ctrl-D)")
        while self._stack.poll() is None:
            self._show_events()
            if select.select([sys.stdin], [], [], 0)[0]:
                text = sys.stdin.readline()
                if not text:
                    return
                if text.strip():
                    self._say(text.strip())

    def report(self) -> None:
        motion = self._ros.motion
        seen, forwarded = (motion.frames_seen, motion.frames_forwarded) if motion else (0, 0)
        self.view.report(self._samples_s, seen, forwarded)

    def _is_over(self, visitor: Visitor) -> bool:
        if isinstance(self._ros, SpeakingObserver) and time.monotonic() - self._said_s > UNHEARD_S:
            visitor.on_answer()  # not understood: nobody answers
            self._said_s = time.monotonic()
        return visitor.done

    def _say(self, text: str) -> None:
        self._said_s = time.monotonic()
        self.view.show("hears", text)
        self._ros.say(text)

    def _show_events(self) -> None:
        with suppress(queue.Empty):
            self._show(self._ros.events.get(timeout=0.1))
        motion = self._ros.motion
        if motion is not None:
            self.view.status(self._ros.scene, motion.frames_seen, motion.frames_forwarded, motion.active)
        if self._visitor is not None:
            self._visitor.on_scene(self._ros.scene)

    def _show(self, event: Event) -> None:
        for stage, seconds in event.details.items():
            self._samples_s[stage].append(seconds)
        if event.kind == "scene":
            self.view.show("sees", event.text)
        elif event.kind == "said" and event.text:
            self.view.show("says", event.text)
        elif event.kind == "command":
            if not self.commands:
                self.view.show("", f"first command {time.monotonic() - self._begun:.1f} s after the start of the stack")
            self.commands += 1
            self.view.show("commands", event.text)
        elif event.kind == "turn":
            if event.text:
                self.view.show("fails", event.text)
            self._said_s = time.monotonic()
            if self._visitor is not None:
                self._visitor.on_answer()


@contextmanager
def _stack(arguments: argparse.Namespace, log: TextIO) -> Iterator[subprocess.Popen[str]]:
    """The runner in a process of its own; its output goes to a nameless file, shown if something fails."""
    command = [sys.executable, "-m", "smolfusion_ros.bringup", "--profile", arguments.profile]
    command += ["--namespace", arguments.namespace, "--video", arguments.video]
    command += ["--voice", "--sound", "topic"] if arguments.voice else []
    stack = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, text=True)
    try:
        yield stack
    finally:
        stack.send_signal(signal.SIGINT)
        try:
            stack.wait(STOP_S)
        except subprocess.TimeoutExpired:
            stack.kill()


def _observer(arguments: argparse.Namespace) -> Observer:
    return SpeakingObserver(arguments.namespace) if arguments.voice else Observer(arguments.namespace)


def _video(text: str) -> str:
    """Files are named from where the person stands; the stack may run elsewhere."""
    return str(Path(text).absolute()) if Path(text).exists() else text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/demo", description="The real stack, small, with a visitor.")
    parser.add_argument(
        "--video", default="rendered:visit", type=_video, help="a video file or a camera instead of the rendered visit"
    )
    parser.add_argument(
        "--voice",
        nargs="?",
        const=Path("work/visit.wav"),
        type=Path,
        metavar="FILE",
        help="the visitor speaks, the robot hears and answers aloud, and all of it is kept in FILE (work/visit.wav)",
    )
    parser.add_argument("--chat", action="store_true", help="talk to the robot yourself")
    parser.add_argument("--profile", default="embedded", help="name in config/profiles, or a YAML file")
    parser.add_argument("--namespace", default="/smolfusion", help="prefix of all ROS names")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
