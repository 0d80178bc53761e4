"""A camera that sends nonsense, stops, returns, changes its format, or has a clock that jumps: the gate goes on.

Frames stay below the 512 KB of shared memory that a process has for what it sends unless told otherwise.
"""

import struct
import time
from array import array
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import psutil
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from smolfusion_ros.nodes import _qos
from system.camera import RATE_HZ
from system.probe import Heard, stamp_ns, until
from system.stack import Stack, running

pytestmark = pytest.mark.system

SECOND = 1_000_000_000
Picture = NDArray[np.uint8]
Stamps = Callable[[int], int]


def room(width: int = 320, height: int = 240, square_x: int | None = None) -> Picture:
    """A still room, HxWx3 uint8 BGR, with a bright square in it."""
    dice = np.random.default_rng(5)
    picture = cv2.resize(dice.integers(60, 180, (12, 16, 3), dtype=np.uint8), (width, height))
    if square_x is not None:
        picture[height // 3 : height // 2, square_x : square_x + width // 6] = 250
    return picture


def raw(picture: Picture, encoding: str = "bgr8") -> Image:
    height, width = picture.shape[:2]
    return Image(
        height=height,
        width=width,
        encoding=encoding,
        step=picture.nbytes // height,
        data=array("B", picture.tobytes()),
    )


def jpeg(picture: Picture) -> CompressedImage:
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 50, cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1]
    return CompressedImage(format="jpeg", data=array("B", encoded.tobytes()))


class Bench:
    """Plays the camera, and watches the gate."""

    def __init__(self, stack: Stack, kind: type, topic: str) -> None:
        self.stack = stack
        probe = stack.probe
        self.motion = probe.heard("motion")
        self.keyframes, self.diagnostics = Heard("keyframe/compressed"), probe.heard("/diagnostics")
        probe.node.create_subscription(CompressedImage, "keyframe/compressed", self.keyframes.take, _qos.KEYFRAME)
        self._images = probe.publisher(kind, topic, _qos.SENSOR)
        until(lambda: self._images.get_subscription_count(), "the gate's subscription")
        time.sleep(0.3)  # the reader must have found this writer too

    def send(self, image: Image | CompressedImage, stamp: int | None = None) -> int:
        """One frame, stamped with the clock unless told otherwise; its stamp, nanoseconds."""
        stamp = time.time_ns() if stamp is None else stamp
        image.header.stamp = Time(sec=stamp // SECOND, nanosec=stamp % SECOND)
        self._images.publish(image)
        return stamp

    def show(
        self, pictures: list[Picture], stamps: Stamps | None = None, encoding: str = "bgr8"
    ) -> list[tuple[int, bool]]:
        """Frames at 30 Hz; for each its stamp and whether the gate made it a keyframe."""
        known, due, sent = len(self.motion), time.monotonic(), []
        before = self.motion.messages()[-1].frames_forwarded if known else 0
        for index, picture in enumerate(pictures):
            sent.append(self.send(raw(picture, encoding), None if stamps is None else stamps(index)))
            due += 1.0 / RATE_HZ
            time.sleep(max(0.0, due - time.monotonic()))
        until(lambda: len(self.motion) >= known + len(pictures), f"motion for {len(pictures)} frames", 3.0)
        answers = self.motion.messages(known)
        assert [stamp_ns(each.header.stamp) for each in answers] == sent
        forwarded = [before, *(each.frames_forwarded for each in answers)]
        return [(stamp, now > was) for stamp, was, now in zip(sent, forwarded[:-1], forwarded[1:], strict=True)]

    def is_told(self, level: bytes, word: str, timeout_s: float = 5.0) -> DiagnosticStatus:
        """The camera's status, as soon as it is as it should be."""
        return self.stack.probe.wait_for_status(
            "motion_gate: camera", lambda camera: camera.level == level and word in camera.message, timeout_s
        )[0]

    def refuses(self, image: Image | CompressedImage, word: str) -> str:
        """The log line about a frame that must be refused."""
        log, known = self.stack.workplace.log("motion_gate"), len(self.motion)
        read = len(log.read_text())

        def line() -> str:
            fresh = log.read_text()[read:].splitlines()
            return next((each for each in fresh if "frame dropped" in each and word in each), "")

        self.send(image)
        until(line, f"a log line with {word!r}", 3.0)
        assert len(self.motion) == known
        return line().split("]: ")[-1]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running(tmp_path_factory.mktemp("raw"), "motion_gate") as stack:
        yield Bench(stack, Image, "image")


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running(tmp_path_factory.mktemp("compressed"), "motion_gate", image_transport="compressed") as stack:
        yield Bench(stack, CompressedImage, "image/compressed")


def test_a_camera_that_has_not_begun_is_told_of(bench: Bench) -> None:
    status = bench.is_told(DiagnosticStatus.WARN, "no frame for")
    assert {each.key: each.value for each in status.values}["publishers"] == "1"


def test_every_kind_of_broken_frame_is_logged_dropped_and_survived(bench: Bench) -> None:
    data = array("B", bytes(64 * 48 * 3))
    good = {"width": 64, "height": 48, "encoding": "bgr8", "step": 192, "data": data}
    broken = {
        "0x0": Image(encoding="bgr8"),
        "step is 64": Image(**{**good, "step": 64}),
        "step is 0": Image(**{**good, "step": 0}),
        "step 200 x height 48": Image(**{**good, "step": 200}),
        "step 4294967295 x": Image(**{**good, "step": 2**32 - 1}),
        "4294967295x4294967295": Image(**{**good, "width": 2**32 - 1, "height": 2**32 - 1, "step": 2**32 - 1}),
        "no data": Image(**{**good, "data": array("B")}),
        "data is 9216 bytes": Image(**{**good, "encoding": "bgra8", "step": 256}),
        "'infrared9'": Image(**{**good, "encoding": "infrared9"}),
        "'16UC1'": Image(**{**good, "encoding": "16UC1"}),
        "1x1": raw(np.zeros((1, 1, 3), np.uint8)),
        "64x15": raw(np.zeros((15, 64, 3), np.uint8)),
    }
    for word, image in broken.items():
        print(bench.refuses(image, word))
    status = bench.is_told(DiagnosticStatus.ERROR, "frames are refused: frame is 64x15")
    assert {each.key: each.value for each in status.values}["refused"] == str(len(broken))
    assert bench.show([room()] * 3)[0][1]


def test_a_running_camera_is_told_of_with_its_rate(bench: Bench) -> None:
    known = len(bench.diagnostics)
    bench.show([room()] * 75)
    told = [each.status[0].message for each in bench.diagnostics.messages(known)]
    print(told)
    assert any(message.endswith("fps 320x240 bgr8") and 28 < float(message.split()[0]) < 32 for message in told)


def test_a_camera_that_returns_to_another_picture_gives_a_keyframe_at_once(bench: Bench) -> None:
    bench.show([room()] * 15)
    time.sleep(1.2)
    assert not any(forwarded for _, forwarded in bench.show([room()] * 5))
    time.sleep(1.2)
    known = len(bench.keyframes)
    [first, *_] = bench.show([room(square_x=150)] * 20)
    assert first[1]
    assert stamp_ns(bench.keyframes.wait_for(since=known).message.header.stamp) == first[0]


def test_another_resolution_and_encoding_are_taken_as_they_come(bench: Bench) -> None:
    bench.show([room(square_x=150)] * 20)
    [first, *rest] = bench.show([room(400, 300, square_x=200)] * 10)
    assert first[1] and not any(forwarded for _, forwarded in rest)
    grey = cv2.cvtColor(room(400, 300, square_x=200), cv2.COLOR_BGR2GRAY)
    same = {
        "rgb8": cv2.cvtColor(room(400, 300, square_x=200), cv2.COLOR_BGR2RGB),
        "mono8": grey,
        "mono16": grey.astype(np.uint16) << 8,
        "yuyv": np.dstack((grey, np.full_like(grey, 128))),
    }
    for encoding, picture in same.items():
        assert not any(forwarded for _, forwarded in bench.show([picture] * 5, encoding=encoding)), encoding
    bench.show([room()] * 20)


# What the stamps do (from the frame's index, the clock, and when they began, nanoseconds), and what is told of them.
STAMPS: dict[str, tuple[Callable[[int, int, int], int], str]] = {
    "an hour ahead": (lambda index, now, begun: now + 3600 * SECOND, "differs by -3600"),
    "an hour behind": (lambda index, now, begun: now - 3600 * SECOND, "differs by 3600"),
    "zero": (lambda index, now, begun: 0, "differs by 1"),
    "to and fro": (lambda index, now, begun: now + (-1) ** index * 3600 * SECOND, "differs by"),
}


@pytest.mark.parametrize("kind", STAMPS)
def test_whatever_the_stamps_motion_is_seen_and_comes_to_rest(bench: Bench, kind: str) -> None:
    stamp, told = STAMPS[kind]
    begun = time.time_ns()

    def stamps(index: int) -> int:
        return stamp(index, time.time_ns(), begun)

    bench.show([room()] * 15)
    moving = [room(square_x=20 + 4 * index) for index in range(20)]
    during = bench.show(moving, stamps)
    after = bench.show([moving[-1]] * 20, lambda index: stamps(20 + index))
    bench.is_told(DiagnosticStatus.WARN, told)
    indices = [index for index, (_, forwarded) in enumerate(during + after) if forwarded]
    print(f"stamps {kind}: keyframes {indices} of 20 moving frames and 20 at rest")
    assert indices[0] <= 4
    assert 3 <= len(indices) <= 4
    assert indices[-1] >= 20
    assert not bench.motion.messages()[-1].active


def test_every_kind_of_broken_picture_is_logged_dropped_and_survived(compressed: Bench) -> None:
    whole = bytes(jpeg(room()).data)
    bomb = bytearray(cv2.imencode(".png", room(64, 48))[1].tobytes())
    bomb[16:24] = struct.pack(">II", 50_000, 50_000)
    broken = {
        "no data": b"",
        "truncated": whole[: len(whole) // 2],
        "neither a JPEG nor a PNG": b"GIF89a, or so",
        "50000x50000": bytes(bomb),
        "1x1": bytes(jpeg(np.zeros((1, 1, 3), np.uint8)).data),
    }
    for word, data in broken.items():
        print(compressed.refuses(CompressedImage(format="jpeg", data=array("B", data)), word))
    compressed.send(jpeg(room()))
    compressed.motion.wait_for()


def test_a_jpeg_of_a_keyframes_size_goes_on_byte_for_byte(compressed: Bench) -> None:
    image, known = jpeg(room(640, 480)), len(compressed.keyframes)
    time.sleep(0.5)  # another size is not looked at more often than motion
    compressed.send(image)
    assert compressed.keyframes.wait_for(since=known).message.data == image.data


def test_an_8k_picture_becomes_a_keyframe_of_the_usual_size(compressed: Bench) -> None:
    image, known = jpeg(room(7680, 4320)), len(compressed.keyframes)
    time.sleep(0.5)  # another size is not looked at more often than motion
    begun = time.perf_counter()
    stamp = compressed.send(image)
    motion = compressed.motion.wait_for(lambda message: stamp_ns(message.header.stamp) == stamp)
    keyframe = compressed.keyframes.wait_for(since=known)
    memory_mb = psutil.Process(compressed.stack.pids()["motion_gate"]).memory_info().rss / 1e6
    print(f"8K JPEG of {len(image.data) / 1e6:.1f} MB: motion after {(motion.at_s - begun) * 1e3:.0f} ms", end=", ")
    print(f"keyframe after {(keyframe.at_s - begun) * 1e3:.0f} ms, motion_gate holds {memory_mb:.0f} MB")
    assert keyframe.at_s - begun < 3.0
    decoded = cv2.imdecode(np.frombuffer(keyframe.message.data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (360, 640, 3)
