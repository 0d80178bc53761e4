"""Keeps the monitor's reports in a file, and says in ``/diagnostics`` whether it can."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import time

from smolfusion_ros.metrics.recording import TIME, Recording, RecordingError
from smolfusion_ros.msg import PerformanceReport
from smolfusion_ros.nodes._diagnostics import ERROR, OK, Diagnostics, Status


class Recorder:
    """Writes a row a report; a full disk stops nothing."""

    def __init__(self, diagnostics: Diagnostics, path: Path, max_bytes: int) -> None:
        self._recording = Recording(path, max_bytes)
        self._trouble = ""
        diagnostics.add("recording", self._status)

    def write(self, report: PerformanceReport, hardware: Mapping[str, float], scene_age_s: float | None) -> None:
        """Keep one report.

        Args:
            hardware: further columns.
            scene_age_s: None where there was no scene.
        """
        row = {TIME: time(), **row_of(report), **hardware}
        if scene_age_s is not None:
            row["scene.age_s"] = scene_age_s
        try:
            self._recording.write(row)
            self._trouble = ""
        except RecordingError as error:
            self._trouble = str(error)

    def _status(self) -> Status:
        values = {"file": self._recording.path, "rows": self._recording.rows}
        if self._trouble:
            return Status(ERROR, self._trouble, values)
        return Status(OK, f"{self._recording.rows} reports in {self._recording.path}", values)


def row_of(report: PerformanceReport) -> dict[str, float]:
    """A report's figures as columns."""
    row = {"gate.skipped_fraction": report.gate_skipped_fraction}
    for each in report.processes:
        row |= {f"{each.name}.cpu_percent": each.cpu_percent, f"{each.name}.memory_mib": each.memory_bytes / 2**20}
    for each in report.stages:
        row |= {f"{each.name}.p50_ms": each.p50_ms, f"{each.name}.p95_ms": each.p95_ms}
    if report.gpu_memory_bytes:
        row["gpu.memory_mib"] = report.gpu_memory_bytes / 2**20
    return row
