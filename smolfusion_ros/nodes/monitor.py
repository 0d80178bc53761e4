"""Watches the stack: which nodes are alive, how fast each stage is, and what everything costs."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.metrics.frame_counts import FrameCounts
from smolfusion_ros.metrics.gpu import GpuReader
from smolfusion_ros.metrics.latency import LatencyWindows, StageSummary
from smolfusion_ros.metrics.presence import Presence, node_of
from smolfusion_ros.metrics.processes import Listeners, ProcessSampler, Usage
from smolfusion_ros.metrics.recording import check_ending
from smolfusion_ros.metrics.scene_age import SceneAge
from smolfusion_ros.msg import Measurement, MotionState, PerformanceReport, ProcessUsage, Scene, StageLatency, Turn
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._diagnostics import ERROR, OK, WARN, Diagnostics, Status
from smolfusion_ros.nodes._hardware import Hardware
from smolfusion_ros.nodes._messages import seconds, stamp_ns
from smolfusion_ros.nodes._parameters import Parameters, parameter
from smolfusion_ros.nodes._polled import PolledSubscription
from smolfusion_ros.nodes._recorder import Recorder
from smolfusion_ros.nodes._run import run
from smolfusion_ros.nodes._steady import steady_timer

HEAR_PERIOD_S = 1.0
# All diagnostics of a robot in a second; what is more is lost.
DIAGNOSTICS = QoSProfile(depth=200)
# The writer's replay of turns from before this node's start is no news, and not for a reader that is volatile.
TURN = QoSProfile(depth=_qos.TURN.depth)
REMEMBERED_TURNS = 100
# A frame that is older when its scene comes was latched, or a clock was set.
MAX_SCENE_DELAY_S = 60.0
FIRST_TOKEN, VLM, SCENE = "dialogue.first_token", "perception.vlm", "perception.scene"


@dataclass(frozen=True)
class MonitorConfig:
    """Parameters of the node."""

    llm_url: str = parameter(
        "http://127.0.0.1:8080",
        "Base URL of the language model's server; a local one's process is watched",
        read_only=True,
    )
    vlm_url: str = parameter(
        "http://127.0.0.1:8081", "Base URL of the vision-language model's server, likewise", read_only=True
    )
    nodes: str = parameter(
        "motion_gate,perception,dialogue,memory", "Nodes of this namespace that should be alive, comma-separated"
    )
    period_s: float = parameter(1.0, "Time between two reports, seconds", minimum=0.2, maximum=60.0, read_only=True)
    window_s: float = parameter(
        300.0,
        "Time that percentiles and fractions are taken over, seconds",
        minimum=1.0,
        maximum=86400.0,
        read_only=True,
    )
    silent_after_s: float = parameter(
        3.0, "A node or camera not heard of for longer is reported, seconds", minimum=2.5, maximum=60.0
    )
    first_token_warn_ms: float = parameter(
        1000.0, "Median time to the first token that is reported, milliseconds", minimum=1.0, maximum=60000.0
    )
    scene_age_warn_s: float = parameter(15.0, "Age of the scene that is reported, seconds", minimum=1.0, maximum=3600.0)
    temperature_warn_c: float = parameter(
        90.0, "Temperature of the hottest part that is reported, degrees Celsius", minimum=20.0, maximum=150.0
    )
    tegrastats: bool = parameter(
        False, "Run a Jetson's tegrastats, which alone tells the load of the memory controller", read_only=True
    )
    record_file: str = parameter(
        "", "Keep every report in this file, .csv or .jsonl, for the executable `report`; empty: none", read_only=True
    )
    record_max_mib: int = parameter(
        16, "Size at which the file begins anew; the one before is kept, MiB", minimum=1, maximum=4096, read_only=True
    )

    def __post_init__(self) -> None:
        for name in ("llm_url", "vlm_url"):
            address_of(name, getattr(self, name))
        if self.record_file:
            check_ending(Path(self.record_file))

    @property
    def expected(self) -> tuple[str, ...]:
        """``nodes`` as names."""
        return tuple(name.strip() for name in self.nodes.split(",") if name.strip())


class MonitorNode(Node):
    """``turn``, ``scene``, ``motion`` and ``/diagnostics`` to ``performance`` and diagnostics of the whole stack."""

    def __init__(self) -> None:
        super().__init__("monitor")
        self._config = Parameters(self, MonitorConfig())
        config = self._config.value
        self._backends = {
            f"{role}_backend": address_of(f"{role}_url", url)
            for role, url in (("llm", config.llm_url), ("vlm", config.vlm_url))
        }
        self._begun_s = monotonic()
        self._latencies = LatencyWindows(max_age_s=config.window_s)
        self._frames = FrameCounts(window_s=config.window_s)
        self._presence, self._scene_age = Presence(), SceneAge()
        self._sampler, self._listeners, self._gpu = ProcessSampler(), Listeners(), GpuReader()
        self._usages: list[Usage] = []
        self._turn_ids: deque[str] = deque(maxlen=REMEMBERED_TURNS)
        self._performance = self.create_publisher(PerformanceReport, "performance", _qos.PERFORMANCE)
        self._statuses = PolledSubscription(self, DiagnosticArray, "/diagnostics", DIAGNOSTICS)
        self._motion = PolledSubscription(self, MotionState, "motion", _qos.SENSOR)
        self.create_subscription(Turn, "turn", self._on_turn, TURN)
        self.create_subscription(Scene, "scene", self._on_scene, _qos.LATCHED)
        diagnostics = Diagnostics(self)
        diagnostics.add("nodes", self._nodes_status)
        diagnostics.add("first token", self._first_token_status)
        diagnostics.add("scene age", self._scene_age_status)
        diagnostics.add("gate rate", self._gate_rate_status)
        diagnostics.add("processes", self._processes_status)
        self._hardware = Hardware(diagnostics, lambda: self._config.value.temperature_warn_c, config.tegrastats)
        self._recorder = None
        if config.record_file:
            file = Path(config.record_file).expanduser()
            self._recorder = Recorder(diagnostics, file, config.record_max_mib * 2**20)
        for period_s, callback in ((HEAR_PERIOD_S, self._hear), (config.period_s, self._report)):
            steady_timer(self, period_s, callback)

    def close(self) -> None:
        self._hardware.close()

    def _on_turn(self, turn: Turn) -> None:
        if turn.id in self._turn_ids:
            return
        self._turn_ids.append(turn.id)
        for stage in turn.stages:
            self._latencies.add(f"dialogue.{stage.name}", seconds(stage.duration))

    def _on_scene(self, scene: Scene) -> None:
        delay_s = (self.get_clock().now().nanoseconds - stamp_ns(scene.header.stamp)) * 1e-9
        self._scene_age.on_scene(stamp_ns(scene.header.stamp), delay_s)
        if delay_s > min(MAX_SCENE_DELAY_S, monotonic() - self._begun_s):
            return
        self._latencies.add(SCENE, delay_s)
        if scene.source == "vlm":
            self._latencies.add(VLM, seconds(scene.vlm_latency))

    def _hear(self) -> None:
        for motion in self._motion.take():
            self._frames.update(motion.frames_seen, motion.frames_forwarded)
            self._scene_age.on_motion(
                stamp_ns(motion.header.stamp),
                motion.frames_forwarded,
                at_rest=not (motion.active or motion.camera_moving),
            )
        for array in self._statuses.take():
            for status in array.status:
                values = ((each.key, each.value) for each in status.values)
                found = node_of(status.name, status.hardware_id, values, self.get_namespace())
                if found is not None:
                    self._presence.heard(found.node, found.pid)

    def _report(self) -> None:
        self._usages = self._sampler.sample(self._pids())
        gpu = self._hardware.read(self._gpu.read())
        report = PerformanceReport(
            stages=[_stage_message(each) for each in self._latencies.summaries()],
            processes=[_process_message(each) for each in self._usages],
            gpu_percent=gpu.percent,
            gpu_memory_bytes=gpu.memory_bytes,
            gate_skipped_fraction=self._frames.skipped_fraction,
            temperatures_c=_measurements(self._hardware.temperatures_c),
            powers_w=_measurements(self._hardware.powers_w),
        )
        report.header.stamp = self.get_clock().now().to_msg()
        self._performance.publish(report)
        if self._recorder is not None:
            self._recorder.write(report, self._hardware.row(), self._scene_age.age_s)

    def _pids(self) -> dict[str, int]:
        pids = self._presence.pids()
        for name, (host, port) in self._backends.items():
            pid = self._listeners.listener_of(host, port)
            if pid is not None:
                pids[name] = pid
        pids[self.get_name()] = os.getpid()
        return pids

    def _nodes_status(self) -> Status:
        config = self._config.value
        silent_s = {name: self._presence.silent_s(name) for name in config.expected}
        missing = [name for name, each_s in silent_s.items() if each_s is None]
        silent = [name for name, each_s in silent_s.items() if each_s is not None and each_s > config.silent_after_s]
        values = {f"{name}.silent_s": "never heard" if each_s is None else each_s for name, each_s in silent_s.items()}
        said = [f"not heard of any more: {', '.join(silent)}"] if silent else []
        said += [f"not heard of yet: {', '.join(missing)}"] if missing else []
        level = ERROR if silent else WARN if missing else OK
        return Status(level, "; ".join(said) or f"{len(silent_s)} nodes are alive", values)

    def _first_token_status(self) -> Status:
        summary = self._latencies.summary(FIRST_TOKEN)
        if summary is None:
            return Status(OK, "no turns yet")
        values = {"p50_ms": summary.p50_ms, "p95_ms": summary.p95_ms, "turns": summary.count}
        text = f"{summary.p50_ms:.0f} ms (p50), {summary.p95_ms:.0f} ms (p95)"
        limit_ms = self._config.value.first_token_warn_ms
        if summary.p50_ms > limit_ms:
            return Status(WARN, f"{text}: slower than {limit_ms:g} ms", values)
        return Status(OK, text, values)

    def _scene_age_status(self) -> Status:
        age_s, limit_s = self._scene_age.age_s, self._config.value.scene_age_warn_s
        if age_s is None:
            return Status(OK, "no scene yet")
        if age_s > limit_s:
            return Status(WARN, f"not confirmed for {age_s:.0f} s, longer than {limit_s:g} s", {"age_s": age_s})
        return Status(OK, f"confirmed {age_s:.1f} s ago", {"age_s": age_s})

    def _gate_rate_status(self) -> Status:
        config, silent_s, rate_hz = self._config.value, self._frames.silent_s, self._frames.rate_hz
        if silent_s is None:
            return Status(WARN if "motion_gate" in config.expected else OK, "no frames yet")
        values = {"rate_hz": rate_hz, "skipped_fraction": self._frames.skipped_fraction}
        if silent_s > config.silent_after_s:
            return Status(WARN, f"no frames for {silent_s:.0f} s", values)
        return Status(OK, f"{rate_hz:.1f} frames per second", values)

    def _processes_status(self) -> Status:
        processes = {each.pid: each for each in self._usages}.values()  # nodes may share one
        cpu_percent = sum(each.cpu_percent for each in processes)
        memory_mib = sum(each.memory_bytes for each in processes) / 2**20
        values = {f"{each.name}.cpu_percent": each.cpu_percent for each in self._usages}
        values |= {f"{each.name}.memory_mib": each.memory_bytes / 2**20 for each in self._usages}
        return Status(OK, f"{len(processes)} processes: {cpu_percent:.0f} % of a core, {memory_mib:.0f} MiB", values)


def address_of(name: str, url: str) -> tuple[str, int]:
    """Host and port of a server's URL.

    Raises:
        ConfigurationError: it is none; names the parameter.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        port = 0
    if not port or not parts.hostname:
        raise ConfigurationError(f"{name} {url!r} is no URL of a server; write it like http://127.0.0.1:8080")
    return parts.hostname, port


def _measurements(values: Mapping[str, float]) -> list[Measurement]:
    return [Measurement(name=name, value=value) for name, value in values.items()]


def _stage_message(summary: StageSummary) -> StageLatency:
    return StageLatency(
        name=summary.name,
        count=summary.count,
        p50_ms=summary.p50_ms,
        p95_ms=summary.p95_ms,
        p99_ms=summary.p99_ms,
    )


def _process_message(usage: Usage) -> ProcessUsage:
    return ProcessUsage(
        name=usage.name,
        pid=usage.pid,
        cpu_percent=usage.cpu_percent,
        memory_bytes=usage.memory_bytes,
        threads=usage.threads,
        open_files=usage.open_files,
    )


def main() -> int:
    return run(MonitorNode)


if __name__ == "__main__":
    raise SystemExit(main())
