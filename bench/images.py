"""What images cost between camera and keyframe: python -m bench.images.

Conversions and the gate's core work in one thread's processor time, the JPEG threads in wall time, and the node alone
with a camera in another process: its CPU share and how old a frame is when it is judged. Prints tables; never fails.
"""

from __future__ import annotations

import argparse
import array
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench import _json
from bench._gate_node import NodeFigures, Picture, measured
from smolfusion_ros.vision.frames import (
    compressed_size,
    compressed_to_bgr,
    compressed_to_luma,
    image_to_bgr,
    image_to_luma,
    reduction,
)
from smolfusion_ros.vision.gate import GateConfig, MotionGate
from smolfusion_ros.vision.visit import Visit
from smolfusion_ros.vision.workers import EncoderPool, encode_jpeg

Frame = NDArray[np.uint8]

SIZES = (640, 480), (1920, 1080)
JPEG_QUALITY = 85
# Bytes of a pixel of each encoding that is measured.
ENCODINGS = {
    "bgr8": 3,
    "rgb8": 3,
    "bgra8": 4,
    "mono8": 1,
    "mono16": 2,
    "rgb16": 6,
    "bayer_rggb8": 1,
    "yuv422": 2,
    "yuv422_yuy2": 2,
}
# Someone smiles, then waves: the part of the visit that is shown where the whole of it takes too much memory.
WAVING_S = 11.0, 3.0
PICTURES = (
    Picture("rendered:still", 640, 480, "raw"),
    Picture("rendered:visit", 640, 480, "raw"),
    Picture("rendered:still", 640, 480, "compressed", loop=(0.0, 1.0)),
    Picture("rendered:visit", 640, 480, "compressed", loop=(0.0, 30.0)),
    Picture("rendered:still", 1920, 1080, "raw", loop=(0.0, 1.0)),
    Picture("rendered:visit", 1920, 1080, "raw", loop=WAVING_S),
    Picture("rendered:still", 1920, 1080, "compressed", loop=(0.0, 1.0)),
    Picture("rendered:visit", 1920, 1080, "compressed", loop=WAVING_S),
)
_FRAMES = 30
_POOL_SIZE = 1280, 720
_POOL_FRAMES = 60
_POOL_ROUNDS = 7


@dataclass(frozen=True)
class RawImage:
    """The part of a ``sensor_msgs/Image`` that a conversion reads."""

    height: int
    width: int
    encoding: str
    step: int
    data: array.array[int]
    is_bigendian: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=("core", "pool", "node"), default=("core", "pool", "node"))
    parser.add_argument("--widths", nargs="+", type=int, help="cameras of these widths alone, pixels")
    parser.add_argument("--repeats", type=int, default=200, help="of every core measurement")
    parser.add_argument("--seconds", type=float, default=30.0, help="measured of each camera, after as many seconds …")
    parser.add_argument("--settle", type=float, default=4.0, help="… as these")
    _json.add_option(parser)
    arguments = parser.parse_args()
    console = Console(width=130)
    document: dict[str, object] = {}
    if "core" in arguments.only:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        document["conversions_ms"] = _conversions(console, arguments.repeats)
        document["gate_ms"] = _gate_work(console, arguments.repeats)
        cv2.setNumThreads(threads)
    if "pool" in arguments.only:
        document["pool"] = _pools(console)
    if "node" in arguments.only:
        pictures = [each for each in PICTURES if not arguments.widths or each.width in arguments.widths]
        document["node"] = _nodes(console, pictures, arguments.settle, arguments.seconds)
    _json.write(arguments.json, document)


def cost_ms(work: Callable[[], object], repeats: int) -> float:
    """Median processor time of one call in this thread, milliseconds."""
    costs_ns = []
    for _ in range(repeats + 3):
        begun_ns = time.thread_time_ns()
        work()
        costs_ns.append(time.thread_time_ns() - begun_ns)
    return median(costs_ns[3:]) * 1e-6


def _conversions(console: Console, repeats: int) -> dict[str, dict[str, float]]:
    table = _table("one frame of 640x480 to an array, ms of one thread", "encoding", "grey", "BGR")
    costs = {}
    for encoding in ENCODINGS:
        image = _raw(encoding, 640, 480)
        costs[encoding] = {
            "grey": cost_ms(lambda image=image: image_to_luma(image), repeats),
            "bgr": cost_ms(lambda image=image: image_to_bgr(image), repeats),
        }
    jpeg = array.array("B", encode_jpeg(Visit().frame_at(14.0), 640, JPEG_QUALITY))
    for reduce in (1, 2, 4, 8):
        costs[f"JPEG / {reduce}"] = {
            "grey": cost_ms(lambda reduce=reduce: compressed_to_luma(jpeg, reduce), repeats),
            "bgr": cost_ms(lambda reduce=reduce: compressed_to_bgr(jpeg, reduce), repeats),
        }
    for name, each in costs.items():
        table.add_row(name, f"{each['grey']:.3f}", f"{each['bgr']:.3f}")
    console.print(table)
    return costs


def _gate_work(console: Console, repeats: int) -> dict[str, dict[str, float]]:
    """From a message to a verdict as the node does it; the visitor waves."""
    table = _table("one frame from message to verdict, ms of one thread", "", "to grey", "gate", "both")
    figures = {}
    least = GateConfig().analysis_width_px
    for width, height in SIZES:
        visit = Visit(width, height)
        frames = [visit.frame_at(13.0 + index / visit.fps) for index in range(_FRAMES)]
        raw = [_image(frame) for frame in frames]
        jpegs = [array.array("B", encode_jpeg(frame, max(frame.shape), JPEG_QUALITY)) for frame in frames]
        decode: dict[str, Callable[[int], tuple[Frame, tuple[int, int] | None]]] = {
            "raw": lambda index, raw=raw: (image_to_luma(raw[index]), None),
            "compressed": lambda index, jpegs=jpegs: _reduced(jpegs[index], least),
        }
        for transport, analysed in decode.items():
            to_grey_ns, judge_ns = [], []
            gate = MotionGate()
            for index in range(repeats):
                begun_ns = time.thread_time_ns()
                frame, full_size = analysed(index % _FRAMES)
                decoded_ns = time.thread_time_ns()
                gate.update(frame, index / visit.fps, full_size)
                judged_ns = time.thread_time_ns()
                to_grey_ns.append(decoded_ns - begun_ns)
                judge_ns.append(judged_ns - decoded_ns)
            both_ns = [a + b for a, b in zip(to_grey_ns, judge_ns, strict=True)]
            row = [median(each) * 1e-6 for each in (to_grey_ns, judge_ns, both_ns)]
            figures[f"{width}x{height} {transport}"] = dict(zip(("to_grey", "gate", "both"), row, strict=True))
            table.add_row(f"{width}x{height} {transport}", *(f"{each:.3f}" for each in row))
    console.print(table)
    return figures


def _reduced(jpeg: array.array[int], least_width: int) -> tuple[Frame, tuple[int, int]]:
    size = compressed_size(jpeg)
    return compressed_to_luma(jpeg, reduction(size[0], least_width)), size


def _pools(console: Console) -> dict[str, dict[str, float]]:
    """One thread and two in turn, over and over, so that both see the same machine."""
    table = _table("JPEG of 1280x720 frames", "longest side, px", "1 thread, frames/s", "2 threads", "ratio", "range")
    visit = Visit(*_POOL_SIZE)
    frames = [visit.frame_at(13.0 + index / visit.fps) for index in range(8)]
    figures = {}
    for side in (1280, 640):
        rates: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(_POOL_ROUNDS):
            for threads, known in rates.items():
                known.append(_rate_hz(frames, threads, side))
        ratios = sorted(two / one for one, two in zip(rates[1], rates[2], strict=True))
        one, two, ratio = median(rates[1]), median(rates[2]), median(ratios)
        figures[str(side)] = {"one_hz": one, "two_hz": two, "ratio": ratio, "least": ratios[0], "most": ratios[-1]}
        spread = f"{ratios[0]:.2f}-{ratios[-1]:.2f}"
        table.add_row(str(side), f"{one:.0f}", f"{two:.0f}", f"{ratio:.2f}", spread)
    console.print(table)
    return figures


def _rate_hz(frames: Sequence[Frame], threads: int, side: int) -> float:
    pool = EncoderPool(threads, _POOL_FRAMES)
    try:
        begun_s = time.perf_counter()
        shown = itertools.islice(itertools.cycle(frames), _POOL_FRAMES)
        futures = [pool.encode(lambda frame=frame: frame, side, JPEG_QUALITY) for frame in shown]
        for future in futures:
            future.result()
        return _POOL_FRAMES / (time.perf_counter() - begun_s)
    finally:
        pool.close()


def _nodes(
    console: Console, pictures: Sequence[Picture], settle_s: float, seconds: float
) -> dict[str, dict[str, float]]:
    headings = ("camera", "CPU, % of a core", "frames/s", "keyframes", "age, median, ms", "95 %", "most")
    table = _table(f"motion_gate alone, {seconds:.0f} s each; age: stamp to verdict in another process", *headings)
    figures = {}
    for picture in pictures:
        name = f"{picture.width}x{picture.height} {picture.transport}, {picture.source}"
        try:
            each = measured(picture, settle_s, seconds)
        except RuntimeError as error:
            console.print(f"{name}: {error}")
            continue
        figures[name] = asdict(each)
        table.add_row(name, *_cells(each))
    console.print(table)
    return figures


def _cells(figures: NodeFigures) -> list[str]:
    ages = (figures.age_median_ms, figures.age_p95_ms, figures.age_most_ms)
    counts = [f"{100 * figures.cpu:.1f}", f"{figures.fps:.1f}", str(figures.keyframes)]
    return [*counts, *(f"{age:.1f}" for age in ages)]


def _raw(encoding: str, width: int, height: int) -> RawImage:
    """A picture of noise: what is in it makes no difference to a conversion."""
    step = width * ENCODINGS[encoding]
    noise = np.random.default_rng(0).integers(0, 256, step * height, dtype=np.uint8)
    return RawImage(height, width, encoding, step, array.array("B", noise.tobytes()))


def _image(frame: Frame) -> RawImage:
    height, width = frame.shape[:2]
    return RawImage(height, width, "bgr8", 3 * width, array.array("B", frame.tobytes()))


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


if __name__ == "__main__":
    main()
