"""What a Jetson's ``tegrastats`` tells: the load of GPU and memory controller, temperatures, power rails.

The line's fields are described in NVIDIA's Jetson Linux Developer Guide (Tegrastats Utility); they differ between
modules and releases, and so does their notation: names in capitals up to JetPack 5, rails without a unit on Xavier with
JetPack 4, further values behind a slash. Sources of the lines that the tests read: test/data/tegrastats.md.
Temperatures, rails and the GPU's load can be read without it (``thermal.py``, ``gpu.py``); the memory controller's load
cannot, but for root.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from math import nan
from time import monotonic

_LOAD = re.compile(r"\b(GR3D_FREQ|EMC_FREQ) (\d+)%(?:@\[?(\d+))?")
_TEMPERATURE = re.compile(r"\b([A-Za-z]\w*)@(-?\d+(?:\.\d+)?)C\b")
# A rail's name, what it draws now, and its mean since the start of tegrastats.
_RAIL = re.compile(r"\b([A-Z][A-Z0-9_]*) (\d+)(?:mW)?/\d+(?:mW)?(?=[/\s]|$)")
_NO_RAILS = ("RAM", "SWAP", "IRAM", "NC")
# It has no sensor and always tells 100 degrees.
_NO_SENSOR = "PMIC"
# Parts that are switched off.
_OFF_C = -256.0
END_S = 2.0
# A line older than this tells nothing of now.
STALE_S = 5.0


@dataclass(frozen=True)
class JetsonUsage:
    """One line of tegrastats.

    Attributes:
        gpu_percent, emc_percent: time that the GPU and the memory controller are at work; NaN: not told.
        emc_mhz: the memory's frequency; NaN: not told.
        temperatures_c: by zone, in lower case; parts that are switched off are left out.
        power_mw: drawn now, by rail.
    """

    gpu_percent: float = nan
    emc_percent: float = nan
    emc_mhz: float = nan
    temperatures_c: dict[str, float] = field(default_factory=dict)
    power_mw: dict[str, float] = field(default_factory=dict)


def parse_tegrastats(line: str) -> JetsonUsage:
    """Read a line; what it does not tell, or tells in another way than known, is left out."""
    loads = {name: (float(percent), float(mhz) if mhz else nan) for name, percent, mhz in _LOAD.findall(line)}
    emc_percent, emc_mhz = loads.get("EMC_FREQ", (nan, nan))
    return JetsonUsage(
        gpu_percent=loads.get("GR3D_FREQ", (nan, nan))[0],
        emc_percent=emc_percent,
        emc_mhz=emc_mhz,
        temperatures_c={
            name.lower(): float(degrees)
            for name, degrees in _TEMPERATURE.findall(line)
            if float(degrees) > _OFF_C and name != _NO_SENSOR
        },
        power_mw={name: float(mw) for name, mw in _RAIL.findall(line) if name not in _NO_RAILS},
    )


class Tegrastats:
    """Runs ``tegrastats`` and keeps its newest line; where it is not installed, or has ended, nothing is told.

    Args:
        interval_s: between two lines.
    """

    def __init__(self, interval_s: float = 1.0) -> None:
        self._newest: tuple[float, str] = (-float("inf"), "")
        self._process: subprocess.Popen[str] | None = None
        command = shutil.which("tegrastats")
        if command is None:
            return
        self._process = subprocess.Popen(
            [command, "--interval", str(max(100, round(interval_s * 1e3)))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
        threading.Thread(target=self._listen, args=(self._process,), name="tegrastats", daemon=True).start()

    def read(self) -> JetsonUsage:
        """The newest line, if it is younger than 5 s."""
        at_s, line = self._newest
        return parse_tegrastats(line) if monotonic() - at_s <= STALE_S else JetsonUsage()

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with suppress(ValueError):  # closed
            for line in process.stdout:
                self._newest = (monotonic(), line)
