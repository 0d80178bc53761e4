#!/usr/bin/env python3
"""Print what the robot sees and what it is told to do, until Ctrl-C.

python examples/watch.py [--namespace /smolfusion]
"""

from __future__ import annotations

import argparse
import threading
import time
from contextlib import suppress

from smolfusion_ros.client import Command, Robot, Scene


def show_scene(scene: Scene) -> None:
    print(f"sees      {scene.line}   ({scene.source}, {time.time() - scene.stamp_s:.1f} s ago)", flush=True)


def show_command(command: Command) -> None:
    print(f"commands  {command.name} {dict(command.arguments)}   ({command.source})", flush=True)


def show_stop(engaged: bool) -> None:
    print(f"stop      {'engaged' if engaged else 'released'}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--namespace", default="/smolfusion")
    arguments, _ros = parser.parse_known_args()
    with Robot(arguments.namespace, name="watch") as robot, suppress(KeyboardInterrupt):
        robot.on_scene(show_scene)
        robot.on_command(show_command)
        robot.on_stop(show_stop)
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
