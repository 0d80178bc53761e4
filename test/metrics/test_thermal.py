"""Temperatures and power out of files in sysfs's format."""

from pathlib import Path

import pytest
from clock import Clock

from smolfusion_ros.metrics.thermal import LOOK_AGAIN_S, Sensors


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sensors(tmp_path: Path, clock: Clock) -> Sensors:
    return Sensors(sysfs=tmp_path, now_s=clock)


def test_zones_and_hardware_monitors_are_told_in_degrees_by_their_names(tmp_path: Path, sensors: Sensors) -> None:
    write(tmp_path / "class/thermal/thermal_zone0", type="cpu-thermal", temp=48562)
    write(tmp_path / "class/thermal/thermal_zone1", type="x86_pkg_temp", temp=51000)
    write(tmp_path / "class/thermal/thermal_zone10", type="cpu-thermal", temp=40000)
    write(tmp_path / "class/hwmon/hwmon2", name="nvme", temp1_input=39850, temp1_label="Composite", temp2_input=41850)
    assert sensors.read().temperatures_c == {
        "cpu": 48.562,
        "x86_pkg_temp": 51.0,
        "cpu 2": 40.0,
        "nvme Composite": 39.85,
        "nvme": 41.85,
    }


def test_parts_that_are_off_and_sensors_that_fail_are_left_out(tmp_path: Path, sensors: Sensors) -> None:
    write(tmp_path / "class/thermal/thermal_zone0", type="CV0-therm", temp=-256000)
    write(tmp_path / "class/thermal/thermal_zone1", type="GPU-therm", temp="")
    write(tmp_path / "class/thermal/thermal_zone2", type="PMIC-Die", temp=100000)
    write(tmp_path / "class/thermal/thermal_zone3", type="soc0-thermal")  # no file at all
    write(tmp_path / "class/thermal/thermal_zone4", type="tj-thermal", temp=44343)
    assert sensors.read().temperatures_c == {"tj": 44.343}


def test_a_jetsons_rails_are_volts_times_amperes_of_each_connected_channel(tmp_path: Path, sensors: Sensors) -> None:
    rails = tmp_path / "class/hwmon/hwmon3"
    write(rails, name="ina3221", in1_label="VDD_GPU_SOC", in2_label="VDD_CPU_CV", in3_label="NC")
    write(rails, in4_label="sum of shunt voltages", in1_input=5032, curr1_input=640, in2_input=5024, curr2_input=120)
    write(rails, in3_input=0, curr3_input=0, in4_input=100)
    assert sensors.read().power_mw == {"VDD_GPU_SOC": 5032 * 640 / 1e3, "VDD_CPU_CV": 5024 * 120 / 1e3}


def test_a_monitor_that_tells_power_itself_is_in_microwatts(tmp_path: Path, sensors: Sensors) -> None:
    write(tmp_path / "class/hwmon/hwmon0", name="amdgpu", power1_average=12_500_000, power1_label="PPT")
    assert sensors.read().power_mw == {"amdgpu PPT": 12500.0}


def test_a_processors_power_is_the_energy_counted_since_the_reading_before(
    tmp_path: Path, sensors: Sensors, clock: Clock
) -> None:
    package, core = tmp_path / "class/powercap/intel-rapl:0", tmp_path / "class/powercap/intel-rapl:0:0"
    write(package, name="package-0", energy_uj=1_000_000, max_energy_range_uj=10_000_000)
    write(core, name="core", energy_uj=9_000_000, max_energy_range_uj=10_000_000)
    assert sensors.read().power_mw == {}
    clock.now_s += 2.0
    write(package, energy_uj=7_000_000)
    write(core, energy_uj=1_000_000)  # began again at 0
    assert sensors.read().power_mw == {"package-0": 3000.0, "package-0-core": 1000.0}


def test_a_counter_that_cannot_be_read_is_left_out(tmp_path: Path, sensors: Sensors, clock: Clock) -> None:
    package = tmp_path / "class/powercap/intel-rapl:0"
    write(package, name="package-0", max_energy_range_uj=2)
    (package / "energy_uj").mkdir()  # fails for root too, who could read what only root may read
    sensors.read()
    clock.now_s += 1.0
    assert sensors.read().power_mw == {}


def test_sensors_that_come_later_are_found_and_those_that_go_are_forgotten(
    tmp_path: Path, sensors: Sensors, clock: Clock
) -> None:
    assert sensors.read().temperatures_c == {}
    zone = tmp_path / "class/thermal/thermal_zone0"
    write(zone, type="cpu-thermal", temp=40000)
    clock.now_s += LOOK_AGAIN_S - 1.0
    assert sensors.read().temperatures_c == {}
    clock.now_s += 1.0
    assert sensors.read().temperatures_c == {"cpu": 40.0}
    (zone / "temp").unlink()
    assert sensors.read().temperatures_c == {}


def test_this_machines_sensors_are_read_without_an_error() -> None:
    readings = Sensors().read()
    assert all(-60.0 < each < 200.0 for each in readings.temperatures_c.values())
