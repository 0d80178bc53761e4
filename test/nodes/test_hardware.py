"""The monitor's tasks of the machine itself, and the reports that it keeps in a file."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.metrics.recording import read_recording
from smolfusion_ros.metrics.thermal import Sensors
from smolfusion_ros.nodes.monitor import MonitorConfig, MonitorNode

NAMESPACE = f"/hot{os.getpid()}"
DOMAIN_ID = 82
WAIT_S = 15.0
LINE = "RAM 1/2MB EMC_FREQ 61%@2133 GR3D_FREQ 99%@[612] gpu@58.625C tj@59C VDD_IN 14025mW/14416mW VDD_SOC 2000mW/2000mW"


class Watched:
    """A monitor whose diagnostics are heard."""

    def __init__(self, *parameters: str) -> None:
        arguments = ["--ros-args", "-r", f"__ns:={NAMESPACE}"]
        for each in ("llm_url:=http://127.0.0.1:9", "vlm_url:=http://127.0.0.1:9", "period_s:=0.2", *parameters):
            arguments += ["-p", each]
        rclpy.init(args=arguments, domain_id=DOMAIN_ID)
        self.told: dict[str, DiagnosticStatus] = {}
        self.node = Node("listener")
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.executor = SingleThreadedExecutor()
        self.monitor = MonitorNode()
        for node in (self.node, self.monitor):
            self.executor.add_node(node)

    def close(self) -> None:
        self.monitor.close()
        self.executor.shutdown()
        for node in (self.monitor, self.node):
            node.destroy_node()
        rclpy.shutdown()

    def until(self, true: Callable[[], Any]) -> Any:
        end = time.monotonic() + WAIT_S
        while not (found := true()):
            assert time.monotonic() < end, f"told: {self.told}"
            self.executor.spin_once(timeout_sec=0.02)
        return found

    def status(self, task: str, level: bytes, text: str) -> dict[str, str]:
        """Wait until the monitor tells this of a concern; its figures."""

        def told() -> bool:
            status = self.told.get(f"{NAMESPACE[1:]}/monitor: {task}")
            return status is not None and status.level == level and text in status.message

        self.until(told)
        return {each.key: each.value for each in self.told[f"{NAMESPACE[1:]}/monitor: {task}"].values}

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        self.told.update({status.name: status for status in array.status})


@contextmanager
def watched(*parameters: str) -> Iterator[Watched]:
    made = Watched(*parameters)
    try:
        yield made
    finally:
        made.close()


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")


def test_temperatures_and_power_are_told_and_a_hot_part_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = tmp_path / "class/thermal/thermal_zone0"
    write(zone, type="tj-thermal", temp=61000)
    write(tmp_path / "class/hwmon/hwmon1", name="ina3221", in1_label="VDD_IN", in1_input=5000, curr1_input=1500)
    with watched("temperature_warn_c:=80.0") as robot:
        monkeypatch.setattr(robot.monitor._hardware, "_sensors", Sensors(sysfs=tmp_path))
        assert robot.status("temperatures", DiagnosticStatus.OK, "61 °C at the hottest (tj)")["tj_c"] == "61"
        assert robot.status("power", DiagnosticStatus.OK, "7.5 W (VDD_IN)")["VDD_IN_mw"] == "7500"
        write(zone, temp=85000)
        robot.status("temperatures", DiagnosticStatus.WARN, "85 °C at the hottest (tj), more than 80 °C")


def test_a_machine_without_sensors_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched() as robot:
        monkeypatch.setattr(robot.monitor._hardware, "_sensors", Sensors(sysfs=tmp_path))
        robot.status("temperatures", DiagnosticStatus.OK, "no sensor can be read")
        robot.status("power", DiagnosticStatus.OK, "no sensor can be read")
        assert "memory_controller_percent" not in robot.status("gpu", DiagnosticStatus.OK, "")


def test_tegrastats_tells_what_sysfs_does_not_and_ends_with_the_monitor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tegrastats"
    program.write_text(f"#!/bin/sh\nwhile echo '{LINE}'; do sleep 0.2; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with watched("tegrastats:=true") as robot:
        monkeypatch.setattr(robot.monitor._hardware, "_sensors", Sensors(sysfs=tmp_path))
        values = robot.status("gpu", DiagnosticStatus.OK, "99 % busy")
        assert values["memory_controller_percent"] == "61"
        robot.status("power", DiagnosticStatus.OK, "14.0 W (VDD_IN)")
        robot.status("temperatures", DiagnosticStatus.OK, "59 °C at the hottest (tj)")
        process = robot.monitor._hardware._tegrastats._process
        assert process.poll() is None
    assert process.poll() is not None


def test_every_report_is_kept_and_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "run.csv"
    with watched(f"record_file:={file}") as robot:
        robot.status("recording", DiagnosticStatus.OK, f"reports in {file}")
        robot.until(lambda: len(read_recording(file)) >= 3)
        row = read_recording(file)[-1]
        assert row["time_s"] == pytest.approx(time.time(), abs=5.0)
        assert row["monitor.memory_mib"] > 10.0
        for each in file.parent.iterdir():
            each.unlink()
        file.parent.rmdir()
        file.parent.write_text("in the way")
        robot.status("recording", DiagnosticStatus.ERROR, "run.csv cannot be written")
        file.parent.unlink()
        robot.status("recording", DiagnosticStatus.OK, "reports in")


def test_a_recording_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ends with neither"):
        MonitorConfig(record_file="run.txt")
