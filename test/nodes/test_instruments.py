"""The files for rqt, RViz, Foxglove and the aggregator: they can be read, and what they name is there."""

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from smolfusion_ros.bringup.stack import NODES

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
ASK = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("write_reference", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["write_reference"] = module
spec.loader.exec_module(module)
ends = [end for entry in module.ask_nodes() for end in (*entry.publishes, *entry.subscribes)]
print(json.dumps({end.name if end.name.startswith("/") else "/smolfusion/" + end.name: end.kind for end in ends}))
"""


@pytest.fixture(scope="module")
def topics() -> dict[str, str]:
    """Type of every topic that a node publishes or hears, as the nodes themselves tell."""
    line = [sys.executable, "-c", ASK, str(ROOT / "scripts" / "write_reference.py")]
    asked = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(asked.stdout.splitlines()[-1])


def strings(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for value in document.values():
            yield from strings(value)
    elif isinstance(document, list):
        for value in document:
            yield from strings(value)


def get_message(kind: str) -> Any:
    package, _, name = kind.partition("/msg/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def has_field(kind: str, path: str) -> bool:
    """A message has such a field, as Foxglove and rqt_plot write it."""
    message = get_message(kind)
    for step in re.split(r"[./]", re.sub(r"\[:\]|\{[^}]*\}", "", path)):
        fields = message.get_fields_and_field_types()
        if step not in fields:
            return False
        inner = re.sub(r"^sequence<|[\[>,].*$", "", fields[step])
        message = get_message(inner.replace("/", "/msg/")) if "/" in inner else message
    return True


def test_foxglove_shows_every_panel_that_is_configured_and_topics_that_exist(topics: dict[str, str]) -> None:
    document = json.loads((CONFIG / "foxglove.json").read_text(encoding="utf-8"))
    panels = document["configById"]
    shown = [text for text in strings(document["layout"]) if "!" in text]
    assert sorted(shown) == sorted(panels)
    for name, panel in panels.items():
        kind = name.partition("!")[0]
        assert kind in ("Image", "Plot", "RawMessages", "DiagnosticSummary", "Publish")
        if kind == "Image":
            assert topics[panel["imageMode"]["imageTopic"]] == "sensor_msgs/msg/CompressedImage"
        elif kind == "Plot":
            for each in panel["paths"]:
                topic, _, field = each["value"].partition(".")
                assert has_field(topics[topic], field), each
        elif kind == "RawMessages":
            assert panel["topicPath"] in topics
        elif kind == "DiagnosticSummary":
            assert topics[panel["topicToRender"]] == "diagnostic_msgs/msg/DiagnosticArray"
        else:
            assert topics[panel["topicName"]] == panel["datatype"]
            get_message(panel["datatype"])(**json.loads(panel["value"]))


def test_rviz_shows_pictures_that_exist(topics: dict[str, str]) -> None:
    document = yaml.safe_load((CONFIG / "smolfusion.rviz").read_text(encoding="utf-8"))
    displays = document["Visualization Manager"]["Displays"]
    assert [each["Class"] for each in displays] == ["rviz_default_plugins/Image"] * 2
    for display in displays:
        topic = display["Topic"]["Value"]
        assert topics[topic] == "sensor_msgs/msg/CompressedImage"
        assert topic.endswith("/compressed")  # by which RViz chooses the transport
        assert display["Name"] in document["Window Geometry"]


def test_rqt_starts_the_plugins_that_are_configured_with_topics_that_exist(topics: dict[str, str]) -> None:
    document = json.loads((CONFIG / "smolfusion.perspective").read_text(encoding="utf-8"))
    manager = document["groups"]["pluginmanager"]
    running = ast.literal_eval(manager["keys"]["running-plugins"]["repr"])
    expected = {f"plugin__{name.replace('/', '__')}__{number}" for name, ids in running.items() for number in ids}
    assert set(manager["groups"]) == expected

    def settings(plugin: str) -> dict[str, Any]:
        keys = manager["groups"][plugin]["groups"]["plugin"]["keys"]
        return {name: ast.literal_eval(value["repr"]) for name, value in keys.items()}

    assert topics[settings("plugin__rqt_image_view__ImageView__1")["topic"]] == "sensor_msgs/msg/CompressedImage"
    for path in settings("plugin__rqt_plot__Plot__1")["topics"]:
        topic, _, field = path.rpartition("/")
        assert has_field(topics[topic], field), path


def test_every_task_of_every_node_is_in_one_group_of_the_aggregator() -> None:
    document = yaml.safe_load((CONFIG / "diagnostics.yaml").read_text(encoding="utf-8"))
    parameters = document["analyzers"]["ros__parameters"]
    groups = {name: group for name, group in parameters.items() if isinstance(group, dict)}
    assert {group["type"] for group in groups.values()} == {"diagnostic_aggregator/GenericAnalyzer"}
    names = [f"smolfusion/{node}: {task}" for node, task in told_tasks()]
    names += [f"robot2/{node}: anything" for node in (*NODES, "video_source") if node != "monitor"]
    assert len(names) > 15
    for name in names:
        found = [group["path"] for group in groups.values() if any(part in name for part in group["contains"])]
        assert len(found) == 1, f"{name}: {found}"


def told_tasks() -> Iterator[tuple[str, str]]:
    """Node and name of the diagnostic tasks that the source adds."""
    owners = {"_hardware": "monitor", "_recorder": "monitor", "_emergency_stop": "dialogue"}
    for path in (ROOT / "smolfusion_ros" / "nodes").glob("*.py"):
        for task in re.findall(r"(?:diagnostics|Diagnostics\(self\))\.add\(\"([^\"]+)\"", path.read_text()):
            yield owners.get(path.stem, path.stem), task
