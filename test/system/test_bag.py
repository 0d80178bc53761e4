"""A recorded visit, played into the motion gate at its own pace, and played again: time jumps back."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import CompressedImage, Image

from smolfusion_ros.demo.bag import Recording, write_visit_bag
from smolfusion_ros.nodes import _qos
from smolfusion_ros.vision.visit import SCRIPT
from system.probe import Heard, Probe, stamp_ns
from system.stack import Stack, running

pytestmark = pytest.mark.system

SECOND = 1_000_000_000
# Long enough for the visitor to come in.
SECONDS = 4.0
KINDS = {"raw": (Image, "image"), "compressed": (CompressedImage, "image/compressed")}


@pytest.fixture(params=KINDS)
def transport(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def bag(transport: str, tmp_path: Path) -> Path:
    # Frames below the 512 KB of shared memory that a process has for what it sends unless told otherwise.
    recording = Recording(SECONDS, 320, 240, compressed=transport == "compressed", start_ns=time.time_ns())
    write_visit_bag(tmp_path / "bag", recording)
    return tmp_path / "bag"


@pytest.fixture
def stack(transport: str, tmp_path: Path) -> Iterator[Stack]:
    with running(tmp_path / "stack", "motion_gate", image_transport=transport) as started:
        yield started


def play(path: Path, probe: Probe, transport: str) -> list[int]:
    """Publish the frames of a bag as they were recorded; their stamps, nanoseconds."""
    kind, topic = KINDS[transport]
    images = probe.publisher(kind, topic, _qos.SENSOR)
    time.sleep(0.3)  # the reader must have found this writer too
    stamps, begun = [], time.monotonic()
    with Reader(path) as reader:
        connections = [each for each in reader.connections if each.topic == f"/smolfusion/{topic}"]
        for _, at_ns, data in reader.messages(connections):
            image = deserialize_message(bytes(data), kind)
            time.sleep(max(0.0, begun + (at_ns - reader.start_time) / SECOND - time.monotonic()))
            images.publish(image)
            stamps.append(stamp_ns(image.header.stamp))
    probe.node.destroy_publisher(images)
    return stamps


def test_a_visit_gives_keyframes_each_time_it_is_played(stack: Stack, bag: Path, transport: str) -> None:
    probe, motion, keyframes = stack.probe, stack.probe.heard("motion"), Heard("keyframe/compressed")
    probe.node.create_subscription(CompressedImage, "keyframe/compressed", keyframes.take, _qos.KEYFRAME)
    before = 0
    for turn in ("first", "second"):
        known = len(keyframes)
        stamps = play(bag, probe, transport)
        time.sleep(0.3)  # the last frames are being judged
        seen, before = motion.messages()[-1].frames_seen - before, motion.messages()[-1].frames_seen
        forwarded_s = [(stamp_ns(each.header.stamp) - stamps[0]) / SECOND for each in keyframes.messages(known)]
        print(f"{transport}, {turn} time: {seen} of {len(stamps)} frames, keyframes at {forwarded_s}")
        assert seen >= 0.9 * len(stamps)
        entered_s = [at_s for at_s in forwarded_s if SCRIPT["enters"] < at_s < SCRIPT["stands"]]
        assert 1 <= len(entered_s) <= 3
        # The picture of the empty room is new at the start, and so it is after the visitor's.
        assert forwarded_s[0] < 0.5
        assert not [at_s for at_s in forwarded_s if 1.5 < at_s < SCRIPT["enters"]]
