"""Runs the whole stack without ``ros2 launch``: ``python -m smolfusion_ros.bringup --profile embedded``.

Circus keeps the processes: it starts what dies again, and ends everything on Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import codecs
import json
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from circus import get_arbiter

from smolfusion_ros.bringup.stack import (
    NODES,
    SOUNDS,
    Options,
    Process,
    node_names,
    parameter_files,
    plan,
    remappings,
)
from smolfusion_ros.errors import SmolFusionError

GRACE_S = 5.0
CHECK_INTERVAL_S = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """0 after Ctrl-C or SIGTERM, 2 if the stack cannot be started (the reason goes to stderr)."""
    arguments = _parser().parse_args(argv)
    try:
        options = Options(**{key: value for key, value in vars(arguments).items() if key != "profile"})
        processes = plan(arguments.profile, options)
    except SmolFusionError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="smolfusion-") as directory:
        arbiter = get_arbiter(
            [_watcher(process, options) for process in processes],
            controller=f"ipc://{directory}/control",
            pubsub_endpoint=f"ipc://{directory}/events",
            check_delay=CHECK_INTERVAL_S,
            loglevel="error",
        )
        # While it stops, circus' own periodic check logs that it may not interfere.
        logging.getLogger("tornado.application").setLevel(logging.CRITICAL)
        arbiter.start()
    return 0


class PrefixedOutput:
    """Circus stream: each line goes to stdout behind the process's name."""

    def __init__(self, name: str, width: int) -> None:
        self._prefix = f"{name:<{width}} | "
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a read may end within a character

    def __call__(self, data: dict[str, Any]) -> None:
        lines = (self._rest + self._decoder.decode(data["data"])).split("\n")
        self._rest = lines.pop()
        for line in lines:
            print(f"{self._prefix}{line}", flush=True)

    def close(self) -> None:
        if self._rest:
            print(f"{self._prefix}{self._rest}", flush=True)
        self._rest = ""


def _watcher(process: Process, options: Options) -> dict[str, Any]:
    stream = {"stream": PrefixedOutput(process.name, max(len(name) for name in (*NODES, "video_source")))}
    return {
        "name": process.name,
        "cmd": sys.executable,
        "args": command(process, options)[1:],
        "env": {**os.environ, **process.environment},
        "respawn": True,
        "max_retry": -1,
        "graceful_timeout": GRACE_S,
        "stdout_stream": stream,
        "stderr_stream": stream,
    }


def command(process: Process, options: Options) -> list[str]:
    """The command line of one process, run by this Python."""
    line = [sys.executable, "-m", _module(process.executable), *process.arguments]
    if not process.is_node:
        return line
    line += ["--ros-args", "-r", f"__ns:={options.namespace}", "--log-level", options.log_level]
    for source, target in process.remappings:
        line += ["-r", f"{source}:={target}"]
    defaults, *own = parameter_files(options)  # what comes later wins
    line += ["--params-file", defaults]
    for name, value in process.parameters.items():
        # Text is quoted, or ROS would read the camera "0" as a number.
        line += ["-p", f"{name}:={json.dumps(value, ensure_ascii=False)}"]
    for file in own:
        line += ["--params-file", file]
    return line


def _module(executable: str) -> str:
    if executable == "backend":
        return "smolfusion_ros.bringup.backend"
    return f"smolfusion_ros.nodes.{executable}"


def _parser() -> argparse.ArgumentParser:
    defaults = Options()
    parser = argparse.ArgumentParser(prog="run_stack", description="Run the whole stack without ros2 launch.")
    parser.add_argument("--profile", default="embedded", help="name in config/profiles, or a YAML file")
    parser.add_argument("--namespace", default=defaults.namespace, help="prefix of all ROS names")
    parser.add_argument("--image-topic", default=defaults.image_topic, help="the camera's topic")
    parser.add_argument("--image-transport", default="raw", choices=("raw", "compressed"))
    parser.add_argument("--video", default="", help="rendered:visit, a video file or a camera device to publish")
    parser.add_argument("--nodes", default=NODES, type=node_names, help="comma-separated; all by default")
    parser.add_argument("--no-backends", dest="start_backends", action="store_false", help="they run already")
    parser.add_argument("--provider", default="", help="llama-server, xllamacpp or llama-cpp-python")
    parser.add_argument("--llm-port", type=int, default=0, help="of the language model; 0: the profile's")
    parser.add_argument("--vlm-port", type=int, default=0, help="of the vision-language model; 0: the profile's")
    parser.add_argument("--voice", action="store_true", help="hear and speak: start listener and speaker")
    parser.add_argument("--sound", default=defaults.sound, choices=SOUNDS, help="devices, or topics audio and voice")
    parser.add_argument("--no-gateway", dest="gateway", action="store_false", help="no HTTP interface")
    parser.add_argument("--gateway-port", type=int, default=defaults.gateway_port, help="of the HTTP interface")
    parser.add_argument("--remap", default=(), type=_remappings, help="further names to change, from:=to, …")
    parser.add_argument("--no-autostart", dest="autostart", action="store_false", help="wait for a lifecycle manager")
    parser.add_argument("--log-level", default=defaults.log_level)
    parser.add_argument("--params-file", default="", type=_path, help="ROS parameters that win over the profile's")
    return parser


def _remappings(text: str) -> tuple[tuple[str, str], ...]:
    try:
        return remappings(text)
    except SmolFusionError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _path(text: str) -> str:
    return str(Path(text).absolute()) if text else ""


if __name__ == "__main__":
    raise SystemExit(main())
