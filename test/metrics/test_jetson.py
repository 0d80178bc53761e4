"""Lines of tegrastats that people published (test/data/tegrastats.md), and the program that writes them."""

import os
import time
from math import isnan
from pathlib import Path

import pytest

from smolfusion_ros.metrics.jetson import Tegrastats, parse_tegrastats

DATA = Path(__file__).parents[1] / "data" / "tegrastats.txt"
LINES = dict(line.split(" ", 1) for line in DATA.read_text(encoding="utf-8").splitlines())

POWER_MW = {
    "xavier_agx": {"GPU": 0, "CPU": 311, "SOC": 932, "CV": 0, "VDDRQ": 621, "SYS5V": 1482},
    "xavier_nx": {"VDD_IN": 4067, "VDD_CPU_GPU_CV": 738, "VDD_SOC": 1353},
    "orin_nx_jp5": {"VDD_IN": 5299, "VDD_CPU_GPU_CV": 773, "VDD_SOC": 1424},
    "agx_orin_short": {"VDD_GPU_SOC": 4940, "VDD_CPU_CV": 988, "VIN_SYS_5V0": 4442},
    "agx_orin_jp5": {"VDD_GPU_SOC": 3150, "VDD_CPU_CV": 14312, "VIN_SYS_5V0": 4968, "VDDQ_VDD2_1V8AO": 1091},
    "agx_orin_off": {"VDD_GPU_SOC": 2340, "VDD_CPU_CV": 390, "VIN_SYS_5V0": 4025, "VDDQ_VDD2_1V8AO": 301},
    "agx_orin_jp6": {"VDD_GPU_SOC": 3205, "VDD_CPU_CV": 4405, "VIN_SYS_5V0": 4767},
    "orin_nano_jp6": {"VDD_IN": 5704, "VDD_CPU_GPU_CV": 831, "VDD_SOC": 1624},
    "orin_nano_max": {"VDD_IN": 3582, "VDD_CPU_GPU_CV": 523, "VDD_SOC": 1127},
}
LOADS = {  # GPU, memory controller, its frequency
    "xavier_agx": (0, 0, 665),
    "xavier_nx": (62, 10, 1600),
    "orin_nx_jp5": (0, 0, 2133),
    "agx_orin_jp5": (14, 1, 2133),
    "agx_orin_jp6": (0, 1, 2133),
    "orin_nano_jp6": (0, 4, 2133),
    "orin_nano_max": (0, 5, 665),
}
GPU_CPU_C = {
    "xavier_agx": (37.5, 37.5),
    "xavier_nx": (43.0, 43.5),
    "orin_nx_jp5": (45.875, 47.937),
    "agx_orin_short": (37.75, 42.0),
    "agx_orin_jp5": (69.125, 77.281),
    "agx_orin_off": (None, 44.562),
    "agx_orin_jp6": (47.812, 53.062),
    "orin_nano_jp6": (48.218, 46.531),
    "orin_nano_max": (46.843, 45.812),
}


@pytest.mark.parametrize("board", LINES)
def test_rails_are_told_in_milliwatts_and_unconnected_ones_and_memory_are_none(board: str) -> None:
    assert parse_tegrastats(LINES[board]).power_mw == POWER_MW[board]


@pytest.mark.parametrize("board", LOADS)
def test_loads_of_gpu_and_memory_controller(board: str) -> None:
    usage = parse_tegrastats(LINES[board])
    assert (usage.gpu_percent, usage.emc_percent, usage.emc_mhz) == LOADS[board]


@pytest.mark.parametrize("board", LINES)
def test_temperatures_have_one_name_on_every_release_and_parts_that_are_off_have_none(board: str) -> None:
    temperatures = parse_tegrastats(LINES[board]).temperatures_c
    assert (temperatures.get("gpu"), temperatures["cpu"]) == GPU_CPU_C[board]
    assert "pmic" not in temperatures
    assert all(20.0 < each < 90.0 for each in temperatures.values())


def test_what_is_not_in_the_line_is_not_known() -> None:
    usage = parse_tegrastats(LINES["agx_orin_short"])
    assert usage.gpu_percent == 0.0
    assert isnan(usage.emc_percent)
    for nonsense in ("", "tegrastats: command failed", "RAM 1/2MB GR3D_FREQ"):
        usage = parse_tegrastats(nonsense)
        assert isnan(usage.gpu_percent)
        assert (usage.temperatures_c, usage.power_mw) == ({}, {})


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "tegrastats"
    path.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\nhead -n 2 {DATA} | cut -d" " -f2-\nexec sleep 60\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def test_the_newest_line_of_the_running_program_is_told(program: Path) -> None:
    running = Tegrastats(interval_s=0.5)
    try:
        end = time.monotonic() + 10.0
        while running.read().gpu_percent != 62.0:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert (program / "arguments").read_text() == "--interval 500\n"
    finally:
        running.close()
    assert running._process is not None
    assert running._process.returncode is not None


def test_without_the_program_nothing_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = Tegrastats()
    assert isnan(missing.read().emc_percent)
    missing.close()
