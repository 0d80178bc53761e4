"""The stack's description: which processes, with which parameters. Read by the runner and by the launch files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from smolfusion_ros.bringup import params_file
from smolfusion_ros.bringup.paths import manifest_path, share_directory
from smolfusion_ros.bringup.profile import ROLES, BackendProfile, Profile, load_profile
from smolfusion_ros.bringup.speech_profile import SpeechProfile
from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.llama.manifest import load_manifest
from smolfusion_ros.secret import read_secret

SPEECH_NODES = ("listener", "speaker")
NODES = ("motion_gate", "perception", "dialogue", "memory", *SPEECH_NODES, "monitor", "gateway")
SOUNDS = ("device", "topic")
GATEWAY_PORT = 8000
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
# What rcl takes; it would refuse the rest in every node, a second apart, for ever.
NAMESPACE = re.compile(r"/|/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*/?", re.ASCII)
TOPIC = re.compile(r"~?/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)
REMAPPED = re.compile(r"(\w+:)?(rostopic://|rosservice://)?[\w/~*\\{}]+", re.ASCII)

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
        llm_port, vlm_port: of the backends that run here; 0: the profile's. Each robot of a machine needs its own.
        voice: start listener and speaker, where they are among the nodes. Off by default: no microphone is opened
            that nobody asked for.
        sound: ``device``, microphone and loudspeaker of this machine; or ``topic``, ``audio`` and ``voice``.
        gateway: start the HTTP interface, where it is among the nodes.
        gateway_port: of the HTTP interface. Each robot of a machine needs its own.
        remap: further names to change, ``from:=to``.
        autostart: perception and dialogue begin to work by themselves; false: a lifecycle manager activates them.
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
    llm_port: int = 0
    vlm_port: int = 0
    voice: bool = False
    sound: str = "device"
    gateway: bool = True
    gateway_port: int = GATEWAY_PORT
    remap: tuple[tuple[str, str], ...] = ()
    autostart: bool = True
    log_level: str = "info"
    params_file: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.nodes) - set(NODES)
        if unknown:
            raise ConfigurationError(f"unknown node {sorted(unknown)[0]!r}; there are {', '.join(NODES)}")
        if self.log_level not in LOG_LEVELS:
            raise ConfigurationError(f"log level {self.log_level!r} is not one of {', '.join(LOG_LEVELS)}")
        if self.sound not in SOUNDS:
            raise ConfigurationError(f"sound {self.sound!r} is not one of {', '.join(SOUNDS)}")
        for name in ("llm_port", "vlm_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise ConfigurationError(
                    f"{name} {getattr(self, name)} is not a port: 1 to 65535, or 0 for the profile's"
                )
        if not 1 <= self.gateway_port <= 65535:
            raise ConfigurationError(f"gateway_port {self.gateway_port} is not a port: 1 to 65535")
        _check_name("namespace", self.namespace, NAMESPACE)
        _check_name("image topic", self.image_topic, TOPIC)
        for name in (name for pair in self.remap for name in pair):
            _check_name("name to remap", name, REMAPPED)


@dataclass(frozen=True)
class Process:
    """One process of the stack.

    Attributes:
        executable: as in ``ros2 run smolfusion_ros <executable>``.
        arguments: of a backend.
        parameters, remappings: of a node.
        is_node: speaks ROS; a backend does not.
        environment: variables it needs besides those of its parent.
    """

    name: str
    executable: str
    is_node: bool
    arguments: tuple[str, ...] = ()
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def node_names(text: str) -> tuple[str, ...]:
    """Names out of a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def remappings(text: str) -> tuple[tuple[str, str], ...]:
    """Remappings out of a comma-separated list of ``from:=to``.

    Raises:
        ConfigurationError: an entry has another form.
    """
    pairs = []
    for entry in node_names(text):
        source, separator, target = entry.partition(":=")
        if not (separator and source and target):
            raise ConfigurationError(f"remapping {entry!r} is not of the form from:=to")
        pairs.append((source, target))
    return tuple(pairs)


def _check_name(what: str, name: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(name):
        raise ConfigurationError(f"{what} {name!r} is no ROS name: letters, digits, _ and /, no digit after a slash")


def plan(profile_name: str, options: Options) -> list[Process]:
    """What to start; fails here, once, rather than in every restart of a backend.

    Raises:
        ConfigurationError: the profile, the parameter file or an API key's file is missing or wrong.
        ModelError: a model file is missing or damaged; tells how to get it.
    """
    profile = load_profile(profile_name).on_ports(llm=options.llm_port, vlm=options.vlm_port)
    for role in ROLES:
        read_secret(f"{role}: api_key_file", profile.backend(role).api_key_file, f"{role.upper()}_API_KEY")
    if options.voice and profile.speech is None:
        raise ConfigurationError(f"profile {profile.name} has no section speech, which voice needs")
    if options.params_file:
        params_file.check(Path(options.params_file), _known_parameters(profile, options), options.namespace)
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
            Process(f"{role}_backend", "backend", False, _backend_arguments(role, backend, profile_name, options))
            for role, backend in profile.local_backends.items()
        ]
    left_out = (() if options.gateway else ("gateway",)) + (() if options.voice else SPEECH_NODES)
    chosen = tuple(name for name in NODES if name in options.nodes and name not in left_out)
    nodes = (("video_source",) if options.video else ()) + chosen
    parameters = _node_parameters(profile, options, nodes)
    image_remappings = _image_remappings(options)
    processes += [
        Process(
            name,
            name,
            True,
            parameters=parameters.get(name, {}),
            remappings=(*image_remappings.get(name, ()), *options.remap),
            environment=camera_environment() if name == "video_source" else {},
        )
        for name in nodes
    ]
    return processes


def _known_parameters(profile: Profile, options: Options) -> dict[str, dict[str, object]]:
    """All parameters of all nodes: those of the package's file, and those that the profile and the options set."""
    known = params_file.known_parameters(share_directory() / "config" / "smolfusion.yaml")
    for node, parameters in _node_parameters(profile, options, NODES).items():
        known[node] |= parameters
    return known


def parameter_files(options: Options) -> list[str]:
    """ROS parameter files below and above the profile's values: the package's own, and the person's."""
    return [
        str(share_directory() / "config" / "smolfusion.yaml"),
        *([options.params_file] if options.params_file else []),
    ]


def camera_environment() -> dict[str, str]:
    """Variables for a process that publishes raw frames: room for them in Fast DDS's shared memory.

    The sender alone needs it, and pays for it with 33 MB. Fast DDS 3 (Kilted) renamed the variable, and warns of the
    old name.
    """
    old_name = os.environ.get("ROS_DISTRO") in ("humble", "iron", "jazzy")
    variable = "FASTRTPS_DEFAULT_PROFILES_FILE" if old_name else "FASTDDS_DEFAULT_PROFILES_FILE"
    return {variable: os.environ.get(variable) or str(share_directory() / "config" / "fastdds.xml")}


def _backend_arguments(role: str, backend: BackendProfile, profile_name: str, options: Options) -> tuple[str, ...]:
    arguments = ["--role", role, "--profile", profile_name, "--port", str(backend.port)]
    if options.provider:
        arguments += ["--provider", options.provider]
    return tuple(arguments)


def _image_remappings(options: Options) -> dict[str, tuple[tuple[str, str], ...]]:
    topic = options.image_topic
    if topic == "image":
        return {}
    compressed = (("image/compressed", f"{topic}/compressed"),)
    return {"motion_gate": (("image", topic), *compressed), "video_source": (("image", topic),)}


def _node_parameters(profile: Profile, options: Options, nodes: Sequence[str]) -> dict[str, dict[str, ParameterValue]]:
    llm, vlm = profile.llm, profile.vlm
    speech = profile.speech or SpeechProfile()
    # The prompt's constant part and one answer need their share of the context; the rest is for the history.
    history_tokens = max(256, llm.context_tokens // 2)
    return {
        "video_source": {"source": options.video},
        "motion_gate": {"image_transport": options.image_transport},
        "perception": {
            "vlm_url": vlm.url,
            "vlm_key_file": vlm.api_key_file,
            "vlm_model": vlm.served_model or "default",
            "questions": vlm.questions,
            "autostart": options.autostart,
        },
        "dialogue": {
            "llm_url": llm.url,
            "llm_key_file": llm.api_key_file,
            "llm_model": llm.served_model or "default",
            "chat_format": llm.chat_format,
            "prompt_examples": llm.prompt_examples,
            "concurrency": llm.slots,
            "max_history_tokens": history_tokens,
            "autostart": options.autostart,
        },
        "memory": {"max_tokens": 2 * history_tokens},
        "listener": {
            "source": options.sound,
            "engine": speech.engine,
            "model": speech.model,
            "language": speech.language,
            "threads": speech.threads,
            "autostart": options.autostart,
        },
        "speaker": {
            "output": options.sound,
            "voice": speech.voice,
            "voice_model": speech.voice_model,
            "language": speech.language or "en",
            "autostart": options.autostart,
        },
        "monitor": {"llm_url": llm.url, "vlm_url": vlm.url, "nodes": ",".join(nodes)},
        "gateway": {"port": options.gateway_port, "nodes": ",".join(each for each in nodes if each != "gateway")},
    }
