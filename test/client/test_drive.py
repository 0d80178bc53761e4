"""The example driver: one command after the other, none too late, and a stop ends them all."""

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from counterpart import DOMAIN_ID, WAIT_S, Counterpart, until
from geometry_msgs.msg import Twist
from smolfusion_ros.msg import ActionCommand, ActionStatus

from smolfusion_ros.client import Robot

FILE = Path(__file__).parents[2] / "examples" / "drive.py"
ACCEPTED, REJECTED, RUNNING, SUCCEEDED, FAILED, CANCELLED = range(6)


class Base:
    """The driver in a thread, the stack's side of it, and what the base was told."""

    def __init__(self, stack: Counterpart, robot: Robot) -> None:
        spec = importlib.util.spec_from_file_location("drive", FILE)
        assert spec is not None
        assert spec.loader is not None
        drive = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(drive)
        self.stack, self.robot = stack, robot
        self.speeds: list[Twist] = []
        stack.node.create_subscription(Twist, "cmd_vel", self.speeds.append, 100)
        driver = drive.Driver(robot)
        threading.Thread(target=driver.run, daemon=True).start()
        until(lambda: stack.commands.get_subscription_count() > 0)
        until(lambda: robot.node.count_subscribers(f"{robot.node.get_namespace()}/cmd_vel") > 0)
        until(lambda: stack.node.count_publishers(f"{robot.node.get_namespace()}/action_status") > 0)

    def tell(self, *commands: ActionCommand) -> None:
        for command in commands:
            self.stack.commands.publish(command)

    def turn(self, command_id: str, angle_deg: float, direction: str = "left", **fields: float) -> ActionCommand:
        arguments = f'{{"direction": "{direction}", "angle_deg": {angle_deg}}}'
        return self.stack.command(command_id, "turn", arguments_json=arguments, **fields)

    def states(self, command_id: str) -> list[int]:
        return [each.state for each in self.stack.statuses if each.command_id == command_id]

    def until_ended(self, command_id: str) -> ActionStatus:
        """Wait for the last word on a command."""

        def last() -> list[ActionStatus]:
            told = [each for each in self.stack.statuses if each.command_id == command_id]
            return [each for each in told if each.state in (REJECTED, SUCCEEDED, FAILED, CANCELLED)]

        until(last, f"the end of {command_id}: {self.states(command_id)}")
        return last()[0]


@pytest.fixture
def base() -> Iterator[Base]:
    namespace = f"/base{threading.get_native_id()}"
    stack = Counterpart(namespace)
    with Robot(namespace, domain_id=DOMAIN_ID, timeout_s=WAIT_S) as robot:
        yield Base(stack, robot)
    stack.close()


def test_commands_are_carried_out_one_after_the_other(base: Base) -> None:
    walk = base.stack.command("b", "walk", arguments_json='{"direction": "backward", "distance_m": 0.05}')
    base.tell(base.turn("a", 10.0, "right"), walk)
    assert (base.until_ended("a").state, base.until_ended("b").state) == (SUCCEEDED, SUCCEEDED)
    ids = [each.command_id for each in base.stack.statuses if each.state in (RUNNING, SUCCEEDED)]
    assert ids == ["a", "a", "b", "b"]
    until(lambda: base.speeds[-1] == Twist())
    assert min(each.angular.z for each in base.speeds) < -0.1
    assert min(each.linear.x for each in base.speeds) < -0.05
    assert all(0.0 in (each.angular.z, each.linear.x) for each in base.speeds)


def test_a_stop_ends_what_is_done_and_what_waits(base: Base) -> None:
    base.tell(base.turn("a", 180.0), base.turn("b", 10.0))
    until(lambda: base.states("a")[-1:] == [RUNNING])
    base.tell(base.stack.command("s", "stop"))
    assert [base.until_ended(each).state for each in ("a", "b", "s")] == [CANCELLED, CANCELLED, SUCCEEDED]
    assert RUNNING not in base.states("b")
    until(lambda: base.speeds[-1] == Twist())
    base.tell(base.turn("c", 5.0))
    assert base.until_ended("c").state == SUCCEEDED


def test_the_emergency_stop_ends_everything_until_it_is_reset(base: Base) -> None:
    base.tell(base.turn("a", 180.0), base.turn("b", 10.0))
    until(lambda: base.states("a")[-1:] == [RUNNING])
    base.robot.stop()
    assert [base.until_ended(each).state for each in ("a", "b")] == [CANCELLED, CANCELLED]
    base.tell(base.turn("c", 10.0))
    assert base.until_ended("c").detail == "emergency stop is engaged"
    base.robot.reset_stop()
    until(lambda: not base.robot.stopped)
    base.tell(base.turn("d", 5.0))
    assert base.until_ended("d").state == SUCCEEDED


def test_a_command_whose_time_is_over_when_its_turn_comes_is_not_begun(base: Base) -> None:
    base.tell(base.turn("a", 60.0), base.turn("late", 60.0, lifetime_s=0.5))
    assert (base.until_ended("a").state, base.until_ended("late").state) == (SUCCEEDED, FAILED)
    assert RUNNING not in base.states("late")


def test_what_the_base_cannot_do_and_what_is_too_much_is_rejected(base: Base) -> None:
    base.tell(base.stack.command("w", "wave"), *(base.turn(f"t{number}", 180.0) for number in range(12)))
    assert base.until_ended("w").detail == "this base can only turn and walk"
    assert base.until_ended("t11").detail == "too many commands are waiting"
    base.robot.stop()
    assert base.until_ended("t0").state == CANCELLED
