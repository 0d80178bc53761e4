"""A whole stack for a bench, started as a person starts it, and a look at what its processes hold."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

NAMESPACE = "/bench"
DOMAIN_ID = 86
LLM_PORT, VLM_PORT, GATEWAY_PORT = 18090, 18091, 18098
_ROLE = re.compile(r"(mmproj|clip)")
_NODE = re.compile(r"smolfusion_ros\.nodes\.(\w+)")


@dataclass(frozen=True)
class Holding:
    """What a process holds: memory in bytes, threads, file descriptors; and the CPU seconds it has used.

    ``pss`` is the proportional set size, which also changes with what others share; ``uss`` is the process's alone.
    """

    pss: int
    uss: int
    threads: int
    files: int
    cpu_s: float


class Stack:
    """The processes of a running stack, by name."""

    def __init__(self, runner: subprocess.Popen[bytes], log: Path) -> None:
        self._runner = runner
        self.log = log
        self._names: dict[psutil.Process, str] = {}

    def holdings(self) -> dict[str, Holding]:
        """What every process holds now; ``runner`` is circus."""
        family = [psutil.Process(self._runner.pid), *psutil.Process(self._runner.pid).children(recursive=True)]
        return {self._name(process): _holding(process) for process in family}

    def _name(self, process: psutil.Process) -> str:
        if process not in self._names:
            line = " ".join(process.cmdline())
            node = _NODE.search(line)
            if process.pid == self._runner.pid:
                self._names[process] = "runner"
            elif node:
                self._names[process] = node.group(1)
            else:
                self._names[process] = "vlm_backend" if _ROLE.search(line) else "llm_backend"
        return self._names[process]


def _holding(process: psutil.Process) -> Holding:
    with process.oneshot():
        times = process.cpu_times()
        memory = process.memory_full_info()
        return Holding(memory.pss, memory.uss, process.num_threads(), process.num_fds(), times.user + times.system)


@contextmanager
def running(video: str, *options: str, llm: bool = True, gateway: bool = False) -> Iterator[Stack]:
    """The stack of the embedded profile, with memory and models' ports of its own; its log stays where a run fails.

    Args:
        llm: false where the options name a profile whose language model runs elsewhere.
        gateway: serve HTTP too, on ``GATEWAY_PORT``.
    """
    os.environ["ROS_DOMAIN_ID"] = str(DOMAIN_ID)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    directory = Path(tempfile.mkdtemp(prefix="smolfusion-bench-"))
    line = [sys.executable, "-m", "smolfusion_ros.bringup", "--namespace", NAMESPACE, "--video", video]
    line += [*(["--llm-port", str(LLM_PORT)] if llm else []), "--vlm-port", str(VLM_PORT)]
    line += [*(["--gateway-port", str(GATEWAY_PORT)] if gateway else ["--no-gateway"]), *options]
    log = directory / "stack.log"
    with log.open("wb") as output:
        variables = {**os.environ, "XDG_DATA_HOME": str(directory), "XDG_STATE_HOME": str(directory)}
        runner = subprocess.Popen(line, stdout=output, stderr=subprocess.STDOUT, env=variables, start_new_session=True)
    try:
        yield Stack(runner, log)
    finally:
        runner.send_signal(signal.SIGINT)
        try:
            runner.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(runner.pid, signal.SIGKILL)


def wait_for_log(stack: Stack, words: Sequence[str], timeout_s: float = 60.0) -> None:
    """Until the stack's log holds every word."""
    end_s = time.monotonic() + timeout_s
    while not all(word in stack.log.read_text(errors="replace") for word in words):
        if time.monotonic() > end_s:
            raise TimeoutError(f"the stack is not ready: see {stack.log}")
        time.sleep(0.2)
