"""The stack's description: which processes, with which parameters. Read by the runner and by the launch files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smolfusion_ros.bringup.paths import manifest_path, share_directory
from smolfusion_ros.bringup.profile import Profile, load_profile
from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.llama.manifest import load_manifest

NODES = ("motion_gate", "perception", "dialogue", "memory")
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")

ParameterValue = bool | int | float | str


@dataclass(frozen=True)
class Options:
    """What a person chooses at start-up; each is an argument of the launch file and of the runner.

    Attributes:
        namespace: prefix of all topics, services and actions.
        image_topic: the camera; relative to the namespace unless it begins with a slash.
        image_transport: ``raw`` or ``compressed``.
        video: start ``video_source`` with this source; empty: a camera driver publishes ``image_topic``.
        nodes: which nodes to start.
        start_backends: start the llama servers of the profile.
        provider: llama server to prefer; empty: the profile's choice.
        log_level: of the nodes.
        params_file: ROS parameters that win over the profile's.
    """

    namespace: str = "/smolfusion"
    image_topic: str = "image"
    image_transport: str = "raw"
    video: str = ""
    nodes: tuple[str, ...] = NODES
    start_backends: bool = True
    provider: str = ""
    log_level: str = "info"
    params_file: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.nodes) - set(NODES)
        if unknown:
            raise ConfigurationError(f"unknown node {sorted(unknown)[0]!r}; there are {', '.join(NODES)}")
        if self.log_level not in LOG_LEVELS:
            raise ConfigurationError(f"log level {self.log_level!r} is not one of {', '.join(LOG_LEVELS)}")
        if self.params_file and not Path(self.params_file).is_file():
            raise ConfigurationError(f"no parameter file {self.params_file}")


@dataclass(frozen=True)
class Process:
    """One process of the stack.

    Attributes:
        executable: as in ``ros2 run smolfusion_ros <executable>``.
        arguments: of a backend.
        parameters, remappings: of a node.
        is_node: speaks ROS; a backend does not.
    """

    name: str
    executable: str
    is_node: bool
    arguments: tuple[str, ...] = ()
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()


def node_names(text: str) -> tuple[str, ...]:
    """Names out of a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def plan(profile_name: str, options: Options) -> list[Process]:
    """What to start; fails here, once, rather than in every restart of a backend.

    Raises:
        ConfigurationError: the profile is missing or wrong.
        ModelError: a model file is missing or damaged; tells how to get it.
    """
    profile = load_profile(profile_name)
    if options.start_backends:
        manifest = load_manifest(manifest_path())
        for role, backend in profile.local_backends.items():
            manifest.resolve(backend.model, role)
    return describe(profile, profile_name, options)


def describe(profile: Profile, profile_name: str, options: Options) -> list[Process]:
    """All processes, backends first.

    Args:
        profile_name: as given by the person, name or path; handed on to the ``backend`` executable.
    """
    processes = []
    if options.start_backends:
        processes += [
            Process(f"{role}_backend", "backend", False, _backend_arguments(role, profile_name, options))
            for role in profile.local_backends
        ]
    parameters = _node_parameters(profile, options)
    remappings = _image_remappings(options)
    nodes = (("video_source",) if options.video else ()) + tuple(n for n in NODES if n in options.nodes)
    processes += [
        Process(name, name, True, parameters=parameters[name], remappings=remappings.get(name, ())) for name in nodes
    ]
    return processes


def environment() -> dict[str, str]:
    """Variables that every process of the stack needs: room for camera frames in Fast DDS.

    Fast DDS 3 (Kilted) renamed the variable, and warns of the old name.
    """
    old_name = os.environ.get("ROS_DISTRO") in ("humble", "iron", "jazzy")
    variable = "FASTRTPS_DEFAULT_PROFILES_FILE" if old_name else "FASTDDS_DEFAULT_PROFILES_FILE"
    return {variable: os.environ.get(variable) or str(share_directory() / "config" / "fastdds.xml")}


def _backend_arguments(role: str, profile_name: str, options: Options) -> tuple[str, ...]:
    chosen = ("--provider", options.provider) if options.provider else ()
    return ("--role", role, "--profile", profile_name, *chosen)


def _image_remappings(options: Options) -> dict[str, tuple[tuple[str, str], ...]]:
    topic = options.image_topic
    if topic == "image":
        return {}
    compressed = (("image/compressed", f"{topic}/compressed"),)
    return {"motion_gate": (("image", topic), *compressed), "video_source": (("image", topic),)}


def _node_parameters(profile: Profile, options: Options) -> dict[str, dict[str, ParameterValue]]:
    llm, vlm = profile.llm, profile.vlm
    # The prompt's constant part and one answer need their share of the context; the rest is for the history.
    history_tokens = max(256, llm.context_tokens // 2)
    return {
        "video_source": {"source": options.video},
        "motion_gate": {"image_transport": options.image_transport},
        "perception": {
            "vlm_url": vlm.url,
            "vlm_model": vlm.served_model or "default",
            "questions": vlm.questions,
        },
        "dialogue": {
            "llm_url": llm.url,
            "llm_model": llm.served_model or "default",
            "chat_format": llm.chat_format,
            "concurrency": llm.slots,
            "max_history_tokens": history_tokens,
        },
        "memory": {"max_tokens": 2 * history_tokens},
    }
