"""A dataclass as ROS parameters, on a real node."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass

import pytest
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter

from smolfusion_ros.bringup.stack import NODES
from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.nodes._parameters import Parameters, parameter


@dataclass(frozen=True)
class Config:
    speed_m_s: float = parameter(0.5, "How fast, metres per second", minimum=0.0, maximum=2.0)
    mode: str = parameter("walk", "walk or run")
    device: str = parameter("/dev/null", "Read once", read_only=True)

    def __post_init__(self) -> None:
        if self.mode not in ("walk", "run"):
            raise ConfigurationError(f"mode {self.mode!r} is neither walk nor run")


@pytest.fixture
def node() -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(context=context)
    made = Node(
        "parameters", context=context, cli_args=["--ros-args", "-p", "speed_m_s:=1.5"], use_global_arguments=False
    )
    yield made
    made.destroy_node()
    rclpy.shutdown(context=context)


def test_values_given_at_start_up_win_over_defaults(node: Node) -> None:
    assert Parameters(node, Config()).value == Config(speed_m_s=1.5)


def test_descriptions_and_ranges_are_told(node: Node) -> None:
    Parameters(node, Config())
    descriptor = node.describe_parameter("speed_m_s")
    assert descriptor.description == "How fast, metres per second"
    assert (descriptor.floating_point_range[0].from_value, descriptor.floating_point_range[0].to_value) == (0.0, 2.0)
    assert node.describe_parameter("device").read_only


def test_a_change_at_run_time_reaches_the_node(node: Node) -> None:
    heard: list[Config] = []
    parameters = Parameters(node, Config(), on_change=heard.append)
    assert node.set_parameters([Parameter("mode", value="run")])[0].successful
    assert parameters.value.mode == "run"
    assert heard == [Config(1.5, "run")]


@pytest.mark.parametrize(
    ("name", "value", "reason"), [("mode", "fly", "neither walk nor run"), ("speed_m_s", 9.0, ""), ("device", "x", "")]
)
def test_a_bad_change_is_refused_and_changes_nothing(node: Node, name: str, value: object, reason: str) -> None:
    parameters = Parameters(node, Config())
    before = parameters.value
    result = node.set_parameters([Parameter(name, value=value)])[0]
    assert not result.successful
    assert reason in result.reason
    assert parameters.value == before


def configurations() -> Iterator[type]:
    """The dataclasses that the nodes declare."""
    for name in ("video_source", *NODES):
        module = importlib.import_module(f"smolfusion_ros.nodes.{name}")
        yield from (each for each in vars(module).values() if is_dataclass(each) and each.__name__.endswith("Config"))


@pytest.mark.parametrize(
    "kind", {kind.__name__: kind for kind in configurations()}.values(), ids=lambda kind: kind.__name__
)
def test_every_parameter_is_described_and_every_number_bounded_with_its_unit(kind: type) -> None:
    units = {"_s": "seconds", "_ms": "milliseconds", "_px": "pixels", "_rad": "radians", "_hz": "a second"}
    for each in fields(kind):
        description = each.metadata["description"]
        assert description
        if type(each.default) in (int, float):
            assert each.metadata["min"] <= each.default <= each.metadata["max"], each.name
        for ending, unit in units.items():
            assert not each.name.endswith(ending) or unit in description, each.name
