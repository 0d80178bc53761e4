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

NODES = {"motion_gate", "perception", "dialogue", "memory", "video_source"}


def test_launch_file_runs_the_stack(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path / "launch")
    ros2 = shutil.which("ros2")
    arguments = [f"profile:={workplace.profile}", "provider:=xllamacpp", "video:=rendered:visit"]
    launch = workplace.start("launch", [ros2, "launch", "smolfusion_ros", "smolfusion.launch.py", *arguments])
    probe = Probe(workplace.domain_id)
    try:
        begun = time.monotonic()
        until(lambda: set(probe.node.get_node_names()) >= NODES, "all nodes", 60.0)
        until(lambda: answers(f"{workplace.llm_url}/v1/models"), "the language model", 60.0)
        probe.heard("scene").wait_for(lambda scene: scene.source == "vlm", 30.0)
        print(f"ready after {time.monotonic() - begun:.1f} s")
        called = subprocess.run(
            [ros2, "service", "call", "/smolfusion/chat", "smolfusion_ros/srv/Chat", "{text: 'hello there'}"],
            env=workplace.environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        print(called.stdout.strip().splitlines()[-1])
        assert called.returncode == 0, called.stderr
        assert "success=True" in called.stdout
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
