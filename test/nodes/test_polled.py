"""Messages wait in the middleware until they are asked for."""

import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from smolfusion_ros.nodes._polled import PolledSubscription

QOS = QoSProfile(depth=5)


@pytest.fixture
def node() -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(context=context)
    made = Node("polled", context=context, use_global_arguments=False)
    yield made
    made.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def publish(node: Node) -> Callable[[str], None]:
    publisher = node.create_publisher(String, "polled/words", QOS)
    return lambda word: publisher.publish(String(data=word))


def found(node: Node, subscription: PolledSubscription[String]) -> None:
    end = time.monotonic() + 10.0
    while node.count_subscribers("polled/words") == 0 or node.count_publishers("polled/words") == 0:
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.1)


def words(subscription: PolledSubscription[String]) -> list[str]:
    return [message.data for message in subscription.take()]


def test_messages_are_taken_once_and_in_order(node: Node, publish: Callable[[str], None]) -> None:
    subscription = PolledSubscription(node, String, "polled/words", QOS)
    found(node, subscription)
    assert words(subscription) == []
    for word in ("one", "two", "three"):
        publish(word)
    time.sleep(0.2)
    assert words(subscription) == ["one", "two", "three"]
    assert words(subscription) == []


def test_of_a_flood_the_newest_are_kept(node: Node, publish: Callable[[str], None]) -> None:
    subscription = PolledSubscription(node, String, "polled/words", QOS)
    found(node, subscription)
    for index in range(100):
        publish(str(index))
    time.sleep(0.2)
    assert words(subscription) == ["95", "96", "97", "98", "99"]


def test_the_executor_sleeps_on(node: Node, publish: Callable[[str], None]) -> None:
    subscription = PolledSubscription(node, String, "polled/words", QOS)
    found(node, subscription)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    executor.spin_once(timeout_sec=0.1)
    publish("quiet")
    begun_s = time.monotonic()
    executor.spin_once(timeout_sec=0.5)
    assert time.monotonic() - begun_s > 0.4
    assert words(subscription) == ["quiet"]
    executor.shutdown()
