"""The monitor beside real nodes: who lives, what they cost, and what watching them costs."""

import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from smolfusion_ros.msg import MotionState, PerformanceReport, ProcessUsage

from smolfusion_ros.nodes import _qos
from system.probe import Heard
from system.stack import END_S, Stack, running

pytestmark = pytest.mark.system

NODES = ("memory", "monitor")
MISSED_S = 6.0
BACK_S = 10.0
FRAMES, RATE_HZ = 90, 30.0
MAX_CPU_PERCENT = 3.0
SERVER = "import socket, time; server = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("monitor"), *NODES, nodes=NODES) as started:
        yield started


@pytest.fixture(scope="module")
def backend(stack: Stack) -> Iterator[subprocess.Popen[bytes]]:
    """A server in the language model's place."""
    process = subprocess.Popen([sys.executable, "-c", SERVER.format(port=stack.workplace.llm_port)])
    yield process
    process.kill()
    process.wait(END_S)


@pytest.fixture(scope="module")
def reports(stack: Stack) -> Heard:
    heard = Heard("performance")
    stack.probe.node.create_subscription(PerformanceReport, "performance", heard.take, _qos.PERFORMANCE)
    return heard


def usages(report: PerformanceReport) -> dict[str, ProcessUsage]:
    return {usage.name: usage for usage in report.processes}


def test_every_node_and_a_local_backend_are_measured(
    stack: Stack, reports: Heard, backend: subprocess.Popen[bytes]
) -> None:
    stack.probe.wait_for_status("monitor: nodes", lambda status: status.level == DiagnosticStatus.OK)
    report = reports.wait_for(lambda report: usages(report).keys() == {*NODES, "llm_backend"}).message
    pids = {**stack.pids(), "llm_backend": backend.pid}
    for name, usage in usages(report).items():
        print(f"{name}: {usage.cpu_percent:.0f} %, {usage.memory_bytes / 2**20:.0f} MiB, {usage.open_files} files")
        assert usage.pid == pids[name]
        assert 2**20 < usage.memory_bytes <= psutil.Process(usage.pid).memory_info().rss * 1.1
        assert usage.threads >= 1
        assert usage.open_files > 3


def test_watching_a_camera_at_30_hz_costs_little(stack: Stack, reports: Heard) -> None:
    motions = stack.probe.publisher(MotionState, "motion", _qos.SENSOR)
    process = psutil.Process(stack.processes["monitor"].pid)
    before, begun_s = process.cpu_times(), time.monotonic()
    for index in range(FRAMES):
        motion = MotionState(frames_seen=index, frames_forwarded=index // 10)
        motion.header.stamp = stack.probe.node.get_clock().now().to_msg()
        motions.publish(motion)
        time.sleep(max(0.0, begun_s + (index + 1) / RATE_HZ - time.monotonic()))
    after, elapsed_s = process.cpu_times(), time.monotonic() - begun_s
    percent = 100.0 * (after.user + after.system - before.user - before.system) / elapsed_s
    print(f"monitor: {percent:.1f} % of a core at {FRAMES / elapsed_s:.0f} frames a second")
    status, _ = stack.probe.wait_for_status("monitor: gate rate", lambda status: status.level == DiagnosticStatus.OK)
    assert float(next(each.value for each in status.values if each.key == "rate_hz")) == pytest.approx(30.0, abs=5.0)
    skipped = reports.wait_for(since=len(reports)).message.gate_skipped_fraction
    assert skipped == pytest.approx(0.9, abs=0.05)
    assert percent < MAX_CPU_PERCENT


def test_a_backend_that_ends_is_reported_no_more(reports: Heard, backend: subprocess.Popen[bytes]) -> None:
    backend.kill()
    backend.wait(END_S)
    reports.wait_for(lambda report: "llm_backend" not in usages(report), since=len(reports))


def test_a_killed_node_is_named_and_welcomed_back(stack: Stack) -> None:
    stack.kill("memory")
    lost, lost_s = stack.probe.wait_for_status("monitor: nodes", lambda status: status.level == DiagnosticStatus.ERROR)
    stack.start("memory")
    _, back_s = stack.probe.wait_for_status("monitor: nodes", lambda status: status.level == DiagnosticStatus.OK)
    print(f"memory killed: told after {lost_s:.1f} s ({lost.message}); back {back_s:.1f} s after it was ready")
    assert lost.message == "not heard of any more: memory"
    assert lost_s < MISSED_S
    assert back_s < BACK_S
