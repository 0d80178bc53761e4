"""Starts the stack's processes with the command lines of the runner, and sees to it that they all end."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from smolfusion_ros.bringup import stack
from smolfusion_ros.bringup.paths import profile_path
from smolfusion_ros.bringup.profile import load_profile
from smolfusion_ros.bringup.runner import command
from smolfusion_ros.llama.manifest import cache_directory
from system.probe import Probe, until

START_S = 60.0
END_S = 10.0
# Ports and domains of this suite; a lane is one domain and three ports.
FIRST_PORT, FIRST_DOMAIN, LANES = 19200, 100, 50
FIRST_GATEWAY_PORT = FIRST_PORT + 2 * LANES
_lanes = itertools.count(os.getpid())

# What DDS needs in this process too, before its first participant is made.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.pop("ROS_LOCALHOST_ONLY", None)


def free_lane() -> tuple[int, int, int]:
    """A domain id nobody of this suite uses, and ports for the language and the vision-language model."""
    for _ in range(LANES):
        lane = next(_lanes) % LANES
        ports = FIRST_PORT + 2 * lane, FIRST_PORT + 2 * lane + 1
        if all(_is_free(port) for port in ports):
            return FIRST_DOMAIN + 2 * lane, *ports
    raise RuntimeError(f"all ports from {FIRST_PORT} on are taken")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Workplace:
    """Directories, environment and profile of one stack, apart from the user's own.

    Attributes:
        directory: everything the stack may write lies under it, in ``data``, ``state``, ``logs``, ``tmp``, ``cwd`` and
            ``home``.
        domain_id: ROS domain.
        environment: of its processes.
        profile: path of the profile, ``embedded`` with other ports.
    """

    def __init__(self, directory: Path, beside: Workplace | None = None, **llm: Any) -> None:
        """Make the directories and the profile.

        Args:
            beside: another stack's, of the same user on the same machine: its domain, home and data are this one's too.
            llm: fields of the profile's language model.
        """
        self.directory = directory
        self.domain_id, self.llm_port, self.vlm_port = free_lane()
        self.gateway_port = FIRST_GATEWAY_PORT + (self.llm_port - FIRST_PORT) // 2
        for name in ("data", "state", "logs", "tmp", "cwd", "home"):
            (directory / name).mkdir(parents=True)
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("COV_", "PYTEST_"))},
            "ROS_DOMAIN_ID": str(self.domain_id),
            "ROS_LOG_DIR": str(directory / "logs" / "ros"),
            "SMOLFUSION_MODELS": str(os.environ.get("SMOLFUSION_MODELS") or cache_directory()),
            "HOME": str(directory / "home"),
            "XDG_DATA_HOME": str(directory / "data"),
            "XDG_STATE_HOME": str(directory / "state"),
            "TMPDIR": str(directory / "tmp"),
            "PYTHONUNBUFFERED": "1",
        }
        if beside is not None:
            self.domain_id = beside.domain_id
            shared = ("ROS_DOMAIN_ID", "HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
            self.environment |= {name: beside.environment[name] for name in shared}
        content = yaml.safe_load(profile_path("embedded").read_text(encoding="utf-8"))
        content["llm"].update(port=self.llm_port, **llm)
        content["vlm"].update(port=self.vlm_port)
        path = directory / "profile.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        self.profile = str(path)

    @property
    def llm_url(self) -> str:
        return f"http://127.0.0.1:{self.llm_port}"

    def log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"

    def logs(self) -> dict[str, str]:
        """What every process wrote, by name."""
        files = sorted((self.directory / "logs").rglob("*.log"))
        return {file.name: file.read_text(encoding="utf-8", errors="replace") for file in files}

    def start(
        self, name: str, line: Sequence[str], environment: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a process whose output goes to ``log(name)``.

        Args:
            environment: variables besides those of the workplace.
        """
        with self.log(name).open("ab") as log:
            return subprocess.Popen(
                line,
                env={**self.environment, **(environment or {})},
                cwd=self.directory / "cwd",
                stdout=options.pop("stdout", log),
                stderr=log,
                start_new_session=True,
                **options,
            )

    def check_logs(self) -> None:
        """No process told of a failure that nobody handled."""
        for name, text in self.logs().items():
            assert "Traceback" not in text, f"{name}:\n{text[-3000:]}"
            assert "exception was never retrieved" not in text, f"{name}:\n{text[-3000:]}"


class Stack:
    """The processes of one stack, a probe and a camera."""

    def __init__(self, workplace: Workplace, **options: Any) -> None:
        self.workplace = workplace
        self.options = stack.Options(**{"gateway_port": workplace.gateway_port, **options})
        profile = load_profile(workplace.profile).on_ports(llm=self.options.llm_port, vlm=self.options.vlm_port)
        self._described = {each.name: each for each in stack.describe(profile, workplace.profile, self.options)}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ready_when: dict[str, Callable[[], bool]] = {}
        self.probe = Probe(workplace.domain_id, self.options.namespace)
        self._cameras: list[Camera] = []

    def start(self, *names: str) -> None:
        """Start processes (all by default) and wait until they are ready."""
        begun = time.monotonic()
        for name in names or self._described:
            ready = self._readiness(name)
            process = self._described[name]
            self.processes[name] = self.workplace.start(name, command(process, self.options), process.environment)
            self._ready_when[name] = ready
        for name in names or self._described:
            until(lambda name=name: self._is_ready(name), f"{name} is ready", START_S, 0.05)
        print(f"\n{', '.join(names or ('stack',))}: ready after {time.monotonic() - begun:.1f} s")

    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self.processes.items()}

    def kill(self, name: str) -> None:
        """SIGKILL a process, as the kernel does when memory runs out."""
        process = self.processes.pop(name)
        process.kill()
        process.wait(END_S)

    def terminate(self, name: str) -> None:
        """SIGTERM to a process, and wait for its end in order."""
        codes = end_processes({name: self.processes.pop(name)})
        assert codes == {name: 0}, self.workplace.log(name).read_text()

    def restart(self, name: str) -> None:
        """SIGKILL a process and start it again."""
        self.kill(name)
        self.start(name)

    def camera(self) -> Camera:
        """A camera in a process of its own."""
        self._cameras.append(Camera(self.workplace, self.options.namespace))
        return self._cameras[-1]

    def is_generating(self, http: httpx.Client) -> bool:
        """The native language model server is at work."""
        return any(slot["is_processing"] for slot in http.get(f"{self.workplace.llm_url}/slots").json())

    def end(self) -> None:
        """SIGTERM to all; nothing may be left, and every one must end in order."""
        for camera in self._cameras:
            camera.end()
        self.probe.close()
        pids = self.pids()
        codes = end_processes(self.processes)
        assert codes == dict.fromkeys(codes, 0), f"exit codes {codes}: {self.workplace.logs()}"
        assert_gone(pids)
        self.workplace.check_logs()

    def _readiness(self, name: str) -> Callable[[], bool]:
        """Tells whether the process that is about to be started is ready."""
        if name.endswith("_backend"):
            port = self.workplace.llm_port if name == "llm_backend" else self.workplace.vlm_port
            return lambda: answers(f"http://127.0.0.1:{port}/v1/models")
        # One that was killed stays in the graph until its lease is over, which may be just now.
        nodes, log = self.probe.node.get_node_names, self.workplace.log(name)
        before, written = nodes().count(name), len(log.read_text()) if log.exists() else 0

        def is_there() -> bool:
            return nodes().count(name) > before or self.probe.has_heard_of(self.processes[name].pid)

        if name == "dialogue" and "llm_backend" in self.processes:
            return lambda: is_there() and any(line.endswith("ready") for line in log.read_text()[written:].splitlines())
        return is_there

    def _is_ready(self, name: str) -> bool:
        code = self.processes[name].poll()
        assert code is None, f"{name} ended with {code}: {self.workplace.log(name).read_text()}"
        return self._ready_when[name]()


class Camera:
    """``camera.py`` as a process: publishes drawn frames of the scene it was last told to show."""

    def __init__(self, workplace: Workplace, namespace: str) -> None:
        line = [sys.executable, str(Path(__file__).with_name("camera.py")), "--ros-args", "-r", f"__ns:={namespace}"]
        self._process = workplace.start(
            "camera", line, stack.camera_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout.readline() == b"ready\n", workplace.log("camera").read_text()

    def show(self, scene: str, frames: int) -> list[int]:
        """Publish frames of a scene at 30 Hz and wait until they are out; their stamps, nanoseconds."""
        self.begin(scene, frames)
        return self.finish()

    def begin(self, scene: str, frames: int = 1_000_000) -> None:
        """Publish frames of a scene meanwhile."""
        self._process.stdin.write(f"{scene} {frames}\n".encode())
        self._process.stdin.flush()

    def finish(self) -> list[int]:
        """Wait until the frames are out."""
        return [int(word) for word in self._process.stdout.readline().split()]

    def stop(self) -> list[int]:
        """End the frames before their number is full."""
        self._process.send_signal(signal.SIGUSR1)
        return self.finish()

    def end(self) -> None:
        """End the process in order: one that is killed leaves its shared memory behind."""
        self._process.send_signal(signal.SIGUSR1)
        try:
            self._process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


@contextmanager
def running(place: Path | Workplace, *names: str, **options: Any) -> Iterator[Stack]:
    """A stack (of the named processes, or all) that is ready, and ended afterwards whatever happens."""
    started = Stack(place if isinstance(place, Workplace) else Workplace(place), **options)
    try:
        started.start(*names)
    except BaseException:
        end_processes(started.processes, signal.SIGKILL)
        started.probe.close()
        raise
    try:
        yield started
    finally:
        started.end()


def end_processes(processes: dict[str, subprocess.Popen[bytes]], number: int = signal.SIGTERM) -> dict[str, int]:
    """Signal all processes and wait; SIGKILL for what does not end. Their exit codes, by name."""
    for process in processes.values():
        if process.poll() is None:
            process.send_signal(number)
    end = time.monotonic() + END_S
    codes = {}
    for name, process in processes.items():
        try:
            codes[name] = process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            codes[name] = process.wait()
    processes.clear()
    return codes


def assert_gone(pids: dict[str, int]) -> None:
    """No process of these is left."""
    left = {name: pid for name, pid in pids.items() if psutil.pid_exists(pid)}
    assert not left, f"left running: {left}"


def answers(url: str) -> bool:
    """A server answers there with 200."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
