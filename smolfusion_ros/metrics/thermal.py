"""How hot the machine is and what it draws, from Linux's sysfs.

Temperatures: thermal zones (``class/thermal``, kernel documentation driver-api/thermal/sysfs-api) and hardware monitors
(``class/hwmon``, hwmon/sysfs-interface), both in thousandths of a degree. Power: hardware monitors that tell it in
microwatts; INA3221 monitors, as on a Jetson's power rails, that tell millivolts and milliamperes per channel
(hwmon/ina3221); and the energy counters of x86 processors (``class/powercap``, power/powercap), which since Linux 5.10
only root may read. What cannot be read is left out, never an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from time import monotonic
from typing import TypeVar

What = TypeVar("What")

# Sensors come and go with modules; looking for them takes longer than reading them.
LOOK_AGAIN_S = 60.0
# A Jetson's zone of a part that is switched off tells -256.
_COLDEST_C, _HOTTEST_C = -60.0, 200.0
_NOT_CONNECTED = ("", "NC", "sum of shunt voltages")


@dataclass(frozen=True)
class Readings:
    """Degrees Celsius and milliwatts, by the sensor's name."""

    temperatures_c: dict[str, float] = field(default_factory=dict)
    power_mw: dict[str, float] = field(default_factory=dict)


class Sensors:
    """Reads all sensors of the machine.

    Args:
        sysfs: where sysfs is mounted.
        now_s: a steady clock, seconds.
    """

    def __init__(self, *, sysfs: Path = Path("/sys"), now_s: Callable[[], float] = monotonic) -> None:
        self._sysfs = sysfs
        self._now_s = now_s
        self._found_s = -float("inf")
        self._temperatures: dict[str, Path] = {}
        self._powers: dict[str, Path] = {}
        self._rails: dict[str, tuple[Path, Path]] = {}
        self._energies: dict[str, _Energy] = {}

    def read(self) -> Readings:
        """What every sensor tells now; a processor's power from the second reading on."""
        now_s = self._now_s()
        if now_s - self._found_s >= LOOK_AGAIN_S:
            self._found_s = now_s
            self._find()
        temperatures_c = {name: _number(path) / 1e3 for name, path in self._temperatures.items()}
        power_mw = {name: _number(path) / 1e3 for name, path in self._powers.items()}
        power_mw |= {name: _number(volts) * _number(amperes) / 1e3 for name, (volts, amperes) in self._rails.items()}
        power_mw |= {name: energy.power_mw(now_s) for name, energy in self._energies.items()}
        return Readings(
            {name: each for name, each in temperatures_c.items() if _COLDEST_C < each < _HOTTEST_C},
            {name: each for name, each in power_mw.items() if isfinite(each)},
        )

    def _find(self) -> None:
        self._temperatures, self._powers, self._rails = {}, {}, {}
        for zone in _entries(self._sysfs / "class/thermal", "thermal_zone*"):
            name = _text(zone / "type").removesuffix("-thermal")
            if not name.startswith("PMIC"):  # a Jetson's has no sensor and always tells 100 degrees
                _add(self._temperatures, name, zone / "temp")
        for monitor in _entries(self._sysfs / "class/hwmon", "hwmon*"):
            self._find_hwmon(monitor, _text(monitor / "name"))
        energies: dict[str, Path] = {}
        for domain in _entries(self._sysfs / "class/powercap", "intel-rapl:*"):
            name = _text(domain / "name")
            parent = f"{_text(domain.parent / domain.name.rpartition(':')[0] / 'name')}-"
            if name:
                _add(energies, name if domain.name.count(":") == 1 else parent + name, domain)
        self._energies = {name: self._energies.get(name) or _Energy(domain) for name, domain in energies.items()}

    def _find_hwmon(self, monitor: Path, name: str) -> None:
        for path in _entries(monitor, "temp*_input"):
            label = _text(monitor / path.name.replace("_input", "_label"))
            _add(self._temperatures, f"{name} {label}".strip(), path)
        for path in [*_entries(monitor, "power*_input"), *_entries(monitor, "power*_average")]:
            label = _text(monitor / f"{path.name.partition('_')[0]}_label")
            _add(self._powers, f"{name} {label}".strip(), path)
        if name != "ina3221":
            return
        for path in _entries(monitor, "in*_label"):
            channel, label = path.name.removeprefix("in").removesuffix("_label"), _text(path)
            if label not in _NOT_CONNECTED:
                _add(self._rails, label, (monitor / f"in{channel}_input", monitor / f"curr{channel}_input"))


class _Energy:
    """A counter of microjoules that begins again at 0 behind its range."""

    def __init__(self, domain: Path) -> None:
        self._counter = domain / "energy_uj"
        self._range = domain / "max_energy_range_uj"
        self._before: tuple[float, float] | None = None

    def power_mw(self, now_s: float) -> float:
        """The mean since the call before; NaN where that is not known."""
        counted_uj = _number(self._counter)
        before, self._before = self._before, (now_s, counted_uj)
        if before is None or now_s <= before[0]:
            return nan
        used_uj = counted_uj - before[1]
        if used_uj < 0.0:
            used_uj += _number(self._range)
        return used_uj / 1e3 / (now_s - before[0])


def _entries(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern), key=lambda path: (len(path.name), path.name))
    except OSError:
        return []


def _add(found: dict[str, What], name: str, what: What) -> None:
    """Of several of the same name, the second is told as ``name 2``."""
    number, unique = 1, name or "sensor"
    while unique in found:
        number += 1
        unique = f"{name or 'sensor'} {number}"
    found[unique] = what


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(path: Path) -> float:
    """The number in a file; NaN where it cannot be read."""
    try:
        return float(_text(path))
    except ValueError:
        return nan
