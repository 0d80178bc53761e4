"""Imports run downwards only, and the core knows no ROS."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import smolfusion_ros

SOURCE = Path(smolfusion_ros.__path__[0])
CORE = ("vision", "dialogue", "memory", "metrics", "llama", "gateway", "speech")
UPPER = ("nodes", "bringup", "client", "demo")
ROS = (
    "rclpy",
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
    "builtin_interfaces",
    "rcl_interfaces",
    "diagnostic_msgs",
    "geometry_msgs",
    "lifecycle_msgs",
    "action_msgs",
    "unique_identifier_msgs",
    "launch",
    "launch_ros",
)
INTERFACES = ("smolfusion_ros.msg", "smolfusion_ros.srv", "smolfusion_ros.action")


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def files_of(package: str) -> list[Path]:
    found = sorted((SOURCE / package).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("package", CORE)
def test_core_package_imports_no_ros_and_no_other_package(package: str) -> None:
    shared = ("errors", "documents", "secret")
    allowed = tuple(f"smolfusion_ros.{name}" for name in (package, *shared))
    for path in files_of(package):
        for name in imports_of(path):
            assert name.split(".")[0] not in ROS, f"{path.name} imports {name}"
            assert not name.startswith("smolfusion_ros") or name.startswith(allowed), f"{path.name} imports {name}"


def test_bringup_knows_no_node_and_no_interface() -> None:
    for path in files_of("bringup"):
        for name in imports_of(path):
            assert not name.startswith("smolfusion_ros.nodes"), f"{path.name} imports {name}"
            assert not name.startswith(INTERFACES), f"{path.name} imports {name}"


def test_nothing_that_runs_on_a_robot_imports_the_training() -> None:
    for path in SOURCE.rglob("*.py"):
        assert not any(name.split(".")[0] == "training" for name in imports_of(path)), path


def test_every_executable_exists() -> None:
    lines = [line for line in (SOURCE.parent / "executables.txt").read_text().splitlines() if line[:1] not in ("#", "")]
    assert len(lines) >= 8
    for line in lines:
        module, function = line.split(" ")[1].split(":")
        path = SOURCE.parent / (module.replace(".", "/") + ".py")
        names = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        assert function in names, line
