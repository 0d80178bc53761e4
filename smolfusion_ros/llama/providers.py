"""The programs that can serve a model on this machine, and how each is started.

A ``llama-server`` binary comes first (on a Jetson it is the one built for CUDA), then xllamacpp's native
server, then llama-cpp-python's. The servers of this package take llama-server's own options, so one list fits
all three.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from smolfusion_ros.errors import ProviderError
from smolfusion_ros.llama.manifest import ModelFiles

PREFERENCE = ("llama-server", "xllamacpp", "llama-cpp-python")
INSTALL = {
    "llama-server": "build llama.cpp and put llama-server on the PATH, or set LLAMA_SERVER to it",
    "xllamacpp": "pip install xllamacpp",
    "llama-cpp-python": "pip install 'llama-cpp-python[server]'",
}
# Module to start, and what must be importable for it.
SERVERS = {
    "xllamacpp": ("smolfusion_ros.llama.serve_xllamacpp", ("xllamacpp",)),
    "llama-cpp-python": (
        "smolfusion_ros.llama.serve_llama_cpp_python",
        ("llama_cpp", "uvicorn", "fastapi", "sse_starlette", "starlette_context", "pydantic_settings"),
    ),
}


class ServerSettings(Protocol):
    """What a command line is made from; a profile's backend has it. Units as there."""

    @property
    def model(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def context_tokens(self) -> int: ...
    @property
    def threads(self) -> int: ...
    @property
    def batch_tokens(self) -> int: ...
    @property
    def ubatch_tokens(self) -> int: ...
    @property
    def gpu_layers(self) -> int: ...
    @property
    def slots(self) -> int: ...
    @property
    def image_max_tokens(self) -> int: ...
    @property
    def cache_ram_mib(self) -> int: ...
    @property
    def flash_attention(self) -> str: ...


@dataclass(frozen=True)
class Provider:
    """An installed server: its name, and the start of its command line."""

    name: str
    command: tuple[str, ...]


def find(name: str, environ: Mapping[str, str] = os.environ) -> Provider | None:
    """The provider of that name where it is installed; ProviderError for an unknown name or LLAMA_SERVER."""
    if name == "llama-server":
        named = environ.get("LLAMA_SERVER")
        found = shutil.which(named or "llama-server", path=environ.get("PATH"))
        if named and not found:
            raise ProviderError(f"LLAMA_SERVER = {named!r} is not an executable file")
        return Provider(name, (found,)) if found else None
    if name not in SERVERS:
        raise ProviderError(f"unknown provider {name!r}; there are {', '.join(PREFERENCE)}")
    module, needed = SERVERS[name]
    if any(importlib.util.find_spec(package) is None for package in needed):
        return None
    return Provider(name, (sys.executable, "-m", module))


def choose(requested: str, environ: Mapping[str, str] = os.environ) -> Provider:
    """The requested provider, for ``auto`` the first installed; ProviderError telling how to get one."""
    if requested == "remote":
        raise ProviderError("the provider is remote: its server is not started here")
    names = PREFERENCE if requested == "auto" else (requested,)
    for name in names:
        provider = find(name, environ)
        if provider is not None:
            return provider
    ways = "; ".join(f"{name}: {INSTALL[name]}" for name in names)
    raise ProviderError(f"no llama.cpp server for provider {requested!r} is installed. Get one of {ways}")


def command_line(
    provider: Provider, role: str, settings: ServerSettings, files: ModelFiles, saved_prompts: Path | None = None
) -> list[str]:
    """The whole command that serves ``files`` on ``settings.host:port`` for a role, ``llm`` or ``vlm``.

    Args:
        saved_prompts: an existing directory for evaluated prompts (``llama.slots``); None: none are saved.
    """
    options: dict[str, object] = {
        "--model": files.model,
        "--alias": settings.model,
        "--host": settings.host,
        "--port": settings.port,
        # llama-server shares the context out among its slots.
        "--ctx-size": settings.context_tokens * settings.slots,
        "--parallel": settings.slots,
        "--threads": settings.threads,
        "--threads-batch": settings.threads,
        "--batch-size": settings.batch_tokens,
        "--ubatch-size": settings.ubatch_tokens,
        "--n-gpu-layers": settings.gpu_layers,
        "--flash-attn": settings.flash_attention,
        "--cache-ram": settings.cache_ram_mib,
    }
    # Of several slots, another one's conversation could be saved.
    if saved_prompts is not None and role == "llm" and settings.slots == 1:
        options["--slot-save-path"] = saved_prompts
    if files.adapter is not None:
        options["--lora"] = files.adapter
    if files.mmproj is not None and role == "vlm":
        options["--mmproj"] = files.mmproj
        if settings.image_max_tokens:
            # Equal bounds: one tile and the overview, whatever the picture's size.
            options["--image-min-tokens"] = settings.image_max_tokens
            options["--image-max-tokens"] = settings.image_max_tokens
    return [*provider.command, *(str(item) for pair in options.items() for item in pair)]
