"""How busy the GPU is: NVIDIA's management library (NVML), or the integrated GPU of a Jetson.

A Jetson's driver tells the load in ``/sys/devices/gpu.0/load`` and ``/sys/devices/platform/gpu.0/load``, a whole
number of tenths of a percent (nvgpu, ``os/linux/sysfs.c``: ``gk20a_load_show`` and the links named ``gpu.0``;
``common/pmu/perfmon/pmu_perfmon.c``: ``load_shadow``). NVML is there since JetPack 6 too, but answers "not supported"
or zeros for that GPU, so the file comes first. It has no memory of its own: its share is part of its processes'.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from time import monotonic
from typing import Any

RETRY_S = 60.0
_LOADS = ("devices/platform/gpu.0/load", "devices/gpu.0/load")


@dataclass(frozen=True)
class GpuUsage:
    """``percent``: time that the busiest GPU is at work, NaN: not known. ``memory_bytes``: of all, 0: not known."""

    percent: float = nan
    memory_bytes: int = 0


class GpuReader:
    """Reads the GPU's usage; what cannot be read is not known, never an error.

    Args:
        sysfs: where sysfs is mounted.
        load_nvml: gives the module ``pynvml`` (nvidia-ml-py), or raises ImportError.
        now_s: a steady clock, seconds.
    """

    def __init__(
        self,
        *,
        sysfs: Path = Path("/sys"),
        load_nvml: Callable[[], Any] = lambda: importlib.import_module("pynvml"),
        now_s: Callable[[], float] = monotonic,
    ) -> None:
        self._loads = [sysfs / each for each in _LOADS]
        self._load_nvml = load_nvml
        self._now_s = now_s
        self._nvml: Any = None
        self._retry_s = -float("inf")

    def read(self) -> GpuUsage:
        """The usage now. Where there is no NVML, or it fails altogether, it is tried again a minute later."""
        for path in self._loads:
            try:
                return GpuUsage(percent=_percent(path))
            except FileNotFoundError:
                continue
        if self._nvml is None and not self._begin():
            return GpuUsage()
        usage = _usage(self._nvml)
        if usage is None:
            self._end()
            return GpuUsage()
        return usage

    def _begin(self) -> bool:
        if self._now_s() < self._retry_s:
            return False
        self._retry_s = self._now_s() + RETRY_S
        try:
            nvml = self._load_nvml()
        except ImportError:
            return False
        try:
            nvml.nvmlInit()
        except nvml.NVMLError:
            return False
        self._nvml = nvml
        return True

    def _end(self) -> None:
        nvml, self._nvml = self._nvml, None
        self._retry_s = self._now_s() + RETRY_S
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _percent(load: Path) -> float:
    try:
        return min(100.0, max(0.0, int(load.read_text()) / 10.0))
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        return nan


def _usage(nvml: Any) -> GpuUsage | None:
    """Over all GPUs; None if nothing at all can be read."""
    percents, memories = [], []
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError:
        return None
    for handle in handles:
        percents.append(_asked(nvml, nvml.nvmlDeviceGetUtilizationRates, handle, "gpu"))
        memories.append(_asked(nvml, nvml.nvmlDeviceGetMemoryInfo, handle, "used"))
    known = [each for each in percents if not isnan(each)]
    sizes = [int(each) for each in memories if not isnan(each)]
    if not known and not sizes:
        return None
    return GpuUsage(max(known, default=nan), sum(sizes))


def _asked(nvml: Any, question: Callable[[Any], Any], handle: Any, field: str) -> float:
    try:
        return float(getattr(question(handle), field))
    except nvml.NVMLError:
        return nan
