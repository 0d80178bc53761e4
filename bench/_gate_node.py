"""The motion gate's node alone with a camera in another process: what it costs, and how soon it judges a frame."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage
from smolfusion_ros.msg import MotionState

from bench._stack import NAMESPACE
from smolfusion_ros.bringup.profile import load_profile
from smolfusion_ros.bringup.runner import command
from smolfusion_ros.bringup.stack import Options, camera_environment, describe
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._messages import stamp_ns
from smolfusion_ros.nodes._spinning import spinning

DOMAIN_ID = 87
_PROFILE = "embedded"
_START_S = 120.0
_END_S = 10.0


@dataclass(frozen=True)
class Picture:
    """What a camera sends: a source, frame size in pixels, transport, and which part of the source (seconds).

    ``loop`` None: ``video_source`` itself plays the whole source, drawing every frame as it goes.
    """

    source: str
    width: int
    height: int
    transport: str
    loop: tuple[float, float] | None = None


@dataclass(frozen=True)
class NodeFigures:
    """What was measured: CPU as a share of one core, frames a second, keyframes, ages in milliseconds.

    Attributes:
        age_median_ms, age_p95_ms, age_most_ms: from a frame's stamp to the arrival of its verdict in this process.
        cpu: of the node's process, user and system.
    """

    cpu: float
    fps: float
    keyframes: int
    age_median_ms: float
    age_p95_ms: float
    age_most_ms: float


class Watcher(Node):
    """Hears what the gate says, and notes how old each frame is by then."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.ages_ms: list[float] = []
        self.keyframes = 0
        self.heard = threading.Event()
        self.create_subscription(MotionState, "motion", self._on_motion, _qos.SENSOR)
        self.create_subscription(CompressedImage, "keyframe/compressed", self._on_keyframe, _qos.KEYFRAME)

    def _on_motion(self, motion: MotionState) -> None:
        self.ages_ms.append((self.get_clock().now().nanoseconds - stamp_ns(motion.header.stamp)) * 1e-6)
        self.heard.set()

    def _on_keyframe(self, _keyframe: CompressedImage) -> None:
        self.keyframes += 1


def measured(picture: Picture, settle_s: float, seconds: float) -> NodeFigures:
    """Run the node with a camera; RuntimeError where it hears no frame within two minutes."""
    os.environ["ROS_DOMAIN_ID"] = str(DOMAIN_ID)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    video = "" if picture.loop else picture.source
    options = Options(
        namespace=NAMESPACE,
        image_transport=picture.transport,
        video=video,
        nodes=("motion_gate",),
        start_backends=False,
        log_level="warn",
    )
    processes = {each.name: each for each in describe(load_profile(_PROFILE), _PROFILE, options)}
    gate, camera = command(processes["motion_gate"], options), _camera_line(picture)
    if video:
        camera = command(processes["video_source"], options)
        camera += ["-p", f"width_px:={picture.width}", "-p", f"height_px:={picture.height}"]
    with (
        _running("motion_gate", gate, {}) as (node, log),
        spinning(lambda: Watcher("bench", namespace=NAMESPACE)) as watcher,
        _running("camera", camera, camera_environment()),
    ):
        if not watcher.heard.wait(_START_S):
            raise RuntimeError(f"motion_gate judged no frame: see {log}")
        time.sleep(settle_s)
        known, keyframes = len(watcher.ages_ms), watcher.keyframes
        begun_s, used_s = time.monotonic(), _cpu_s(node)
        time.sleep(seconds)
        elapsed_s, used_s = time.monotonic() - begun_s, _cpu_s(node) - used_s
        ages_ms = sorted(watcher.ages_ms[known:])
        keyframes = watcher.keyframes - keyframes
    if not ages_ms:
        raise RuntimeError(f"motion_gate stopped judging frames: see {log}")
    return NodeFigures(
        cpu=used_s / elapsed_s,
        fps=len(ages_ms) / elapsed_s,
        keyframes=keyframes,
        age_median_ms=median(ages_ms),
        age_p95_ms=ages_ms[int(0.95 * (len(ages_ms) - 1))],
        age_most_ms=ages_ms[-1],
    )


def _camera_line(picture: Picture) -> list[str]:
    begin_s, length_s = picture.loop or (0.0, 0.0)
    line = [sys.executable, "-m", "bench._camera", "--source", picture.source, "--namespace", NAMESPACE]
    line += ["--width", str(picture.width), "--height", str(picture.height), "--transport", picture.transport]
    return [*line, "--begin", str(begin_s), "--seconds", str(length_s)]


@contextmanager
def _running(
    name: str, line: Sequence[str], environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A process until the block is left; its log stays."""
    log = Path(tempfile.mkdtemp(prefix="smolfusion-bench-")) / f"{name}.log"
    with log.open("wb") as output:
        variables = {**os.environ, **environment}
        process = subprocess.Popen(line, stdout=output, stderr=subprocess.STDOUT, env=variables)
    try:
        yield process, log
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _cpu_s(process: subprocess.Popen[bytes]) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return times.user + times.system
