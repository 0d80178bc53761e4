#!/usr/bin/env python3
"""Drive a wheeled base by the robot's commands: turn and walk become cmd_vel, everything is reported on action_status.

By time alone (no odometry): try it on blocks first. One command after the other; a stop ends them all at once, and so
does the emergency stop, which is no safety-rated stop.

python examples/drive.py [--namespace /smolfusion] [--ros-args -r cmd_vel:=/cmd_vel]
"""

from __future__ import annotations

import argparse
import math
import queue
import threading
import time
from contextlib import suppress

from geometry_msgs.msg import Twist

from smolfusion_ros.client import Command, Robot
from smolfusion_ros.client.motion import Ramp

TURN_RAD_S, TURN_RAD_S2 = 0.8, 1.6
WALK_M_S, WALK_M_S2 = 0.3, 0.6
PERIOD_S = 0.05
MAX_WAITING = 8
WALKS = {"forward": (1.0, 0.0), "backward": (-1.0, 0.0), "left": (0.0, 1.0), "right": (0.0, -1.0)}


class Driver:
    """Carries out one command after the other; the base stands whenever there is none."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self._waiting: queue.Queue[tuple[Command, int]] = queue.Queue(MAX_WAITING)
        # A command is bound to the number of stops before it: one more, and it is over wherever it is.
        self._stops = 0
        self._lock = threading.Lock()
        self._cmd_vel = robot.node.create_publisher(Twist, "cmd_vel", 10)
        robot.on_stop(self._on_stop)
        robot.on_command(self._on_command)

    def run(self) -> None:
        """Drive until the program is interrupted."""
        try:
            while True:
                self._drive(*self._waiting.get())
        finally:
            self._stand()

    def _on_command(self, command: Command) -> None:
        stops = self._stops
        if command.name == "stop":
            self._stand()
            self._robot.report(command, "succeeded")
        elif self._robot.stopped:
            self._robot.report(command, "rejected", "emergency stop is engaged")
        elif command.name not in ("turn", "walk"):
            self._robot.report(command, "rejected", "this base can only turn and walk")
        else:
            try:
                self._waiting.put_nowait((command, stops))
                self._robot.report(command, "accepted")
            except queue.Full:
                self._robot.report(command, "rejected", "too many commands are waiting")

    def _on_stop(self, engaged: bool) -> None:
        if engaged:
            self._stand()

    def _stand(self) -> None:
        """At once, without a ramp; what waits is not begun."""
        with self._lock:
            self._stops += 1
            self._cmd_vel.publish(Twist())

    def _drive(self, command: Command, stops: int) -> None:
        if stops != self._stops:
            self._robot.report(command, "cancelled", "stopped")
        elif command.expired:
            self._robot.report(command, "failed", "its time was over before it could begin")
        else:
            self._robot.report(command, "running")
            done = False
            try:
                done = self._move(*motion_of(command), stops)
            finally:
                self._robot.report(command, *(("succeeded",) if done else ("cancelled", "stopped")))

    def _move(self, ramp: Ramp, direction: tuple[float, float, float], stops: int) -> bool:
        """Cover the way; False if a stop came first."""
        begun_s = time.monotonic()
        while True:
            elapsed_s, twist = time.monotonic() - begun_s, Twist()
            speed = ramp.speed_at(elapsed_s)
            twist.linear.x, twist.linear.y, twist.angular.z = (speed * each for each in direction)
            with self._lock:  # a stop's standstill must not be overtaken by a speed from before it
                if stops != self._stops:
                    return False
                self._cmd_vel.publish(twist)
            if elapsed_s >= ramp.duration_s:
                return True
            time.sleep(PERIOD_S)


def motion_of(command: Command) -> tuple[Ramp, tuple[float, float, float]]:
    """How far, and in which direction: forward, to the left, counterclockwise."""
    direction = command.arguments["direction"]
    if command.name == "turn":
        ramp = Ramp(math.radians(command.arguments["angle_deg"]), TURN_RAD_S, TURN_RAD_S2)
        return ramp, (0.0, 0.0, 1.0 if direction == "left" else -1.0)
    return Ramp(command.arguments["distance_m"], WALK_M_S, WALK_M_S2), (*WALKS[direction], 0.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--namespace", default="/smolfusion")
    arguments, _ros = parser.parse_known_args()
    with Robot(arguments.namespace, name="driver") as robot, suppress(KeyboardInterrupt):
        Driver(robot).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
