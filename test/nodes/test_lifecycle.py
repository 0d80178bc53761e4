"""Managed nodes: what the transitions do, and what a failing one leaves."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import rclpy
from lifecycle_msgs.msg import State
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.nodes._lifecycle import ManagedNode
from smolfusion_ros.nodes._parameters import Parameters, parameter

SUCCESS, FAILURE, ERROR = (
    TransitionCallbackReturn.SUCCESS,
    TransitionCallbackReturn.FAILURE,
    TransitionCallbackReturn.ERROR,
)


@dataclass(frozen=True)
class Config:
    url: str = parameter("http://a", "Taken at configure", read_only=True)
    level: float = parameter(0.5, "Changes at any time", minimum=0.0, maximum=1.0)


class Node(ManagedNode):
    """Notes what it is told, and fails where a test says so."""

    def __init__(self) -> None:
        super().__init__("managed")
        self.parameters = Parameters(self, Config())
        self.done: list[str] = []
        self.trouble: dict[str, Exception] = {}

    def _do(self, what: str) -> None:
        if what in self.trouble:
            raise self.trouble[what]
        self.done.append(what)

    def configure(self) -> None:
        self._do("configure")

    def activate(self) -> None:
        self._do("activate")

    def deactivate(self) -> None:
        self._do("deactivate")

    def cleanup(self) -> None:
        self._do("cleanup")

    @property
    def state(self) -> int:
        return self._state_machine.current_state[0]


@pytest.fixture
def arguments() -> list[str]:
    return []


@pytest.fixture
def node(arguments: list[str]) -> Iterator[Node]:
    rclpy.init(args=["--ros-args", *arguments] if arguments else None)
    made = Node()
    yield made
    made.destroy_node()
    rclpy.shutdown()


def test_node_begins_to_work_by_itself(node: Node) -> None:
    node.start()
    assert node.done == ["configure", "activate"]
    assert node.active
    assert node.state == State.PRIMARY_STATE_ACTIVE


@pytest.mark.parametrize("arguments", [["-p", "autostart:=false"]])
def test_node_waits_for_a_manager_where_it_is_told_to(node: Node) -> None:
    node.start()
    assert node.done == []
    assert node.state == State.PRIMARY_STATE_UNCONFIGURED
    assert node.trigger_configure() == node.trigger_activate() == SUCCESS
    assert node.active


def test_every_transition_undoes_the_one_before(node: Node) -> None:
    node.start()
    assert node.trigger_deactivate() == SUCCESS
    assert (node.active, node.configured) == (False, True)
    assert node.trigger_cleanup() == SUCCESS
    assert (node.active, node.configured) == (False, False)
    node.start()
    assert node.done == ["configure", "activate", "deactivate", "cleanup", "configure", "activate"]


def test_shutdown_leaves_every_state_on_the_way(node: Node) -> None:
    node.start()
    assert node.trigger_shutdown() == SUCCESS
    assert node.done[-2:] == ["deactivate", "cleanup"]
    assert node.state == State.PRIMARY_STATE_FINALIZED


def test_refused_configuration_leaves_the_node_unconfigured_with_the_reason(node: Node) -> None:
    node.trouble["configure"] = ConfigurationError("no such catalogue")
    with pytest.raises(ConfigurationError, match="no such catalogue"):
        node.start()
    assert node.state == State.PRIMARY_STATE_UNCONFIGURED
    node.trouble.clear()
    node.start()
    assert node.active


def test_unexpected_trouble_ends_in_unconfigured_too(node: Node) -> None:
    node.trouble["activate"] = ZeroDivisionError("a bug")
    with pytest.raises(ConfigurationError, match="ZeroDivisionError: a bug"):
        node.start()
    assert node.state == State.PRIMARY_STATE_UNCONFIGURED
    assert node.done == ["configure", "cleanup"]


def test_what_is_taken_at_configure_can_be_set_only_before(node: Node) -> None:
    def put(name: str, value: object) -> str:
        result = node.set_parameters([Parameter(name, value=value)])[0]
        return "" if result.successful else result.reason

    assert put("url", "http://b") == ""
    node.start()
    assert "deactivate and clean it up first" in put("url", "http://c")
    assert put("level", 0.7) == ""
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert put("url", "http://c") == ""
    assert node.parameters.value == Config("http://c", 0.7)
