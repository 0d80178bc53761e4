"""Where a node keeps files of its own: one for each robot, told apart by the namespace.

Directories are those of the XDG Base Directory Specification (https://specifications.freedesktop.org/basedir-spec/).
"""

from __future__ import annotations

import os
from pathlib import Path

from rclpy.node import Node


def data_file(node: Node, ending: str) -> Path:
    """What people would miss: ``$XDG_DATA_HOME/smolfusion_ros/<namespace>.<ending>``."""
    return _file("XDG_DATA_HOME", ".local/share", node, ending)


def state_file(node: Node, ending: str) -> Path:
    """What must outlive the process: ``$XDG_STATE_HOME/smolfusion_ros/<namespace>.<ending>``."""
    return _file("XDG_STATE_HOME", ".local/state", node, ending)


def _file(variable: str, below_home: str, node: Node, ending: str) -> Path:
    base = os.environ.get(variable) or Path.home() / below_home
    name = node.get_namespace().strip("/").replace("/", ".") or node.get_name()
    return Path(base) / "smolfusion_ros" / f"{name}.{ending}"
