"""The runner: starts the stack in one command, keeps it alive, and leaves nothing behind."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from smolfusion_ros.srv import ListSessions

from system.probe import Probe, until
from system.stack import END_S, Workplace, answers, assert_gone

pytestmark = pytest.mark.system

PROCESSES = {
    "llm_backend": "serve_xllamacpp --model",
    "vlm_backend": "--mmproj",
    "video_source": "smolfusion_ros.nodes.video_source",
    "motion_gate": "smolfusion_ros.nodes.motion_gate",
    "perception": "smolfusion_ros.nodes.perception",
    "dialogue": "smolfusion_ros.nodes.dialogue",
    "memory": "smolfusion_ros.nodes.memory",
}
NODES = {name for name in PROCESSES if not name.endswith("_backend")}
BACK_S = 10.0


class Runner:
    """``python -m smolfusion_ros.bringup`` as a person starts it."""

    def __init__(self, directory: Path) -> None:
        self.workplace = Workplace(directory)
        line = [sys.executable, "-m", "smolfusion_ros.bringup", "--profile", self.workplace.profile]
        self.process = self.workplace.start("runner", [*line, "--provider", "xllamacpp", "--video", "rendered:visit"])
        self.probe = Probe(self.workplace.domain_id)

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def pid(self, name: str) -> int | None:
        """The process id of one of the stack's processes, None while it is away."""
        for process in self.family():
            try:
                if PROCESSES[name] in " ".join(process.cmdline()):
                    return process.pid
            except psutil.Error:
                continue
        return None

    def wait_until_ready(self) -> None:
        ports = self.workplace.llm_port, self.workplace.vlm_port
        until(lambda: set(self.probe.node.get_node_names()) >= NODES, "all nodes", 60.0)
        until(lambda: all(answers(f"http://127.0.0.1:{port}/v1/models") for port in ports), "both backends", 60.0)
        self.probe.heard("scene").wait_for(lambda scene: scene.source == "vlm", 30.0)

    def close(self) -> None:
        """Whatever the test left, goes."""
        self.probe.close()
        for process in [*self.family(), self.process] if self.process.poll() is None else []:
            process.kill()
        self.process.wait(END_S)


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    started = Runner(tmp_path / "runner")
    yield started
    started.close()


def _assert_ends(runner: Runner, end: Callable[[], object]) -> None:
    """After ``end()``, nothing is left within ten seconds, and nobody complained."""
    family = {" ".join(process.cmdline())[-60:]: process.pid for process in runner.family()}
    assert len(family) >= len(PROCESSES)
    begun = time.monotonic()
    end()
    assert runner.process.wait(END_S) == 0
    print(f"{len(family)} processes ended after {time.monotonic() - begun:.1f} s")
    assert_gone(family)
    runner.workplace.check_logs()


def test_killed_node_comes_back_and_ctrl_c_ends_all(runner: Runner) -> None:
    runner.wait_until_ready()
    assert runner.probe.call(ListSessions, "list_sessions").success
    killed = runner.pid("memory")
    begun = time.monotonic()
    os.kill(killed, signal.SIGKILL)
    until(lambda: runner.pid("memory") not in (None, killed), "another memory process", BACK_S)
    back_s = time.monotonic() - begun
    assert runner.probe.call(ListSessions, "list_sessions", tries=10).success
    print(f"memory killed; another process after {back_s:.1f} s, answering after {time.monotonic() - begun:.1f} s")
    # Ctrl-C reaches the whole foreground process group of a terminal.
    _assert_ends(runner, lambda: os.killpg(runner.process.pid, signal.SIGINT))


def test_sigterm_ends_all(runner: Runner) -> None:
    runner.wait_until_ready()
    _assert_ends(runner, runner.process.terminate)


def test_missing_model_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path / "missing", model="/nowhere/model.gguf")
    process = workplace.start(
        "runner", [sys.executable, "-m", "smolfusion_ros.bringup", "--profile", workplace.profile]
    )
    assert process.wait(30.0) == 2
    message = workplace.log("runner").read_text()
    print(message)
    assert message.startswith("cannot start: ")
    assert "/nowhere/model.gguf" in message
    workplace.check_logs()
