"""The GPU's load and memory, from files in the driver's format and from NVML's calls; what fails is not known."""

import importlib
from collections.abc import Callable
from math import isnan
from pathlib import Path
from types import SimpleNamespace

import pytest
from clock import Clock

from smolfusion_ros.metrics.gpu import RETRY_S, GpuReader, GpuUsage


class Nvml:
    """NVML as ``pynvml`` offers it, with faults on demand; there is no GPU to test with everywhere."""

    class NVMLError(Exception):
        pass

    def __init__(self, *gpus: tuple[int | None, int | None]) -> None:
        self.gpus = gpus
        self.driver = True
        self.calls: list[str] = []

    def nvmlInit(self) -> None:  # noqa: N802
        self.calls.append("init")
        self._answer(1 if self.driver else None)

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.calls.append("shutdown")
        self._answer(None)

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self._answer(len(self.gpus))

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=self._answer(self.gpus[handle][0]), memory=1)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(used=self._answer(self.gpus[handle][1]), total=1 << 40)

    def _answer(self, value: int | None) -> int:
        if value is None or not self.driver:
            raise self.NVMLError
        return value


def reader(tmp_path: Path, load_nvml: Callable[[], object], clock: Clock | None = None) -> GpuReader:
    return GpuReader(sysfs=tmp_path, load_nvml=load_nvml, now_s=clock or Clock())


def is_unknown(usage: GpuUsage) -> bool:
    return isnan(usage.percent) and usage.memory_bytes == 0


def no_library() -> object:
    raise ModuleNotFoundError("No module named 'pynvml'")


@pytest.mark.parametrize("place", ["devices/platform/gpu.0", "devices/gpu.0"])
@pytest.mark.parametrize(("content", "percent"), [("0\n", 0.0), ("345\n", 34.5), ("1000\n", 100.0), ("1003\n", 100.0)])
def test_a_jetson_tells_its_load_in_tenths_of_a_percent(
    tmp_path: Path, place: str, content: str, percent: float
) -> None:
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "load").write_text(content)
    assert reader(tmp_path, no_library).read() == GpuUsage(percent, 0)


@pytest.mark.parametrize("content", ["", "n/a\n", "12.5 %\n"])
def test_a_load_that_cannot_be_understood_is_not_known(tmp_path: Path, content: str) -> None:
    (tmp_path / "devices/gpu.0").mkdir(parents=True)
    (tmp_path / "devices/gpu.0/load").write_text(content)
    assert is_unknown(reader(tmp_path, no_library).read())


def test_on_a_jetson_nvmls_zeros_are_not_believed(tmp_path: Path) -> None:
    (tmp_path / "devices/gpu.0").mkdir(parents=True)
    (tmp_path / "devices/gpu.0/load").write_text("990\n")
    assert reader(tmp_path, lambda: Nvml((0, 0))).read() == GpuUsage(99.0, 0)


def test_nvml_tells_percent_and_bytes(tmp_path: Path) -> None:
    assert reader(tmp_path, lambda: Nvml((37, 3 << 30))).read() == GpuUsage(37.0, 3 << 30)


def test_of_several_gpus_the_busiest_and_the_memory_of_all(tmp_path: Path) -> None:
    assert reader(tmp_path, lambda: Nvml((10, 1 << 30), (80, 2 << 30), (None, 0))).read() == GpuUsage(80.0, 3 << 30)


def test_what_one_call_does_not_tell_hides_nothing_else(tmp_path: Path) -> None:
    memory_only = reader(tmp_path, lambda: Nvml((None, 5))).read()
    assert isnan(memory_only.percent)
    assert memory_only.memory_bytes == 5
    assert reader(tmp_path, lambda: Nvml((42, None))).read() == GpuUsage(42.0, 0)


def test_without_the_library_nothing_is_known_and_it_is_looked_for_rarely(tmp_path: Path) -> None:
    clock, tried = Clock(), []

    def load() -> object:
        tried.append(clock.now_s)
        return no_library()

    gpu = reader(tmp_path, load, clock)
    for _ in range(int(2 * RETRY_S)):
        assert is_unknown(gpu.read())
        clock.now_s += 1.0
    assert tried == [1000.0, 1000.0 + RETRY_S]


def test_without_a_driver_nothing_is_known_until_it_comes(tmp_path: Path) -> None:
    clock, nvml = Clock(), Nvml((37, 1))
    nvml.driver = False
    gpu = reader(tmp_path, lambda: nvml, clock)
    assert is_unknown(gpu.read())
    nvml.driver = True
    assert is_unknown(gpu.read())
    clock.now_s += RETRY_S
    assert gpu.read() == GpuUsage(37.0, 1)


def test_a_driver_that_goes_away_is_let_go_and_tried_again_rarely(tmp_path: Path) -> None:
    clock, nvml = Clock(), Nvml((37, 1))
    gpu = reader(tmp_path, lambda: nvml, clock)
    assert gpu.read().percent == 37.0
    nvml.driver = False
    for _ in range(10):
        assert is_unknown(gpu.read())
        clock.now_s += 1.0
    assert nvml.calls == ["init", "shutdown"]
    nvml.driver = True
    clock.now_s += RETRY_S
    assert gpu.read().percent == 37.0


def test_a_machine_with_nvml_but_no_gpu_knows_nothing(tmp_path: Path) -> None:
    assert is_unknown(reader(tmp_path, Nvml).read())


def test_the_real_library_answers_or_nothing_is_known(tmp_path: Path) -> None:
    pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    usage = reader(tmp_path, lambda: importlib.import_module("pynvml")).read()
    assert isnan(usage.percent) or 0.0 <= usage.percent <= 100.0
    assert usage.memory_bytes >= 0
