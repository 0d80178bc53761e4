"""Model files are checked before a server maps them: damage shows as a clear message, not as nonsense text.

Hashing a gigabyte takes seconds, so a file that has passed is remembered by path, size and modification time
in ``verified.json`` beside the downloaded models.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

from smolfusion_ros.errors import ModelDamagedError, ModelMissingError

GGUF_MAGIC = b"GGUF"
CACHE_FILE = "verified.json"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as lower-case hexadecimal, read in chunks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def check_readable_gguf(path: Path) -> None:
    """Raise ModelMissingError or ModelDamagedError unless the path is a readable file that starts as GGUF."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except OSError as error:
        raise ModelMissingError(f"{path} cannot be read: {error.strerror}") from error
    if magic != GGUF_MAGIC:
        raise ModelDamagedError(f"{path} is no GGUF file: it starts with {magic!r}, expected {GGUF_MAGIC!r}")


def check(path: Path, size: int | None, sha256: str | None) -> None:
    """Compare a whole model file with its known size in bytes and SHA-256; ``None`` is not checked.

    Raises ModelDamagedError with the expected and the found value.
    """
    check_readable_gguf(path)
    found_size = path.stat().st_size
    if size is not None and found_size != size:
        raise ModelDamagedError(f"{path} has {found_size} bytes, expected {size}")
    if sha256 is not None and (found := sha256_of(path)) != sha256:
        raise ModelDamagedError(f"{path} has SHA-256 {found}, expected {sha256}")


def verify(path: Path, size: int | None, sha256: str | None, cache_directory: Path) -> None:
    """``check``, but a file that has passed is not hashed again until its size or modification time changes.

    Nothing is written where the cache directory cannot be: then the file is hashed again next time.
    """
    status = path.stat()
    record = [status.st_size, status.st_mtime_ns, sha256]
    known = _read(cache_directory)
    if sha256 is not None and known.get(str(path)) == record:
        sha256 = None
    check(path, size, sha256)
    if sha256 is not None:
        _write(cache_directory, {**known, str(path): record})


def _read(directory: Path) -> dict[str, object]:
    try:
        content = json.loads((directory / CACHE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(directory: Path, content: dict[str, object]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=f".{CACHE_FILE}-")
    except OSError:
        return
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
        Path(temporary).replace(directory / CACHE_FILE)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
