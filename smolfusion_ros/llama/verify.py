"""Model files are checked before they are used: damage shows as a clear message, not as nonsense text.

Some models are directories of several files; what is said of a file here holds for such a directory too. Hashing a
gigabyte takes seconds, so a file that has passed is remembered by path, size and modification time in
``verified.json`` beside the downloaded models.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

from smolfusion_ros.errors import ModelDamagedError, ModelMissingError

GGUF_MAGIC = b"GGUF"
CACHE_FILE = "verified.json"


def files_of(path: Path) -> list[Path]:
    """The file itself, or all files of a directory in the order of their names."""
    return sorted((each for each in path.rglob("*") if each.is_file()), key=str) if path.is_dir() else [path]


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a directory."""
    return sum(each.stat().st_size for each in files_of(path))


def sha256_of(path: Path) -> str:
    """SHA-256 as lower-case hexadecimal; of a directory that of its files' list, as ``sha256sum`` writes it there:

    ``find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum``
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for each in files_of(path):
            digest.update(f"{sha256_of(each)}  {each.relative_to(path).as_posix()}\n".encode())
        return digest.hexdigest()
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


def check(path: Path, size: int | None, sha256: str | None, *, is_gguf: bool = True) -> None:
    """Compare a whole model file with its known size in bytes and SHA-256; ``None`` is not checked.

    Raises ModelDamagedError with the expected and the found value.
    """
    if is_gguf:
        check_readable_gguf(path)
    found_size = size_of(path)
    if size is not None and found_size != size:
        raise ModelDamagedError(f"{path} has {found_size} bytes, expected {size}")
    if sha256 is not None and (found := sha256_of(path)) != sha256:
        raise ModelDamagedError(f"{path} has SHA-256 {found}, expected {sha256}")


def verify(path: Path, size: int | None, sha256: str | None, cache_directory: Path, *, is_gguf: bool = True) -> None:
    """``check``, but a file that has passed is not hashed again until its size or modification time changes.

    Nothing is written where the cache directory cannot be: then the file is hashed again next time.
    """
    newest_ns = max((each.stat().st_mtime_ns for each in files_of(path)), default=0)
    record = [size_of(path), newest_ns, sha256]
    known = _read(cache_directory)
    if sha256 is not None and known.get(str(path)) == record:
        sha256 = None
    check(path, size, sha256, is_gguf=is_gguf)
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
