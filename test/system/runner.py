"""``python -m smolfusion_ros.bringup`` as a person starts it: the stack's processes as Circus keeps them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from system.probe import Probe, until
from system.stack import END_S, START_S, Workplace, answers

NODES = ("video_source", "motion_gate", "perception", "dialogue", "memory", "monitor", "gateway")
PROCESSES = ("llm_backend", "vlm_backend", *NODES)


class Runner:
    """The runner's process, its children, and a probe.

    Args:
        options: of the command line, besides the profile, the provider and the rendered visit.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self.workplace = Workplace(directory)
        line = [sys.executable, "-m", "smolfusion_ros.bringup", "--profile", self.workplace.profile]
        line += ["--gateway-port", str(self.workplace.gateway_port)]
        line += ["--provider", "xllamacpp", "--video", "rendered:visit", *options]
        self.process = self.workplace.start("runner", line)
        self.probe = Probe(self.workplace.domain_id)
        ports = {"llm_backend": self.workplace.llm_port, "vlm_backend": self.workplace.vlm_port}
        # A backend's port stands in its command line before and after it becomes the server.
        self._signs = {name: f"--port {port}" for name, port in ports.items()}
        self._signs |= {name: f"smolfusion_ros.nodes.{name}" for name in NODES}

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def pids(self) -> dict[str, int]:
        """The stack's processes that are there, by name."""
        found = {}
        for child in self.children():
            try:
                line = " ".join(child.cmdline())
            except psutil.Error:
                continue
            found |= {name: child.pid for name, sign in self._signs.items() if sign in line}
        return found

    def wait_until_ready(self) -> None:
        """All processes are there, the dialogue is warm, and the vision-language model sees something."""
        ports = self.workplace.llm_port, self.workplace.vlm_port
        until(lambda: set(self.probe.node.get_node_names()) >= set(NODES), "all nodes", START_S)
        until(lambda: all(answers(f"http://127.0.0.1:{port}/v1/models") for port in ports), "both backends", START_S)
        until(lambda: "]: ready\n" in self.workplace.log("runner").read_text(), "a warm dialogue", START_S)
        self.probe.heard("scene").wait_for(lambda scene: scene.source == "vlm", START_S)

    def close(self) -> None:
        """End all in order, as those that are killed leave their shared memory behind; whatever is left then, goes."""
        self.probe.close()
        if self.process.poll() is None:
            children = self.children()
            self.process.terminate()
            try:
                self.process.wait(END_S)
            except subprocess.TimeoutExpired:
                for process in [*children, self.process]:
                    with suppress(psutil.Error):
                        process.kill()
                self.process.wait(END_S)
