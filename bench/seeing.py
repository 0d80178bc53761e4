"""From a keyframe to the scene, beside the bare backend: python -m bench.seeing.

Pictures of a visit go to the running stack as keyframes and, in turn, straight to the vision-language model's server
with the same question. Prints a table; never fails.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import threading
import time
from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

from rclpy.node import Node
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import CompressedImage
from smolfusion_ros.msg import Scene

from bench import _json
from bench._stack import NAMESPACE, VLM_PORT, running, wait_for_log
from smolfusion_ros.bringup.profile import load_profile
from smolfusion_ros.llama.client import LlamaClient
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._messages import stamp_ns
from smolfusion_ros.nodes._spinning import spinning
from smolfusion_ros.vision.questions import question_set
from smolfusion_ros.vision.visit import Visit
from smolfusion_ros.vision.workers import encode_jpeg

WAIT_S = 20.0
PAUSE_S = 0.3


class Camera(Node):
    """Publishes keyframes and waits for their scenes."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._sent_ns = 0
        self._seen_s = 0.0
        self._seen = threading.Event()
        self._keyframe = self.create_publisher(CompressedImage, "keyframe/compressed", _qos.KEYFRAME)
        self.create_subscription(Scene, "scene", self._on_scene, _qos.LATCHED)

    def scene_s(self, jpeg: bytes) -> float:
        """Publish a keyframe; seconds until its scene is in this process.

        Raises:
            TimeoutError: there is none within 20 s.
        """
        keyframe = CompressedImage(format="jpeg", data=array.array("B", jpeg))
        keyframe.header.stamp = self.get_clock().now().to_msg()
        self._sent_ns = stamp_ns(keyframe.header.stamp)
        self._seen.clear()
        begun_s = time.perf_counter()
        self._keyframe.publish(keyframe)
        if not self._seen.wait(WAIT_S):
            raise TimeoutError(f"no scene within {WAIT_S:g} s")
        return self._seen_s - begun_s

    def _on_scene(self, scene: Scene) -> None:
        if scene.source == "vlm" and stamp_ns(scene.header.stamp) == self._sent_ns:
            self._seen_s = time.perf_counter()
            self._seen.set()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=60)
    _json.add_option(parser)
    arguments = parser.parse_args()
    visit = Visit(640, 480)
    jpegs = [encode_jpeg(visit.frame_at(0.3 * number % 30.0), 640, 85) for number in range(2 * arguments.times)]
    with running("rendered:still") as stack, spinning(lambda: Camera("bench", namespace=NAMESPACE)) as camera:
        wait_for_log(stack, ["ready"])
        camera.scene_s(jpegs[-1])
        ours_s, bare_s = [], []
        for number in range(0, len(jpegs), 2):
            ours_s.append(camera.scene_s(jpegs[number]))
            bare_s.append(asyncio.run(_bare_s(jpegs[number + 1])))
            time.sleep(PAUSE_S)
    _report(ours_s, bare_s)
    _json.write(arguments.json, {"ours_s": ours_s, "bare_s": bare_s})


async def _bare_s(jpeg: bytes) -> float:
    """Seconds that the backend's own answer takes."""
    questions = question_set(load_profile("embedded").vlm.questions)
    client = LlamaClient(f"http://127.0.0.1:{VLM_PORT}")
    try:
        await client.capabilities()
        begun_s = time.perf_counter()
        await client.ask_about_image(
            jpeg, questions.question, schema=questions.json_schema, max_tokens=questions.max_tokens
        )
        return time.perf_counter() - begun_s
    finally:
        await client.close()


def _report(ours_s: Sequence[float], bare_s: Sequence[float]) -> None:
    table = Table(title=f"one picture, {len(ours_s)} times each, in turn")
    for heading in ("", "median, ms", "p95, ms", "ratio"):
        table.add_column(heading, justify="left" if not heading else "right")
    base_s = median(bare_s)
    for name, seconds in (("keyframe → scene in another process", ours_s), ("the bare backend", bare_s)):
        p95_s = quantiles(seconds, n=20)[-1]
        table.add_row(name, f"{1000 * median(seconds):.0f}", f"{1000 * p95_s:.0f}", f"{median(seconds) / base_s:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
