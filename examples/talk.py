#!/usr/bin/env python3
"""Talk with the robot in a terminal: each line is an utterance, the answer comes as it is written.

python examples/talk.py [--namespace /smolfusion] [--session NAME]; Ctrl-C cuts an answer short, Ctrl-D ends.
"""

from __future__ import annotations

import argparse
import sys

from smolfusion_ros.client import Command, Robot
from smolfusion_ros.errors import SmolFusionError


def say(robot: Robot, text: str, session_id: str) -> None:
    """One turn on the terminal."""

    def show(command: Command) -> None:
        print(f"\n  -> {command.name} {dict(command.arguments)}", flush=True)

    conversation = robot.converse(text, session_id, on_command=show)
    try:
        for piece in conversation:
            print(piece, end="", flush=True)
    except KeyboardInterrupt:
        conversation.cancel()
    answer = conversation.answer()
    print(" …" if answer.interrupted else "")
    for refused in answer.rejected:
        print(f"  not done: {refused}")
    if answer.error:
        print(f"  ({answer.error})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--namespace", default="/smolfusion")
    parser.add_argument("--session", default="talk", help="the conversation; another name begins another")
    arguments, _ros = parser.parse_known_args()
    with Robot(arguments.namespace) as robot:
        try:
            robot.wait_until_ready()
            print("say something (Ctrl-D ends)")
            for line in sys.stdin:
                if line.strip():
                    say(robot, line.strip(), arguments.session)
        except KeyboardInterrupt:
            return 0
        except SmolFusionError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
