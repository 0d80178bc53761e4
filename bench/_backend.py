"""A language or vision backend for a bench, started as the launch files start it, on a port of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import httpx
import yaml

from smolfusion_ros.bringup.paths import manifest_path
from smolfusion_ros.bringup.profile import ROLE_KEYS, ROLES, BackendProfile, Profile
from smolfusion_ros.llama.manifest import load_manifest
from smolfusion_ros.llama.prepare import prepare

START_S = 120.0


@contextmanager
def serving(
    profile: Profile, role: str, *, port: int, variables: Mapping[str, str] | None = None, **changes: object
) -> Iterator[BackendProfile]:
    """A profile's backend while the block runs; ``changes`` are keys of its profile, e.g. ``threads=2``.

    Raises:
        RuntimeError: it does not answer within two minutes; tells its last words.
    """
    model = str(changes.get("model", profile.backend(role).model))
    if not model.endswith(".gguf"):
        prepare(load_manifest(manifest_path()), model)
    with tempfile.TemporaryDirectory(prefix="smolfusion-bench-") as directory:
        path, log = Path(directory) / "bench.yaml", Path(directory) / "log"
        backend = write_profile(path, profile, role, port=port, **changes)
        line = [sys.executable, "-m", "smolfusion_ros.bringup.backend", "--role", role, "--profile", str(path)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                line, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(variables or {})}
            )
        try:
            _wait(backend.url, process, log)
            yield backend
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def write_profile(path: Path, profile: Profile, role: str, **changes: object) -> BackendProfile:
    """Write a profile file with other keys for one of its backends; gives that backend."""
    document = {each: _keys(each, profile.backend(each)) for each in ROLES}
    document[role].update(changes)
    path.write_text(yaml.safe_dump(document))
    return BackendProfile(**document[role])


def _keys(role: str, backend: BackendProfile) -> dict[str, object]:
    """The backend as a profile file has it."""
    own = {each.name for each in fields(backend) if ROLE_KEYS.get(each.name, role) == role}
    return {name: getattr(backend, name) for name in own if name != "url" or backend.is_remote}


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end_s = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end_s:
        try:
            if httpx.get(f"{url}/v1/models", timeout=2.0).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"no backend on {url}: {log.read_text(errors='replace')[-400:]}")
