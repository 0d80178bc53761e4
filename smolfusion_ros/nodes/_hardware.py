"""How hot the machine is, what it draws and how busy its GPU is: read once a report, told in ``/diagnostics``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isnan

from smolfusion_ros.metrics.gpu import GpuUsage
from smolfusion_ros.metrics.jetson import JetsonUsage, Tegrastats
from smolfusion_ros.metrics.thermal import Readings, Sensors
from smolfusion_ros.nodes._diagnostics import OK, WARN, Diagnostics, Status

# What a Jetson's whole board draws, where it has such a rail.
_WHOLE_BOARD = ("VDD_IN", "POM_5V_IN")


class Hardware:
    """The diagnostic tasks ``gpu``, ``temperatures`` and ``power``.

    Args:
        warn_c: the temperature that is reported, degrees Celsius.
        with_tegrastats: run that program too, where it is installed.
        sensors: of the machine.
    """

    def __init__(
        self,
        diagnostics: Diagnostics,
        warn_c: Callable[[], float],
        with_tegrastats: bool,
        sensors: Sensors | None = None,
    ) -> None:
        self._warn_c = warn_c
        self._sensors = sensors or Sensors()
        self._tegrastats = Tegrastats() if with_tegrastats else None
        self._gpu, self._readings, self._jetson = GpuUsage(), Readings(), JetsonUsage()
        diagnostics.add("gpu", self._gpu_status)
        diagnostics.add("temperatures", self._temperatures_status)
        diagnostics.add("power", self._power_status)

    def close(self) -> None:
        if self._tegrastats is not None:
            self._tegrastats.close()

    def read(self, gpu: GpuUsage) -> GpuUsage:
        """Read everything; the GPU's load is that of tegrastats where it was not known otherwise."""
        self._readings = self._sensors.read()
        if self._tegrastats is not None:
            self._jetson = self._tegrastats.read()
            self._readings = Readings(
                self._readings.temperatures_c or self._jetson.temperatures_c,
                self._readings.power_mw or self._jetson.power_mw,
            )
        self._gpu = replace(gpu, percent=self._jetson.gpu_percent) if isnan(gpu.percent) else gpu
        return self._gpu

    @property
    def temperatures_c(self) -> dict[str, float]:
        return self._readings.temperatures_c

    @property
    def powers_w(self) -> dict[str, float]:
        return {name: power_mw / 1e3 for name, power_mw in self._readings.power_mw.items()}

    def row(self) -> dict[str, float]:
        """The figures as columns of a recording."""
        return {
            "gpu.load_percent": self._gpu.percent,
            "memory_controller.load_percent": self._jetson.emc_percent,
            **{f"temperature.{name}_c": value for name, value in self._readings.temperatures_c.items()},
            **{f"power.{name}_mw": value for name, value in self._readings.power_mw.items()},
        }

    def _gpu_status(self) -> Status:
        values: dict[str, object] = {}
        if not isnan(self._gpu.percent):
            values["load_percent"] = self._gpu.percent
        if self._gpu.memory_bytes:
            values["memory_mib"] = self._gpu.memory_bytes / 2**20
        if not isnan(self._jetson.emc_percent):
            values["memory_controller_percent"] = self._jetson.emc_percent
        if isnan(self._gpu.percent):
            return Status(OK, "no GPU, or its load is not known", values)
        return Status(OK, f"{self._gpu.percent:.0f} % busy", values)

    def _temperatures_status(self) -> Status:
        found, limit_c = self._readings.temperatures_c, self._warn_c()
        if not found:
            return Status(OK, "no sensor can be read")
        values = {f"{name}_c": value for name, value in found.items()}
        hottest = max(found, key=lambda name: found[name])
        text = f"{found[hottest]:.0f} °C at the hottest ({hottest})"
        if found[hottest] > limit_c:
            return Status(WARN, f"{text}, more than {limit_c:g} °C", values)
        return Status(OK, text, values)

    def _power_status(self) -> Status:
        found = self._readings.power_mw
        if not found:
            return Status(OK, "no sensor can be read")
        whole = next((name for name in _WHOLE_BOARD if name in found), "")
        largest = whole or max(found, key=lambda name: found[name])
        text = f"{found[largest] / 1e3:.1f} W ({largest if whole else f'{largest}, the most of {len(found)}'})"
        return Status(OK, text, {f"{name}_mw": value for name, value in found.items()})
