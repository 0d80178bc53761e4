"""Presses of the emergency stop arrive, and nobody warns that one of the dialogue's ways to hear them does not."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Bool

from smolfusion_ros.client import Robot
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._press import press_publisher
from smolfusion_ros.nodes.dialogue import DialogueNode
from smolfusion_ros.nodes.gateway import GatewayNode

DOMAIN_ID, WAIT_S, WARNING = 86, 15.0, "incompatible QoS"


@pytest.fixture
def context() -> Iterator[rclpy.Context]:
    made = rclpy.Context()
    rclpy.init(context=made, domain_id=DOMAIN_ID)
    yield made
    rclpy.try_shutdown(context=made)


def plain_publisher(node: Node) -> Publisher:
    return node.create_publisher(Bool, "emergency_stop", _qos.UTTERANCE)


@pytest.mark.parametrize(("make", "warned"), [(press_publisher, False), (plain_publisher, True)])
def test_press_is_heard_and_not_warned_of(
    make: Callable[[Node], Publisher], warned: bool, context: rclpy.Context, capfd: pytest.CaptureFixture[str]
) -> None:
    heard: list[str] = []
    presser, hearer = (Node(name, context=context, namespace="/pressed") for name in ("presser", "hearer"))
    for qos in _qos.STOPS:
        hearer.create_subscription(Bool, "emergency_stop", lambda _, qos=qos: heard.append(str(qos.durability)), qos)
    button = make(presser)
    executor = SingleThreadedExecutor(context=context)
    for node in (presser, hearer):
        executor.add_node(node)
    until(executor, lambda: button.get_subscription_count() >= 2)
    button.publish(Bool(data=True))
    until(executor, lambda: len(heard) >= 2)
    executor.shutdown()
    log = capfd.readouterr().err
    assert (
        f"[pressed.presser]: New subscription discovered on topic 'emergency_stop', requesting {WARNING}" in log
    ) is (warned)


@contextmanager
def running(*kinds: type[Node]) -> Iterator[SingleThreadedExecutor]:
    rclpy.init(args=["--ros-args", "-r", "__ns:=/pressed"], domain_id=DOMAIN_ID)
    nodes = [kind() for kind in kinds]
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    yield executor
    executor.shutdown()
    for node in nodes:
        node.close()
        node.destroy_node()
    rclpy.shutdown()


def test_gateway_dialogue_and_a_client_beside_each_other_warn_of_no_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with running(DialogueNode, GatewayNode) as executor, Robot("/pressed", domain_id=DOMAIN_ID) as robot:
        until(executor, lambda: robot.node.count_publishers("emergency_stop") == 2)
        until(executor, lambda: robot._press.get_subscription_count() >= 2)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=0.1)
    assert WARNING not in "".join(capfd.readouterr())


def until(executor: SingleThreadedExecutor, true: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end
        executor.spin_once(timeout_sec=0.05)
