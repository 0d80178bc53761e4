"""Figures for Prometheus: what was asked and said, how long stages take, and what is up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from pydantic import BaseModel

from smolfusion_ros.gateway.hub import Hub
from smolfusion_ros.gateway.schemas import Health
from smolfusion_ros.gateway.values import (
    Command,
    CommandStatus,
    Diagnostics,
    EmergencyStop,
    Motion,
    Performance,
    Scene,
    Turn,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Names come from other processes; a flood of them must not become a flood of time series.
MAX_NAMES = 64
BACKENDS = ("llm", "vlm")
_METHODS = frozenset({"GET", "POST", "DELETE", "HEAD", "OPTIONS"})
_QUANTILES = (("0.5", "p50_ms"), ("0.95", "p95_ms"), ("0.99", "p99_ms"))
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Measures:
    """Counts events and requests; the rest is read from the newest state when it is asked for.

    Args:
        health: asked at each scrape.
    """

    def __init__(self, hub: Hub, health: Callable[[], Health]) -> None:
        self._hub = hub
        self._health = health
        self._registry = registry = CollectorRegistry()
        self._names: set[str] = set()
        self._requests = Counter(
            "smolfusion_http_requests", "HTTP requests", ("method", "route", "status"), registry=registry
        )
        self._request_s = Histogram(
            "smolfusion_http_request_seconds",
            "Time to the end of an answer",
            ("route",),
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._turns = Counter("smolfusion_turns", "Turns", ("source", "interrupted"), registry=registry)
        self._failed = Counter("smolfusion_failed_turns", "Turns the model gave no answer to", registry=registry)
        self._rejected = Counter("smolfusion_rejected_commands", "Commands that were not published", registry=registry)
        self._commands = Counter("smolfusion_commands", "Commands published", ("action",), registry=registry)
        self._statuses = Counter("smolfusion_command_statuses", "States of commands", ("state",), registry=registry)
        self._scenes = Counter("smolfusion_scenes", "Scenes seen", ("source",), registry=registry)
        registry.register(self)
        hub.observers.append(self.on_event)

    def on_event(self, _name: str, value: BaseModel) -> None:
        """Count what has happened."""
        if isinstance(value, Turn):
            self._turns.labels(self._bounded(value.source), str(value.interrupted).lower()).inc()
            self._failed.inc(bool(value.error))
            self._rejected.inc(len(value.rejected))
        elif isinstance(value, Command):
            self._commands.labels(self._bounded(value.name)).inc()
        elif isinstance(value, CommandStatus):
            self._statuses.labels(self._bounded(value.state)).inc()
        elif isinstance(value, Scene):
            self._scenes.labels(self._bounded(value.source)).inc()

    def on_request(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count an answered request; status 0 is a client that went away before."""
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        self._request_s.labels(route).observe(took_s)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The figures that are read from the newest state."""
        up = {name: self._is_up(name) for name in BACKENDS}
        yield _gauge("smolfusion_backend_up", "Whether a model's server answers", "backend", up)
        alive = {name: presence == "alive" for name, presence in self._health().nodes.items()}
        yield _gauge("smolfusion_node_up", "Whether a node is heard", "node", alive)
        yield from self._performance()
        yield from self._frames()
        stop = self._hub.newest("emergency_stop", EmergencyStop)
        engaged = stop is not None and stop.engaged
        yield GaugeMetricFamily("smolfusion_emergency_stop_engaged", "Whether commands are held back", value=engaged)
        yield GaugeMetricFamily("smolfusion_streams", "Open streams", value=self._hub.streams)
        skipped = "State events that readers of closed streams were too slow for"
        yield CounterMetricFamily("smolfusion_stream_events_skipped", skipped, value=self._hub.skipped)
        too_slow = "Streams ended since their reader was too slow for a conversation"
        yield CounterMetricFamily("smolfusion_streams_too_slow", too_slow, value=self._hub.too_slow)

    def _performance(self) -> Iterator[Metric]:
        performance = self._hub.newest("performance", Performance)
        if performance is None:
            return
        seconds = GaugeMetricFamily(
            "smolfusion_stage_seconds", "Duration of a stage over the monitor's window", labels=("stage", "quantile")
        )
        for stage in performance.stages:
            for quantile, field in _QUANTILES:
                seconds.add_metric((stage.name, quantile), getattr(stage, field) * 1e-3)
        yield seconds
        counts = {stage.name: stage.count for stage in performance.stages}
        yield _gauge("smolfusion_stage_samples", "Samples in the monitor's window", "stage", counts)
        cpu = {process.name: process.cpu_percent * 1e-2 for process in performance.processes}
        yield _gauge("smolfusion_process_cpu_cores", "CPU use of a process", "process", cpu)
        memory = {process.name: process.memory_bytes for process in performance.processes}
        yield _gauge("smolfusion_process_memory_bytes", "Memory of a process", "process", memory)
        temperatures = performance.temperatures_c
        yield _gauge("smolfusion_temperature_celsius", "What a sensor tells", "sensor", temperatures)
        yield _gauge("smolfusion_power_watts", "What a rail or package draws", "rail", performance.powers_w)

    def _frames(self) -> Iterator[Metric]:
        motion = self._hub.newest("motion", Motion)
        if motion is not None:
            yield CounterMetricFamily("smolfusion_frames_seen", "Camera frames seen", value=motion.frames_seen)
            yield CounterMetricFamily("smolfusion_frames_forwarded", "Keyframes", value=motion.frames_forwarded)

    def _is_up(self, backend: str) -> bool:
        told = self._hub.newest("diagnostics", Diagnostics)
        statuses = told.statuses if told is not None else ()
        return any(each.task == f"{backend} backend" and each.level in ("ok", "warning") for each in statuses)

    def _bounded(self, name: str) -> str:
        if name not in self._names and len(self._names) >= MAX_NAMES:
            return "other"
        self._names.add(name)
        return name


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), float(value))
    return family
