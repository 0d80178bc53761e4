"""The monitor node, spinning beside a node that plays the rest of the robot."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from smolfusion_ros.msg import MotionState, PerformanceReport, Scene, StageTime, Turn

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.metrics.gpu import GpuReader
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._diagnostics import Diagnostics, Status
from smolfusion_ros.nodes._messages import duration_message, time_message
from smolfusion_ros.nodes.monitor import MonitorNode, address_of

NAMESPACE = f"/monitored{os.getpid()}"
DOMAIN_ID = 84
SECOND = 1_000_000_000
WAIT_S = 15.0


class Robot:
    """A monitor and a node that publishes what it hears; both spin while the test waits."""

    def __init__(self, parameters: Sequence[str]) -> None:
        arguments = ["--ros-args", "-r", f"__ns:={NAMESPACE}"]
        for each in ("llm_url:=http://127.0.0.1:9", "vlm_url:=http://192.0.2.1:80", "period_s:=0.2", *parameters):
            arguments += ["-p", each]
        rclpy.init(args=arguments, domain_id=DOMAIN_ID)
        self.node = Node("robot")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.turns = self.node.create_publisher(Turn, "turn", _qos.TURN)
        self.scenes = self.node.create_publisher(Scene, "scene", _qos.LATCHED)
        self.motions = self.node.create_publisher(MotionState, "motion", _qos.SENSOR)
        self.statuses = self.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.reports: list[PerformanceReport] = []
        self.told: dict[str, DiagnosticStatus] = {}
        self.node.create_subscription(PerformanceReport, "performance", self.reports.append, 10)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.monitor: MonitorNode | None = None

    def start_monitor(self) -> None:
        self.monitor = MonitorNode()
        self.executor.add_node(self.monitor)
        for publisher in (self.turns, self.scenes, self.motions, self.statuses):
            self.until(lambda publisher=publisher: publisher.get_subscription_count() > 0)
        self.until(lambda: self.reports)

    def close(self) -> None:
        self.executor.shutdown()
        for node in (self.monitor, self.node):
            if node is not None:
                node.destroy_node()
        rclpy.shutdown()

    def until(self, true: Callable[[], Any]) -> Any:
        end = time.monotonic() + WAIT_S
        while not (found := true()):
            assert time.monotonic() < end, f"told: {self.told}; last report: {self.reports[-1:]}"
            self.executor.spin_once(timeout_sec=0.02)
        return found

    def next_report(self) -> PerformanceReport:
        """The second report from now on, which knows all that was published before."""
        known = len(self.reports)
        self.until(lambda: len(self.reports) >= known + 2)
        return self.reports[-1]

    def stages(self) -> dict[str, int]:
        """How many durations the newest report counts, by stage."""
        return {stage.name: stage.count for stage in self.reports[-1].stages}

    def status(self, task: str, level: bytes, text: str = "") -> dict[str, str]:
        """Wait until the monitor tells this of a concern; its figures."""

        def told() -> bool:
            status = self.told.get(f"{NAMESPACE[1:]}/monitor: {task}")
            return status is not None and status.level == level and text in status.message

        self.until(told)
        return {each.key: each.value for each in self.told[f"{NAMESPACE[1:]}/monitor: {task}"].values}

    def now_ns(self) -> int:
        return self.node.get_clock().now().nanoseconds

    def tell_turn(self, turn_id: str, **stages_s: float) -> None:
        turn = Turn(id=turn_id, session_id="s")
        turn.header.stamp = self.node.get_clock().now().to_msg()
        turn.stages = [StageTime(name=name, duration=duration_message(each)) for name, each in stages_s.items()]
        self.turns.publish(turn)

    def tell_scene(self, source: str = "vlm", latency_s: float = 0.4, age_s: float = 0.5) -> None:
        scene = Scene(source=source, vlm_latency=duration_message(latency_s))
        scene.header.stamp = time_message(self.now_ns() - int(age_s * SECOND))
        self.scenes.publish(scene)

    def tell_motion(self, seen: int, forwarded: int, *, active: bool = False) -> None:
        motion = MotionState(frames_seen=seen, frames_forwarded=forwarded, active=active)
        motion.header.stamp = self.node.get_clock().now().to_msg()
        self.motions.publish(motion)

    def tell_status(self, name: str, hardware_id: str = NAMESPACE, pid: str = str(os.getpid())) -> None:
        values = [KeyValue(key="pid", value=pid)]
        status = DiagnosticStatus(name=name, hardware_id=hardware_id, values=values)
        self.statuses.publish(DiagnosticArray(status=[status]))

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        self.told.update({status.name: status for status in array.status})


@contextmanager
def robot(*parameters: str) -> Iterator[Robot]:
    made = Robot(parameters)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def watched() -> Iterator[Robot]:
    with robot() as made:
        made.start_monitor()
        yield made


def test_stages_of_turns_are_told_as_percentiles(watched: Robot) -> None:
    for index, first_token_s in enumerate((0.1, 0.2, 0.3)):
        watched.tell_turn(f"turn{index}", first_token=first_token_s, total=1.0)
    report = (
        watched.until(lambda: watched.stages() == {"dialogue.first_token": 3, "dialogue.total": 3})
        and (watched.reports[-1])
    )
    first_token, total = report.stages
    assert (first_token.p50_ms, first_token.p95_ms) == (pytest.approx(200.0), pytest.approx(290.0))
    assert total.p99_ms == pytest.approx(1000.0)


def test_a_turn_that_comes_twice_counts_once(watched: Robot) -> None:
    for turn_id in ("a", "a", "b", "a"):
        watched.tell_turn(turn_id, total=1.0)
    watched.until(lambda: watched.stages().get("dialogue.total") == 2)
    watched.next_report()
    assert watched.stages() == {"dialogue.total": 2}


def test_turns_from_before_the_start_are_not_counted() -> None:
    with robot() as made:
        for index in range(5):
            made.tell_turn(f"old{index}", total=9.0)
        made.start_monitor()
        made.tell_turn("new", total=1.0)
        made.until(made.stages)
        assert made.next_report().stages[0].p99_ms == pytest.approx(1000.0)
        assert made.stages() == {"dialogue.total": 1}


def test_scenes_tell_what_the_vlm_and_the_whole_way_took(watched: Robot) -> None:
    watched.tell_scene("vlm", 0.4, 0.05)
    watched.until(lambda: watched.stages() == {"perception.scene": 1, "perception.vlm": 1})
    whole, vlm = watched.reports[-1].stages
    assert vlm.p50_ms == pytest.approx(400.0)
    assert 50.0 <= whole.p50_ms < 500.0
    watched.tell_scene("detector", 0.0, 0.05)
    watched.until(lambda: watched.stages() == {"perception.scene": 2, "perception.vlm": 1})


def test_a_scene_from_before_the_start_is_old_but_was_not_slow() -> None:
    with robot() as made:
        made.tell_scene(age_s=40.0)
        made.start_monitor()
        values = made.status("scene age", DiagnosticStatus.WARN, "longer than 15 s")
        assert 40.0 <= float(values["age_s"]) < 60.0
        assert made.stages() == {}


def test_frames_stamped_by_a_clock_that_was_set_spoil_no_figure(watched: Robot) -> None:
    for age_s in (-3600.0, 3600.0, 0.05):
        watched.tell_scene(age_s=age_s)
        watched.next_report()  # only the newest scene is kept until it is heard
    whole, vlm = watched.reports[-1].stages
    assert (whole.count, vlm.count) == (1, 2)  # what the VLM says it took needs no clock
    assert whole.p99_ms < 500.0


def test_a_scene_that_motion_at_rest_confirms_does_not_age(watched: Robot) -> None:
    watched.tell_motion(1, 1)
    watched.tell_scene(age_s=20.0)
    watched.status("scene age", DiagnosticStatus.WARN)
    watched.tell_scene(age_s=0.1)
    watched.tell_motion(2, 1)
    values = watched.status("scene age", DiagnosticStatus.OK, "confirmed")
    assert float(values["age_s"]) < 3.0


def test_frames_are_counted_though_only_the_newest_is_looked_at(watched: Robot) -> None:
    assert watched.status("gate rate", DiagnosticStatus.WARN, "no frames yet")["pid"] == str(os.getpid())
    seen, next_s, end = 5000, time.monotonic(), time.monotonic() + 3.5
    while time.monotonic() < end:
        watched.executor.spin_once(timeout_sec=max(0.0, next_s - time.monotonic()))
        if time.monotonic() >= next_s:
            seen, next_s = seen + 1, next_s + 1 / 30
            watched.tell_motion(seen, seen // 10)
    values = watched.status("gate rate", DiagnosticStatus.OK, "frames per second")
    assert float(values["rate_hz"]) == pytest.approx(30.0, abs=3.0)
    assert watched.next_report().gate_skipped_fraction == pytest.approx(0.9, abs=0.05)
    watched.tell_motion(3, 3)  # a gate that was restarted
    watched.status("gate rate", DiagnosticStatus.OK)
    assert 0.85 < watched.next_report().gate_skipped_fraction < 0.95
    watched.status("gate rate", DiagnosticStatus.WARN, "no frames for")


def test_nodes_are_missed_until_they_are_heard_and_when_they_fall_silent() -> None:
    with robot("nodes:=robot, memory") as made:
        made.start_monitor()
        made.status("nodes", DiagnosticStatus.WARN, "not heard of yet: robot, memory")
        Diagnostics(made.node).add("self", lambda: Status(DiagnosticStatus.OK, "fine"))
        made.tell_status(f"{NAMESPACE[1:]}/memory: store", pid="1")
        values = made.status("nodes", DiagnosticStatus.OK, "2 nodes are alive")
        assert float(values["robot.silent_s"]) < 3.0
        made.status("nodes", DiagnosticStatus.ERROR, "not heard of any more: memory")
        made.tell_status(f"{NAMESPACE[1:]}/memory: store", pid="1")
        made.status("nodes", DiagnosticStatus.OK)


def test_processes_of_nodes_and_of_the_monitor_are_told(watched: Robot) -> None:
    watched.tell_status(f"{NAMESPACE[1:]}/memory: store")
    watched.until(lambda: [each.name for each in watched.reports[-1].processes] == ["memory", "monitor"])
    memory, monitor = watched.reports[-1].processes
    assert (memory.pid, monitor.pid) == (os.getpid(), os.getpid())
    assert memory.memory_bytes == monitor.memory_bytes > 10_000_000
    assert monitor.threads > 1
    assert monitor.open_files > 3
    watched.until(lambda: "memory.memory_mib" in watched.status("processes", DiagnosticStatus.OK))
    values = watched.status("processes", DiagnosticStatus.OK, "1 processes")  # both are this one
    assert float(values["memory.memory_mib"]) == pytest.approx(memory.memory_bytes / 2**20, rel=0.1)


def test_strangers_and_nonsense_on_diagnostics_are_ignored(watched: Robot) -> None:
    ours = NAMESPACE[1:]
    watched.tell_status("battery: voltage", "battery0")
    watched.tell_status(f"{ours}2/memory: store", f"{NAMESPACE}2")
    watched.tell_status(f"{ours}/memory: store", f"{NAMESPACE}2")
    watched.tell_status(f"{ours}/dialogue: llm", pid="soon")
    watched.tell_status(f"{ours}/perception: vlm", pid=str(2**70))
    watched.tell_status("")
    watched.statuses.publish(DiagnosticArray(status=[DiagnosticStatus()]))
    watched.statuses.publish(DiagnosticArray())
    watched.tell_status(f"{ours}/listener: microphone")
    watched.until(lambda: [each.name for each in watched.reports[-1].processes] == ["listener", "monitor"])
    watched.status("nodes", DiagnosticStatus.WARN, "not heard of yet: motion_gate, perception, dialogue, memory")


def test_thresholds_change_while_it_runs(watched: Robot) -> None:
    assert "turns" not in watched.status("first token", DiagnosticStatus.OK, "no turns yet")
    watched.tell_turn("a", first_token=0.5)
    watched.status("first token", DiagnosticStatus.OK, "500 ms (p50)")
    changed = Parameter("first_token_warn_ms", value=400.0)
    assert watched.monitor.set_parameters([changed])[0].successful
    values = watched.status("first token", DiagnosticStatus.WARN, "slower than 400 ms")
    assert (values["p50_ms"], values["turns"]) == ("500", "1")
    assert watched.monitor.set_parameters([Parameter("nodes", value="robot")])[0].successful
    watched.status("nodes", DiagnosticStatus.WARN, "not heard of yet: robot")
    assert not watched.monitor.set_parameters([Parameter("llm_url", value="http://127.0.0.1:1")])[0].successful


def test_simulated_time_that_stands_still_stops_nothing() -> None:
    with robot("use_sim_time:=true") as made:
        made.start_monitor()
        made.tell_turn("a", total=1.0)
        made.until(lambda: made.stages() == {"dialogue.total": 1})
        assert (made.reports[-1].header.stamp.sec, made.reports[-1].header.stamp.nanosec) == (0, 0)
        made.tell_scene(age_s=0.0)
        made.until(lambda: made.stages().get("perception.vlm") == 1)
        made.status("scene age", DiagnosticStatus.OK, "confirmed")


def test_the_gpu_is_told_and_marked_where_it_is_not_known(
    watched: Robot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = tmp_path / "devices" / "gpu.0" / "load"
    load.parent.mkdir(parents=True)
    load.write_text("345\n")
    monkeypatch.setattr(watched.monitor, "_gpu", GpuReader(sysfs=tmp_path))
    assert watched.next_report().gpu_percent == pytest.approx(34.5)
    load.write_text("")
    report = watched.next_report()
    assert isnan(report.gpu_percent)
    assert report.gpu_memory_bytes == 0


def test_hosts_and_ports_come_from_urls() -> None:
    assert address_of("llm_url", "http://127.0.0.1:8080") == ("127.0.0.1", 8080)
    assert address_of("llm_url", "http://localhost:8080/v1/") == ("localhost", 8080)
    assert address_of("llm_url", "https://llm.example.com/v1") == ("llm.example.com", 443)
    assert address_of("llm_url", "http://[::1]:8080") == ("::1", 8080)


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8080", "http://", "http://host:port", "http://host:99999", "ftp://host"]
)
def test_a_url_that_is_none_is_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigurationError, match="vlm_url"):
        address_of("vlm_url", url)
    with robot(f"vlm_url:='{url}'"), pytest.raises(ConfigurationError, match="vlm_url"):
        MonitorNode()
