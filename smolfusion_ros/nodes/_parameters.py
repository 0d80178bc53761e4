"""Declares a frozen dataclass as ROS parameters: types, ranges, descriptions, and changes at run time.

Each field carries ``metadata`` with a ``description`` and, for numbers, ``min`` and ``max``; ``read_only`` marks
what takes effect only at start-up, or when a managed node is configured. The dataclass's own validation refuses a
change, with its message as the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, field, fields, replace
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.nodes._lifecycle import ManagedNode

_LATE = "takes effect when the node is configured: deactivate and clean it up first"

Config = TypeVar("Config")


def parameter(
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    read_only: bool = False,
) -> Any:
    """A dataclass field that becomes a ROS parameter."""
    metadata = {"description": description, "min": minimum, "max": maximum, "read_only": read_only}
    return field(default=default, metadata=metadata)


class Parameters(Generic[Config]):
    """The parameters of one node, as the dataclass they were declared from; all of them, as a change of several
    is taken whole or not at all.

    Args:
        node: declares the parameters and hears of changes.
        defaults: the dataclass, holding the default values.
        on_change: called with the new value after a change at run time.

    Attributes:
        at_configure: names of those that take effect only then.
    """

    def __init__(self, node: Node, defaults: Config, on_change: Callable[[Config], None] | None = None) -> None:
        self._node = node
        self._on_change = on_change
        ours = {each.name: each for each in fields(defaults)}  # type: ignore[arg-type]
        self._names = set(ours)
        self.at_configure = {name for name, each in ours.items() if each.metadata.get("read_only")}
        managed = isinstance(node, ManagedNode)
        try:
            given = {
                name: node.declare_parameter(
                    name, getattr(defaults, name), _descriptor(each, getattr(defaults, name), managed)
                ).value
                for name, each in ours.items()
            }
        except ParameterException as error:
            raise ConfigurationError(str(error)) from error
        self.value: Config = replace(defaults, **given)  # type: ignore[type-var]
        node.add_on_set_parameters_callback(self._set)

    def _set(self, changes: list[Parameter]) -> SetParametersResult:
        ours = {change.name: change.value for change in changes if change.name in self._names}
        if not ours:
            return SetParametersResult(successful=True)
        late = sorted(self.at_configure & set(ours))
        if late and getattr(self._node, "configured", False):
            return SetParametersResult(successful=False, reason=f"{late[0]} {_LATE}")
        try:
            self.value = replace(self.value, **ours)  # type: ignore[type-var]
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if self._on_change is not None:
            self._on_change(self.value)
        return SetParametersResult(successful=True)


def _descriptor(each: Field[Any], default: object, managed: bool) -> ParameterDescriptor:
    # A managed node takes such a value until it is configured; ROS itself knows only read-only for ever.
    read_only = each.metadata.get("read_only", False) and not managed
    descriptor = ParameterDescriptor(description=each.metadata["description"], read_only=read_only)
    if each.metadata.get("read_only") and managed:
        descriptor.additional_constraints = _LATE
    low, high = each.metadata.get("min"), each.metadata.get("max")
    if low is None or high is None or isinstance(default, (bool, str)):
        return descriptor
    if isinstance(default, int):
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
    else:
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    return descriptor
