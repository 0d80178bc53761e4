"""Where a node keeps files of its own: one for each robot, told apart by the namespace.

Directories are those of the XDG Base Directory Specification (https://specifications.freedesktop.org/basedir-spec/).
"""

from __future__ import annotations

import os
from pathlib import Path

from rclpy.node import Node

from smolfusion_ros.errors import ConfigurationError


def data_file(node: Node, ending: str) -> Path:
    """What people would miss: ``$XDG_DATA_HOME/smolfusion_ros/<namespace>.<ending>``."""
    return _file("XDG_DATA_HOME", ".local/share", node, ending)


def state_file(node: Node, ending: str) -> Path:
    """What must outlive the process: ``$XDG_STATE_HOME/smolfusion_ros/<namespace>.<ending>``."""
    return _file("XDG_STATE_HOME", ".local/state", node, ending)


def _file(variable: str, below_home: str, node: Node, ending: str) -> Path:
    base = Path(os.environ.get(variable, ""))
    if not base.is_absolute():  # as the specification wants it
        try:
            base = Path.home() / below_home
        except RuntimeError as error:
            raise ConfigurationError(f"this user has no home directory: set {variable}") from error
    name = node.get_namespace().strip("/").replace("/", ".") or node.get_name()
    return base / "smolfusion_ros" / f"{name}.{ending}"
