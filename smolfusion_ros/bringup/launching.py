"""The stack's description as ``ros2 launch`` actions."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from smolfusion_ros.bringup.stack import (
    GATEWAY_PORT,
    LOG_LEVELS,
    NODES,
    SOUNDS,
    Options,
    Process,
    node_names,
    parameter_files,
    plan,
    remappings,
)
from smolfusion_ros.errors import ConfigurationError

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
    "llm_port": Argument("0", "Port of the language model, one for each robot of a machine; 0: the profile's"),
    "vlm_port": Argument("0", "Port of the vision-language model; 0: the profile's"),
}
STACK_ARGUMENTS = {
    **BACKEND_ARGUMENTS,
    "voice": Argument("false", "Hear and speak: start listener and speaker", ("true", "false")),
    "sound": Argument("device", "Microphone and loudspeaker, or the topics audio and voice", SOUNDS),
    "gateway": Argument("true", "Start the HTTP interface (web page, JSON, events)", ("true", "false")),
    "gateway_port": Argument(str(GATEWAY_PORT), "Port of the HTTP interface, one for each robot of a machine"),
    "namespace": Argument("/smolfusion", "Prefix of all topics, services and actions"),
    "image_topic": Argument("image", "The camera; relative to the namespace unless it begins with a slash"),
    "image_transport": Argument("raw", "What the camera publishes", ("raw", "compressed")),
    "video": Argument("", "Publish this instead of a camera: rendered:visit, a video file or a device; empty: nothing"),
    "nodes": Argument(",".join(NODES), "Which nodes to start, comma-separated"),
    "start_backends": Argument("true", "Start the profile's llama servers", ("true", "false")),
    "autostart": Argument("true", "Perception and dialogue activate themselves", ("true", "false")),
    "remap": Argument("", "Further names to change, comma-separated: from:=to"),
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
    return LaunchDescription([*declared, OpaqueFunction(function=_start, args=[tuple(arguments), nodes])])


# How an argument's text becomes an option, where it is more than text.
CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "nodes": node_names,
    "start_backends": lambda text: text == "true",
    "autostart": lambda text: text == "true",
    "voice": lambda text: text == "true",
    "gateway": lambda text: text == "true",
    "gateway_port": lambda text: _whole_number("gateway_port", text),
    "llm_port": lambda text: _whole_number("llm_port", text),
    "vlm_port": lambda text: _whole_number("vlm_port", text),
    "remap": remappings,
}


def _start(context: LaunchContext, names: tuple[str, ...], nodes: tuple[str, ...]) -> list[Action]:
    given = {name: LaunchConfiguration(name).perform(context) for name in names}
    profile_name = given.pop("profile")
    chosen = {name: CONVERSIONS.get(name, str)(text) for name, text in given.items()}
    options = Options(**{"nodes": nodes, **chosen})
    prefix = _prefix(context)
    return [_action(process, options, prefix) for process in plan(profile_name, options)]


def _prefix(context: LaunchContext) -> str | None:
    """Words before each command: they see to it that no process outlives ``ros2 launch``.

    launch hands on SIGINT alone; ended by SIGTERM or for want of memory it would leave everything running. None where
    the person gives a prefix (``ros2 launch --launch-prefix``), which this one would replace.
    """
    given = context.launch_configurations.get("launch-prefix")
    return None if given or shutil.which("setpriv") is None else "setpriv --pdeathsig TERM"


def _whole_number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ConfigurationError(f"{name} {text!r} is not a whole number") from error


def _action(process: Process, options: Options, prefix: str | None) -> Action:
    common: dict[str, Any] = {
        "package": "smolfusion_ros",
        "executable": process.executable,
        "exec_name": process.name,
        "output": "screen",
        "prefix": prefix,
        "respawn": True,
        "respawn_delay": RESPAWN_DELAY_S,
    }
    if not process.is_node:
        return Node(**common, arguments=list(process.arguments))
    defaults, *own = parameter_files(options)  # what comes later wins
    return Node(
        **common,
        namespace=options.namespace,
        parameters=[defaults, dict(process.parameters), *own],
        remappings=list(process.remappings),
        additional_env=dict(process.environment),
        ros_arguments=["--log-level", options.log_level],
    )
