#!/usr/bin/env python3
"""Writes what the nodes say of themselves into docs/parameters.md, the README's tables and config/smolfusion.yaml.

Every node is made for real and asked, so nothing here can be out of date: scripts/write_reference.py, or with
--check to fail where a file differs. Needs the built workspace (. scripts/env.sh).
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import rclpy  # noqa: E402
from rclpy.action import get_action_server_names_and_types_by_node  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402

from smolfusion_ros.bringup.profile import load_profile  # noqa: E402
from smolfusion_ros.bringup.stack import NODES, Options, describe  # noqa: E402
from smolfusion_ros.nodes._lifecycle import ManagedNode  # noqa: E402

NAMESPACE = "/smolfusion"
# What every ROS node has.
COMMON = re.compile(
    r"/(rosout|parameter_events|[a-z]+_parameters|set_parameters_atomically|get_parameter_types|get_type_description"
    r"|transition_event|change_state|get_state|get_available_\w+|get_transition_graph)$|/_action/"
)
COMMON_PARAMETERS = {"use_sim_time", "start_type_description_service", "logger_level"}


@dataclass(frozen=True)
class Endpoint:
    """A topic, service or action of a node, relative to the namespace."""

    name: str
    kind: str
    qos: str = ""


@dataclass(frozen=True)
class ParameterEntry:
    name: str
    value: object
    bounds: str
    changeable: str
    description: str


@dataclass(frozen=True)
class NodeEntry:
    """What one node told."""

    name: str
    summary: str
    managed: bool
    subscribes: list[Endpoint]
    publishes: list[Endpoint]
    serves: list[Endpoint]
    actions: list[Endpoint]
    calls: list[Endpoint]
    parameters: list[ParameterEntry]


def entry_of(node: Node, summary: str) -> NodeEntry:
    name, namespace = node.get_name(), node.get_namespace()
    return NodeEntry(
        name,
        summary,
        isinstance(node, ManagedNode),
        _topics(node.get_subscriber_names_and_types_by_node(name, namespace), node.subscriptions),
        _topics(node.get_publisher_names_and_types_by_node(name, namespace), node.publishers),
        _endpoints(node.get_service_names_and_types_by_node(name, namespace)),
        _endpoints(get_action_server_names_and_types_by_node(node, name, namespace)),
        _endpoints(node.get_client_names_and_types_by_node(name, namespace)),
        _parameters(node),
    )


def _endpoints(found: Iterable[tuple[str, list[str]]]) -> list[Endpoint]:
    return [Endpoint(_relative(name), kinds[0]) for name, kinds in sorted(found) if not COMMON.search(name)]


def _topics(found: Iterable[tuple[str, list[str]]], ends: Iterable[object]) -> list[Endpoint]:
    qos: dict[str, str] = {}
    for end in ends:
        words = _qos(end.qos_profile)
        qos[end.topic_name] = words if qos.get(end.topic_name, words) == words else "any"
    return [
        Endpoint(_relative(name), kinds[0], qos.get(name, ""))
        for name, kinds in sorted(found)
        if not COMMON.search(name)
    ]


def _relative(name: str) -> str:
    return name.removeprefix(f"{NAMESPACE}/")


def _qos(profile: QoSProfile) -> str:
    words = "best effort" if profile.reliability == ReliabilityPolicy.BEST_EFFORT else "reliable"
    latched = ", transient local" if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL else ""
    return f"{words}{latched}, depth {profile.depth}"


def _parameters(node: Node) -> list[ParameterEntry]:
    names = sorted(set(node._parameters) - COMMON_PARAMETERS)
    at_configure = getattr(getattr(node, "_config", None), "at_configure", frozenset())
    entries = []
    for name, descriptor in zip(names, node.describe_parameters(names), strict=True):
        bounds = [f"{each.from_value:g} … {each.to_value:g}" for each in descriptor.floating_point_range]
        bounds += [f"{each.from_value} … {each.to_value}" for each in descriptor.integer_range]
        changeable = "at start-up" if descriptor.read_only else "always"
        if isinstance(node, ManagedNode) and name in at_configure:
            changeable = "until configured"
        value = node.get_parameter(name).value
        entries.append(ParameterEntry(name, value, "".join(bounds), changeable, descriptor.description))
    return entries


def ask_nodes() -> list[NodeEntry]:
    """Make every node of the stack and ask it, in a domain of its own."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ.update(dict.fromkeys(("XDG_DATA_HOME", "XDG_STATE_HOME", "ROS_LOG_DIR"), directory))
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        rclpy.init(args=["--ros-args", "-r", f"__ns:={NAMESPACE}", "--log-level", "fatal"], domain_id=99)
        entries = []
        for name in ("video_source", *NODES):
            module = importlib.import_module(f"smolfusion_ros.nodes.{name}")
            kinds = [
                each for _, each in inspect.getmembers(module, inspect.isclass) if each.__module__ == module.__name__
            ]
            [kind] = [each for each in kinds if issubclass(each, Node)]
            node = kind()
            entries.append(entry_of(node, (module.__doc__ or "").strip().splitlines()[0]))
            getattr(node, "close", lambda: None)()
            node.destroy_node()
        rclpy.shutdown()
    return entries


def reference(entries: list[NodeEntry]) -> str:
    lines = [
        "# Nodes, topics, services and parameters",
        "",
        "Written by `scripts/write_reference.py` from the nodes themselves. Names are relative to the namespace",
        "(`/smolfusion` by default); those that begin with a slash are not. Units stand in the descriptions and in the",
        "names (`_s` seconds, `_px` pixels, `_rad` radians). *When* tells when a parameter can be set: `always` with",
        "`ros2 param set`, `until configured` while a managed node is unconfigured, `at start-up` in a parameter file,",
        "on the command line or in a launch file. A value that cannot be used is refused with the reason.",
        "",
    ]
    for entry in entries:
        managed = " A managed (lifecycle) node." if entry.managed else ""
        lines += [f"## {entry.name}", "", entry.summary + managed, ""]
        ends = [("hears", entry.subscribes), ("publishes", entry.publishes), ("serves", entry.serves)]
        ends += [("serves (action)", entry.actions), ("calls", entry.calls)]
        lines += ["| | name | type | quality of service |", "|---|---|---|---|"]
        lines += [
            f"| {what} | `{end.name}` | {end.kind.replace('/msg/', '/').replace('/srv/', '/').replace('/action/', '/')}"
            f" | {end.qos} |"
            for what, found in ends
            for end in found
        ]
        lines += ["", "| parameter | default | range | when | what |", "|---|---|---|---|---|"]
        lines += [
            f"| `{each.name}` | `{_yaml(each.value)}` | {each.bounds} | {each.changeable} | {each.description} |"
            for each in entry.parameters
        ]
        lines.append("")
    return "\n".join(lines)


def nodes_table(entries: list[NodeEntry]) -> str:
    lines = ["| node | hears | publishes | serves |", "|---|---|---|---|"]
    for entry in entries:
        serves = [_code(end.name) for end in entry.serves] + [f"{_code(end.name)} (action)" for end in entry.actions]
        published = [end for end in entry.publishes if end.name != "/diagnostics" or entry.name == "monitor"]
        heard, told = (", ".join(_code(end.name) for end in ends) for ends in (entry.subscribes, published))
        lines.append(f"| `{entry.name}`{' ⟲' if entry.managed else ''} | {heard} | {told} | {', '.join(serves)} |")
    lines += ["", "| node | parameters |", "|---|---|"]
    lines += [f"| `{entry.name}` | {', '.join(_code(each.name) for each in entry.parameters)} |" for entry in entries]
    return "\n".join(lines)


def parameter_file(entries: list[NodeEntry]) -> str:
    """Every parameter at its default, but for those that the profile and the launch arguments set."""
    options = Options(video="rendered:visit", start_backends=False)
    set_elsewhere = {
        each.name: set(each.parameters) for each in describe(load_profile("embedded"), "embedded", options)
    }
    lines = [
        "# The nodes' parameters, each at its default. Copy what you change into a file of your own and give that to",
        "# params_file:=…; it wins over this file, the profile and the launch arguments.",
        "# Written by scripts/write_reference.py. Left out is what the profile and the launch arguments set:",
        *(f"#   {name}: {', '.join(sorted(names))}" for name, names in set_elsewhere.items() if names),
    ]
    for entry in entries:
        ours = [each for each in entry.parameters if each.name not in set_elsewhere.get(entry.name, ())]
        lines += ["", f"/**/{entry.name}:", "  ros__parameters:"]
        for each in ours:
            bounds = f" ({each.bounds})" if each.bounds else ""
            lines += [f"    # {each.description}{bounds}", f"    {each.name}: {_yaml(each.value)}"]
    return "\n".join(lines) + "\n"


def _code(name: str) -> str:
    return f"`{name}`"


def _yaml(value: object) -> str:
    # JSON's values are YAML's, and a whole float keeps its point.
    return json.dumps(value, ensure_ascii=False)


def _between(text: str, table: str) -> str:
    begin, end = "<!-- nodes: written by scripts/write_reference.py -->", "<!-- end of nodes -->"
    head, rest = text.split(begin)
    return f"{head}{begin}\n{table}\n{end}{rest.split(end)[1]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a file differs")
    check = parser.parse_args().check
    entries = ask_nodes()
    readme = ROOT / "README.md"
    wanted = {
        ROOT / "docs" / "parameters.md": reference(entries),
        ROOT / "config" / "smolfusion.yaml": parameter_file(entries),
        readme: _between(readme.read_text(encoding="utf-8"), nodes_table(entries)),
    }
    differing = [path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in differing:
        if check:
            print(f"{path.relative_to(ROOT)} differs from the nodes: run scripts/write_reference.py", file=sys.stderr)
        else:
            path.write_text(wanted[path], encoding="utf-8")
    return int(check and bool(differing))


if __name__ == "__main__":
    raise SystemExit(main())
