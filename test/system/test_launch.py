"""``ros2 launch`` starts the same stack; needs launch, launch_ros and ros2cli, which a ROS installation has."""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from system.probe import Probe, until
from system.stack import END_S, Workplace, answers, assert_gone

# launch_ros brings launch, which cannot be looked for: the project's own launch/ bears its name.
MISSING = [name for name in ("launch_ros", "ros2cli") if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

NODES = {"motion_gate", "perception", "dialogue", "memory", "monitor", "video_source"}


def _ros2(workplace: Workplace, *words: str) -> subprocess.CompletedProcess[str]:
    """One ``ros2`` command, to its end."""
    return subprocess.run(
        [shutil.which("ros2"), *words],
        env=workplace.environment, cwd=workplace.directory, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("file", ["smolfusion.launch.py", "backends.launch.py"])
def test_every_argument_is_described(tmp_path: Path, file: str) -> None:
    shown = _ros2(Workplace(tmp_path / "arguments"), "launch", "smolfusion_ros", file, "--show-args").stdout
    assert shown.count("(default: ") == shown.count("':\n") >= 4
    assert "No description given" not in shown


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("profile:=toaster", "no profile 'toaster'"),
        ("llm_port:=soon", "llm_port 'soon' is not a whole number"),
        ("remap:=utterance", "remapping 'utterance' is not of the form from:=to"),
        ("nodes:=motor", "unknown node 'motor'"),
        ("params_file:=/nowhere.yaml", "no parameter file /nowhere.yaml"),
    ],
)
def test_argument_that_cannot_be_is_told_in_a_line_and_nothing_starts(
    tmp_path: Path, argument: str, reason: str
) -> None:
    launched = _ros2(Workplace(tmp_path / "wrong"), "launch", "smolfusion_ros", "smolfusion.launch.py", argument)
    assert launched.returncode != 0
    assert reason in launched.stdout + launched.stderr
    assert "process started" not in launched.stdout + launched.stderr
    assert "Traceback" not in launched.stdout + launched.stderr


def test_launch_file_runs_the_stack(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path / "launch")
    ros2 = shutil.which("ros2")
    arguments = [
        f"profile:={workplace.profile}",
        "provider:=xllamacpp",
        "video:=rendered:visit",
        "remap:=chat:=/heard/chat",
    ]
    launch = workplace.start("launch", [ros2, "launch", "smolfusion_ros", "smolfusion.launch.py", *arguments])
    probe = Probe(workplace.domain_id)
    try:
        begun = time.monotonic()
        until(lambda: set(probe.node.get_node_names()) >= NODES, "all nodes", 60.0)
        until(lambda: answers(f"{workplace.llm_url}/v1/models"), "the language model", 60.0)
        probe.heard("scene").wait_for(lambda scene: scene.source == "vlm", 30.0)
        print(f"ready after {time.monotonic() - begun:.1f} s")
        called = _ros2(workplace, "service", "call", "/heard/chat", "smolfusion_ros/srv/Chat", "{text: 'hello there'}")
        print(called.stdout.strip().splitlines()[-1])
        assert called.returncode == 0, called.stderr
        assert "success=True" in called.stdout
        assert _ros2(workplace, "lifecycle", "get", "/smolfusion/dialogue").stdout.strip() == "active [3]"
        assert (
            "out of range" in _ros2(workplace, "param", "set", "/smolfusion/motion_gate", "jpeg_quality", "900").stderr
        )
        told = _ros2(workplace, "topic", "echo", "--once", "/diagnostics").stdout
        assert "smolfusion/" in told
        family = {each.name() + str(each.pid): each.pid for each in psutil.Process(launch.pid).children(recursive=True)}
        assert len(family) >= len(NODES) + 2
        begun = time.monotonic()
        os.killpg(launch.pid, signal.SIGINT)
        assert launch.wait(2 * END_S) == 0, workplace.log("launch").read_text()
        print(f"{len(family)} processes ended after {time.monotonic() - begun:.1f} s")
        assert_gone(family)
        workplace.check_logs()
    finally:
        probe.close()
        if launch.poll() is None:
            os.killpg(launch.pid, signal.SIGKILL)
            launch.wait(END_S)
