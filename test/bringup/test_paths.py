"""Where the data is found, for the source tree and for two kinds of installation of a copy of the module."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from smolfusion_ros.bringup.paths import profile_path, share_directory
from smolfusion_ros.errors import ConfigurationError

SOURCE = Path(__file__).parents[2]
SCRIPT = "from smolfusion_ros.bringup.paths import share_directory; print(share_directory())"


def found_by_a_copy_in(site_packages: Path, *, ament: Path | None = None) -> subprocess.CompletedProcess[str]:
    for name in ("__init__.py", "errors.py", "bringup/__init__.py", "bringup/paths.py"):
        target = site_packages / "smolfusion_ros" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE / "smolfusion_ros" / name, target)
    if ament is not None:
        package = site_packages / "ament_index_python"
        package.mkdir()
        (package / "__init__.py").touch()
        code = f"def get_package_share_directory(name):\n    return {str(ament)!r}\n"
        (package / "packages.py").write_text(code)
    # -I, so that neither PYTHONPATH nor the current directory brings the source tree in.
    script = f"import sys; sys.path.insert(0, {str(site_packages)!r}); {SCRIPT}"
    return subprocess.run(
        [sys.executable, "-I", "-c", script], cwd="/", capture_output=True, text=True, timeout=30, check=False
    )


def test_source_tree_uses_its_own_data():
    imported = Path(importlib.import_module("smolfusion_ros.bringup").__file__).parents[1]
    if imported != SOURCE / "smolfusion_ros":
        pytest.skip("the installed package is under test")
    assert share_directory() == SOURCE


def test_installation_finds_the_data_under_its_own_prefix(tmp_path: Path):
    share = tmp_path / "share" / "smolfusion_ros"
    (share / "config" / "profiles").mkdir(parents=True)
    result = found_by_a_copy_in(tmp_path / "lib" / "python3.10" / "site-packages")
    assert result.stdout.strip() == str(share), result.stderr


def test_ament_index_knows_the_data_of_another_prefix(tmp_path: Path):
    share = tmp_path / "elsewhere" / "smolfusion_ros"
    (share / "config" / "profiles").mkdir(parents=True)
    result = found_by_a_copy_in(tmp_path / "build" / "site-packages", ament=share)
    assert result.stdout.strip() == str(share), result.stderr


def test_installation_without_data_says_so(tmp_path: Path):
    result = found_by_a_copy_in(tmp_path / "lib" / "site-packages", ament=tmp_path / "nothing")
    assert "ConfigurationError" in result.stderr and "config/profiles" in result.stderr


def test_profile_is_found_by_name_or_path(tmp_path: Path):
    assert profile_path("embedded") == share_directory() / "config" / "profiles" / "embedded.yaml"
    mine = tmp_path / "mine.yaml"
    with pytest.raises(ConfigurationError, match=r"mine\.yaml"):
        profile_path(str(mine))
    mine.touch()
    assert profile_path(str(mine)) == mine
