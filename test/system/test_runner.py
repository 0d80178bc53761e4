"""The runner: starts the stack in one command, keeps it alive, and leaves nothing behind."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from smolfusion_ros.srv import ListSessions

from system.probe import until
from system.runner import PROCESSES, Runner
from system.stack import END_S, Workplace, assert_gone

pytestmark = pytest.mark.system

BACK_S = 10.0


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    started = Runner(tmp_path / "runner")
    yield started
    started.close()


def _assert_ends(runner: Runner, end: Callable[[], object]) -> None:
    """After ``end()``, nothing is left within ten seconds, and nobody complained."""
    family = {" ".join(process.cmdline())[-60:]: process.pid for process in runner.children()}
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
    killed = runner.pids()["memory"]
    begun = time.monotonic()
    os.kill(killed, signal.SIGKILL)
    until(lambda: runner.pids().get("memory") not in (None, killed), "another memory process", BACK_S)
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
