"""The Python client and its examples against the real stack."""

import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from geometry_msgs.msg import Twist
from rclpy.qos import QoSProfile
from smolfusion_ros.msg import ActionStatus

from smolfusion_ros.client import Robot
from smolfusion_ros.nodes import _qos
from system.probe import Heard, until
from system.stack import Stack, end_processes, running

pytestmark = pytest.mark.system

STORY = "tell me a long story about a dragon, a princess and a wizard"
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    options = {"provider": "xllamacpp"}
    with running(tmp_path_factory.mktemp("client"), "llm_backend", "dialogue", "memory", **options) as started:
        yield started


@pytest.fixture(scope="module")
def robot(stack: Stack) -> Iterator[Robot]:
    with Robot(domain_id=stack.workplace.domain_id) as made:
        made.wait_until_ready()
        yield made


@pytest.fixture(scope="module")
def driver(stack: Stack, robot: Robot) -> Iterator[tuple[Heard, Heard]]:
    """``drive.py`` as a process; what it reports, and how it moves the base."""
    process = stack.workplace.start("driver", [sys.executable, str(EXAMPLES / "drive.py")])
    node, statuses, speeds = stack.probe.node, Heard("action_status"), Heard("cmd_vel")
    node.create_subscription(ActionStatus, "action_status", statuses.take, _qos.COMMAND)
    node.create_subscription(Twist, "cmd_vel", speeds.take, QoSProfile(depth=100))

    def hears() -> bool:
        """It reports on a stop, and the standstill arrives: all have found each other."""
        known, [stop] = len(speeds), robot.chat("stop", "found").commands
        time.sleep(0.3)
        return len(speeds) > known and stop.id in [status.command_id for status in statuses.messages()]

    until(hears, "the driver")
    yield statuses, speeds
    codes = end_processes({"driver": process}, signal.SIGINT)
    assert codes == {"driver": 0}, stack.workplace.log("driver").read_text()


def test_a_whole_turn(robot: Robot) -> None:
    answer = robot.chat("turn left 45 degrees", "client")
    assert answer.said
    [command] = answer.commands
    assert (command.name, dict(command.arguments)) == ("turn", {"direction": "left", "angle_deg": 45.0})
    assert (answer.session_id, answer.interrupted, answer.error) == ("client", False, "")
    robot.report(command, "succeeded")  # no driver is there yet, and a turn holds the floor until its end is told


def test_pieces_and_commands_come_before_the_end(robot: Robot) -> None:
    told: list[bool] = []
    conversation = robot.converse("nod please", "pieces", on_command=lambda command: told.append(command.name == "nod"))
    pieces = list(conversation)
    assert "".join(pieces) == conversation.answer().said
    assert len(pieces) >= 2
    until(lambda: told == [True], f"the command, {told}")


def test_cancelling_keeps_what_was_said_and_frees_the_model(stack: Stack, robot: Robot) -> None:
    conversation = robot.converse(STORY, "cancelled")
    next(iter(conversation))
    conversation.cancel()
    answer = conversation.answer(5.0)
    assert answer.interrupted
    assert answer.said
    with httpx.Client() as http:
        until(lambda: not stack.is_generating(http), "an idle backend")


def test_a_spoken_turn_moves_the_base_by_its_angle(robot: Robot, driver: tuple[Heard, Heard]) -> None:
    statuses, speeds = driver
    known = len(speeds)
    [command] = robot.chat("turn left 45 degrees", "driven").commands
    statuses.wait_for(lambda status: status.command_id == command.id and status.state == ActionStatus.SUCCEEDED)
    states = [status.state for status in statuses.messages() if status.command_id == command.id]
    assert states == [ActionStatus.ACCEPTED, ActionStatus.RUNNING, ActionStatus.SUCCEEDED]
    until(lambda: speeds.messages()[-1].angular.z == 0.0, "standstill")
    turned = 0.0
    for before, after in pairwise(speeds.arrivals(known)):
        turned += before.message.angular.z * (after.at_s - before.at_s)
    print(f"turned {math.degrees(turned):.1f} degrees")
    assert math.degrees(turned) == pytest.approx(45.0, abs=8.0)
    assert max(speed.angular.z for speed in speeds.messages(known)) <= 0.8


def test_stop_ends_a_motion_at_once_and_what_the_base_cannot_do_is_rejected(
    stack: Stack, robot: Robot, driver: tuple[Heard, Heard]
) -> None:
    statuses, speeds = driver
    known = len(speeds)
    [command] = robot.chat("turn left 180 degrees", "stopped").commands
    speeds.wait_for(lambda speed: speed.angular.z > 0.1, since=known)
    begun = time.perf_counter()
    robot.chat("stop", "stopped")
    standing = speeds.wait_for(lambda speed: speed.angular.z == 0.0, since=known + 2)
    print(f"stop to standstill: {(standing.at_s - begun) * 1e3:.0f} ms")
    cancelled = statuses.wait_for(lambda status: status.command_id == command.id and status.state > 2).message
    assert (cancelled.state, cancelled.detail) == (ActionStatus.CANCELLED, "stopped")
    time.sleep(0.3)
    assert speeds.messages()[-1].angular.z == 0.0  # nothing from before the stop came after it
    [nod] = robot.chat("nod please", "stopped").commands
    rejected = statuses.wait_for(lambda status: status.command_id == nod.id).message
    assert (rejected.state, rejected.detail) == (ActionStatus.REJECTED, "this base can only turn and walk")


def test_emergency_stop_holds_the_base_until_it_is_reset(robot: Robot, driver: tuple[Heard, Heard]) -> None:
    statuses, speeds = driver
    known = len(speeds)
    [command] = robot.chat("turn left 180 degrees", "emergency").commands
    speeds.wait_for(lambda speed: speed.angular.z > 0.1, since=known)
    begun = time.perf_counter()
    robot.stop()
    standing = speeds.wait_for(lambda speed: speed.angular.z == 0.0, since=known + 2)
    print(f"emergency stop to standstill: {(standing.at_s - begun) * 1e3:.0f} ms")
    statuses.wait_for(lambda status: status.command_id == command.id and status.state == ActionStatus.CANCELLED)
    assert robot.stopped
    known = len(speeds)
    assert robot.chat("turn left 45 degrees", "emergency").rejected == ("turn: emergency stop is engaged",)
    assert all(speed.angular.z == 0.0 for speed in speeds.messages(known))
    robot.reset_stop()
    until(lambda: not robot.stopped, "released")
    [command] = robot.chat("turn left 45 degrees", "emergency").commands
    statuses.wait_for(lambda status: status.command_id == command.id and status.state == ActionStatus.SUCCEEDED)


def test_a_terminal_talks_and_another_watches(stack: Stack, robot: Robot) -> None:
    watcher = stack.workplace.start("watch", [sys.executable, str(EXAMPLES / "watch.py")])
    until(lambda: stack.probe.node.get_node_names().count("watch") > 0, "the watcher")
    time.sleep(1.0)
    talk = subprocess.run(
        [sys.executable, str(EXAMPLES / "talk.py"), "--session", "terminal"],
        input="turn left 45 degrees\n\nwhat is your name?\n",
        env=stack.workplace.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert talk.returncode == 0, talk.stderr
    assert "-> turn {'direction': 'left', 'angle_deg': 45.0}" in talk.stdout
    assert len(talk.stdout.splitlines()) >= 4
    log = stack.workplace.log("watch")
    until(lambda: "commands  turn {'direction': 'left', 'angle_deg': 45.0}   (llm)" in log.read_text(), "the command")
    assert end_processes({"watch": watcher}, signal.SIGINT) == {"watch": 0}, log.read_text()
