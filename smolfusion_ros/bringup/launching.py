"""The stack's description as ``ros2 launch`` actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from smolfusion_ros.bringup.stack import LOG_LEVELS, NODES, Options, Process, environment, node_names, plan

RESPAWN_DELAY_S = 1.0


@dataclass(frozen=True)
class Argument:
    """One launch argument."""

    default: str
    description: str
    choices: tuple[str, ...] = ()


BACKEND_ARGUMENTS = {
    "profile": Argument("embedded", "Name in config/profiles (embedded, orin_nx, agx_orin, server), or a YAML file"),
    "provider": Argument(
        "", "Llama server to prefer; empty: the profile's choice", ("", "llama-server", "xllamacpp", "llama-cpp-python")
    ),
}
STACK_ARGUMENTS = {
    **BACKEND_ARGUMENTS,
    "namespace": Argument("/smolfusion", "Prefix of all topics, services and actions"),
    "image_topic": Argument("image", "The camera; relative to the namespace unless it begins with a slash"),
    "image_transport": Argument("raw", "What the camera publishes", ("raw", "compressed")),
    "video": Argument("", "Publish this instead of a camera: rendered:visit, a video file or a device; empty: nothing"),
    "nodes": Argument(",".join(NODES), "Which nodes to start, comma-separated"),
    "start_backends": Argument("true", "Start the profile's llama servers", ("true", "false")),
    "log_level": Argument("info", "Log level of the nodes", LOG_LEVELS),
    "params_file": Argument("", "ROS parameters that win over the profile's (YAML)"),
}


def stack_description() -> LaunchDescription:
    """The whole stack."""
    return _description(STACK_ARGUMENTS, NODES)


def backends_description() -> LaunchDescription:
    """The llama servers alone."""
    return _description(BACKEND_ARGUMENTS, ())


def _description(arguments: Mapping[str, Argument], nodes: tuple[str, ...]) -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(
            name,
            default_value=argument.default,
            description=argument.description,
            choices=list(argument.choices) or None,
        )
        for name, argument in arguments.items()
    ]
    variables = [SetEnvironmentVariable(name, value) for name, value in environment().items()]
    return LaunchDescription([*declared, *variables, OpaqueFunction(function=_start, args=[tuple(arguments), nodes])])


def _start(context: LaunchContext, names: tuple[str, ...], nodes: tuple[str, ...]) -> list[Action]:
    given = {name: LaunchConfiguration(name).perform(context) for name in names}
    profile_name = given.pop("profile")
    chosen: dict[str, Any] = {**given, "nodes": nodes}
    if "nodes" in given:
        chosen["nodes"] = node_names(given["nodes"])
    if "start_backends" in given:
        chosen["start_backends"] = given["start_backends"] == "true"
    options = Options(**chosen)
    return [_action(process, options) for process in plan(profile_name, options)]


def _action(process: Process, options: Options) -> Action:
    common: dict[str, Any] = {
        "package": "smolfusion_ros",
        "executable": process.executable,
        "output": "screen",
        "respawn": True,
        "respawn_delay": RESPAWN_DELAY_S,
    }
    if not process.is_node:
        return Node(**common, exec_name=process.name, arguments=list(process.arguments))
    return Node(
        **common,
        namespace=options.namespace,
        parameters=[dict(process.parameters), *([options.params_file] if options.params_file else [])],
        remappings=list(process.remappings),
        ros_arguments=["--log-level", options.log_level],
    )
