"""``backend --role llm|vlm --profile P`` becomes the llama server of that role.

Launch files, the runner and a person at a shell start exactly the same thing. The process is replaced by the
server, so its pid, its signals and its exit code are the server's.
"""

import argparse
import dataclasses
import ipaddress
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from smolfusion_ros.bringup.paths import manifest_path
from smolfusion_ros.bringup.profile import ROLES, BackendProfile, load_profile
from smolfusion_ros.errors import ConfigurationError, ProviderError, SmolFusionError
from smolfusion_ros.llama.manifest import ModelFiles, load_manifest
from smolfusion_ros.llama.providers import PREFERENCE, choose, command_line
from smolfusion_ros.llama.slots import made_directory

EXIT_UNUSABLE = 2
# llama.cpp's threads meet at a barrier in every layer and spin there; beside other busy processes the one that
# spins keeps the one it waits for from running. With libgomp's spinning bounded, 24 tokens of the 135M model on
# two cores beside three busy processes took 1.0 s instead of 1.9 s; beside one no difference, alone about
# 0.28 s against 0.25 s.
SPIN_COUNT = "1000"


def without_ros_arguments(argv: Sequence[str]) -> list[str]:
    """The arguments without those between ``--ros-args`` and ``--`` (or the end), which ros launch adds."""
    kept: list[str] = []
    inside = False
    for argument in argv:
        if argument == "--ros-args":
            inside = True
        elif inside:
            inside = argument != "--"
        else:
            kept.append(argument)
    return kept


def check_port_is_free(host: str, port: int) -> None:
    """Raise ConfigurationError where something listens there already, or the host is not this machine's."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # A server that ended a moment ago leaves its port waiting; that is no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ConfigurationError(
            f"port {port} on {host} cannot be used: {error.strerror}. End what listens there or give another --port"
        ) from error


def describe(role: str, provider: str, backend: BackendProfile, files: ModelFiles) -> str:
    """The line that says what is started, where, and what is doubtful about it."""
    names = " with ".join(path.name for path in (files.model, files.adapter) if path is not None)
    line = (
        f"{role}: {backend.model} ({names}) by {provider} on {backend.url}, "
        f"{backend.context_tokens} tokens, {backend.threads} threads, {backend.gpu_layers} GPU layers"
    )
    if files.unverified:
        line += f"; unverified, no SHA-256 known: {', '.join(path.name for path in files.unverified)}"
    if not _is_loopback(backend.host):
        line += f"; anyone who reaches {backend.host} can use it, it asks for no password"
    return line


def prepare_command(argv: Sequence[str]) -> tuple[str, list[str]]:
    """What to say and what to execute for the command line. Raises SmolFusionError children."""
    parser = argparse.ArgumentParser(prog="backend", description=__doc__)
    parser.add_argument("--role", required=True, choices=ROLES)
    parser.add_argument("--profile", default="embedded", help="name in config/profiles, or path of a YAML file")
    parser.add_argument("--provider", choices=("auto", *PREFERENCE), help="instead of the profile's")
    parser.add_argument("--host", help="instead of the profile's; the default is loopback")
    parser.add_argument("--port", type=int, help="instead of the profile's")
    arguments = parser.parse_args(argv)
    backend = load_profile(arguments.profile).backend(arguments.role)
    if backend.is_remote:
        raise ProviderError(
            f"profile {arguments.profile} takes its {arguments.role} from {backend.url}: nothing to start"
        )
    given = {key: getattr(arguments, key) for key in ("provider", "host", "port")}
    backend = dataclasses.replace(backend, **{key: value for key, value in given.items() if value is not None})
    provider = choose(backend.provider)
    check_port_is_free(backend.host, backend.port)
    files = load_manifest(manifest_path()).resolve(backend.model, arguments.role)
    text = describe(arguments.role, provider.name, backend, files)
    if arguments.role != "llm":
        return text, command_line(provider, arguments.role, backend, files)
    marks = [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files.all]
    served = f"{provider.command} {marks} {backend.context_tokens}"
    return text, command_line(provider, arguments.role, backend, files, made_directory(served))


def server_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment a server is started with."""
    # The server's Python must find this package however this process found it.
    package_parent = str(Path(__file__).absolute().parents[2])
    search_path = [path for path in (environ.get("PYTHONPATH"), package_parent) if path]
    return {
        "GOMP_SPINCOUNT": SPIN_COUNT,
        **environ,
        "PYTHONPATH": os.pathsep.join(search_path),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Replace this process by the server; returns 2 with a message on stderr where that cannot be."""
    try:
        text, command = prepare_command(without_ros_arguments(sys.argv[1:] if argv is None else argv))
    except SmolFusionError as error:
        print(f"backend: {error}", file=sys.stderr)
        return EXIT_UNUSABLE
    print(text, flush=True)
    try:
        os.execve(command[0], command, server_environment(os.environ))
    except OSError as error:
        print(f"backend: {command[0]} cannot be executed: {error.strerror}", file=sys.stderr)
    return EXIT_UNUSABLE


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main())
