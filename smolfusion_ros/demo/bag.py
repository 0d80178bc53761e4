"""``ros2 run smolfusion_ros write_visit_bag``: the rendered visit and what the visitor says, as a rosbag2 directory.

Written by the ``rosbags`` library, which needs no ROS to run; ``ros2 bag play`` then stands in for camera and person.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from smolfusion_ros.bringup.paths import share_directory
from smolfusion_ros.demo.visitor import VISIT, spoken_during
from smolfusion_ros.errors import ConfigurationError, SmolFusionError
from smolfusion_ros.vision.visit import Frame, Visit
from smolfusion_ros.vision.workers import encode_jpeg

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
UTTERANCE = "smolfusion_ros/msg/Utterance"
JPEG_QUALITY = 90
SPEECH_S_PER_WORD = 0.35
# Humble to Kilted read it; the next one writes QoS in a way that Humble does not understand.
BAG_VERSION: Final = 8
_NS = 1_000_000_000


@dataclass(frozen=True)
class Recording:
    """What to write; raises ConfigurationError for a length or size out of range.

    Attributes:
        seconds: length; the visit takes half a minute and then begins again.
        width, height: pixels.
        compressed: JPEG on ``image/compressed`` instead of raw frames on ``image``.
        namespace: of the topics.
        seed: another one gives another visitor in another room.
        start_ns: stamp of the first frame, nanoseconds since the epoch.
    """

    seconds: float = Visit.duration_s
    width: int = 640
    height: int = 480
    compressed: bool = False
    namespace: str = "/smolfusion"
    seed: int = 0
    start_ns: int = 0

    def __post_init__(self) -> None:
        if not 0.1 <= self.seconds <= 3600.0:
            raise ConfigurationError(f"seconds is {self.seconds:g}: use 0.1 to 3600")
        if not (32 <= self.width <= 7680 and 32 <= self.height <= 4320):
            raise ConfigurationError(f"size is {self.width}x{self.height}: use 32x32 to 7680x4320")

    @property
    def frames(self) -> int:
        return math.floor(self.seconds * Visit.fps + 1e-6)

    @property
    def image_type(self) -> str:
        return COMPRESSED if self.compressed else IMAGE

    def topic(self, name: str) -> str:
        return f"/{self.namespace.strip('/')}/{name}".replace("//", "/")

    def visit(self) -> Visit:
        return Visit(self.width, self.height, seed=self.seed)

    def spoken(self) -> list[tuple[float, str]]:
        """The visitor's lines, (second, text) in order, of every visit again."""
        visit = self.visit()

        def scene_at(time_s: float) -> str:
            persons = [person for person in visit.truth_at(time_s).persons if person.visible]
            if not persons:
                return "nobody"
            return "person waving" if persons[0].gesture == "waving" else "person"

        once = spoken_during(VISIT, scene_at, visit.duration_s)
        begins_s = [index * visit.duration_s for index in range(math.ceil(self.seconds / visit.duration_s))]
        return [(begin_s + said_s, text) for begin_s in begins_s for said_s, text in once]


class Messages:
    """Makes and serialises messages as the oldest supported distribution defines them.

    Raises ConfigurationError if the library or the definition of an utterance is missing.
    """

    def __init__(self) -> None:
        try:
            from rosbags.typesys import Stores, get_types_from_msg, get_typestore
        except ImportError as error:
            raise ConfigurationError(
                f"the library that writes bags is missing ({error}): pip install rosbags"
            ) from error
        path = share_directory() / "msg" / "Utterance.msg"
        try:
            definition = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"the definition of an utterance cannot be read: {error}") from error
        self.types: Any = get_typestore(Stores.ROS2_HUMBLE)
        self.types.register(get_types_from_msg(definition, UTTERANCE))

    def image(self, frame: Frame, stamp_ns: int, compressed: bool) -> Any:
        """A frame (HxWx3 uint8 BGR), raw or as a JPEG."""
        height, width = frame.shape[:2]
        header = self._header(stamp_ns, "camera")
        if compressed:
            jpeg = encode_jpeg(frame, max(width, height), JPEG_QUALITY)
            return self._make(COMPRESSED, header=header, format="jpeg", data=np.frombuffer(jpeg, np.uint8))
        return self._make(
            IMAGE,
            header=header,
            height=height,
            width=width,
            encoding="bgr8",
            is_bigendian=0,
            step=3 * width,
            data=np.ascontiguousarray(frame).reshape(-1),
        )

    def utterance(self, text: str, stamp_ns: int) -> Any:
        """A line of the visitor's, said up to its stamp."""
        begun_ns = stamp_ns - round(SPEECH_S_PER_WORD * len(text.split()) * _NS)
        return self._make(
            UTTERANCE,
            header=self._header(stamp_ns, ""),
            session_id="",
            text=text,
            language="en",
            confidence=1.0,
            start=self._time(begun_ns),
        )

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        return self._make("std_msgs/msg/Header", stamp=self._time(stamp_ns), frame_id=frame_id)

    def _time(self, stamp_ns: int) -> Any:
        return self._make("builtin_interfaces/msg/Time", sec=stamp_ns // _NS, nanosec=stamp_ns % _NS)

    def _make(self, kind: str, **fields: Any) -> Any:
        return self.types.types[kind](**fields)


def write_visit_bag(path: Path, recording: Recording, progress: Callable[[int], None] | None = None) -> None:
    """Write a rosbag2 directory with MCAP storage.

    Args:
        progress: called with the number of frames written so far.

    Raises:
        ConfigurationError: the path exists, the disk has no room, or the library is missing.
    """
    if path.exists():
        raise ConfigurationError(f"{path} is there already: choose another --output, or remove it")
    _check_room(path, recording)
    messages = Messages()
    try:
        _write(path, recording, messages, progress or (lambda _: None))
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)  # half a bag has no index and cannot be played
        raise


def _write(path: Path, recording: Recording, messages: Messages, progress: Callable[[int], None]) -> None:
    from rosbags.rosbag2 import StoragePlugin, Writer

    visit, spoken = recording.visit(), recording.spoken()
    with Writer(path, version=BAG_VERSION, storage_plugin=StoragePlugin.MCAP) as bag:

        def topic(name: str, kind: str, depth: int, reliable: bool) -> Callable[[int, Any], None]:
            connection = bag.add_connection(
                recording.topic(name), kind, typestore=messages.types, offered_qos_profiles=[_qos(depth, reliable)]
            )
            return lambda at_ns, message: bag.write(connection, at_ns, messages.types.serialize_cdr(message, kind))

        image = topic("image/compressed" if recording.compressed else "image", recording.image_type, 1, False)
        utterance = topic("utterance", UTTERANCE, 10, True)
        for index in range(recording.frames):
            time_s = index / visit.fps
            while spoken and spoken[0][0] <= time_s:
                said_s, text = spoken.pop(0)
                said_ns = recording.start_ns + round(said_s * _NS)
                utterance(said_ns, messages.utterance(text, said_ns))
            drawn_ns = recording.start_ns + round(time_s * _NS)
            image(drawn_ns, messages.image(visit.frame_at(time_s), drawn_ns, recording.compressed))
            progress(index + 1)


def _qos(depth: int, reliable: bool) -> Any:
    """What camera and microphone offer, and ``ros2 bag play`` then does."""
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    infinite = QosTime(sec=9223372036, nsec=854775807)  # RMW_DURATION_INFINITE
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=depth,
        reliability=QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        durability=QosDurability.VOLATILE,
        deadline=infinite,
        lifespan=infinite,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=infinite,
        avoid_ros_namespace_conventions=False,
    )


def _check_room(path: Path, recording: Recording) -> None:
    directory = next(parent for parent in path.absolute().parents if parent.is_dir())
    pixels, free = recording.frames * recording.width * recording.height, shutil.disk_usage(directory).free
    needed = pixels // 2 if recording.compressed else 3 * pixels
    if needed > free:
        raise ConfigurationError(
            f"the bag takes {needed / 1e6:.0f} MB and {directory} has {free / 1e6:.0f} MB left: "
            "use --compressed, or fewer --seconds"
        )


def _size_of(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir())


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns 0, or 2 with a message on stderr."""
    arguments = _parser().parse_args(argv)
    path, begun = arguments.output, time.monotonic()
    try:
        recording = Recording(
            seconds=arguments.seconds,
            width=arguments.size[0],
            height=arguments.size[1],
            compressed=arguments.compressed,
            namespace=arguments.namespace,
            seed=arguments.seed,
            start_ns=time.time_ns(),
        )

        def progress(frames: int) -> None:
            if frames % round(Visit.fps) == 0:
                share = frames / recording.frames
                print(
                    f"\r{share:4.0%} of {recording.seconds:g} s, {_size_of(path) / 1e6:.0f} MB", end="", file=sys.stderr
                )

        write_visit_bag(path, recording, progress)
    except SmolFusionError as error:
        print(f"write_visit_bag: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"\n{path}: {_size_of(path) / 1e6:.1f} MB in {time.monotonic() - begun:.1f} s", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="write_visit_bag", description="Write the rendered visit, with what the visitor says, as a rosbag2 bag."
    )
    parser.add_argument("--output", type=Path, default=Path("visit_bag"), help="directory to make (visit_bag)")
    parser.add_argument("--seconds", type=float, default=Visit.duration_s, help="length (30, one visit)")
    parser.add_argument("--size", type=_size, default=(640, 480), metavar="WxH", help="of the frames (640x480)")
    parser.add_argument("--compressed", action="store_true", help="JPEG on image/compressed instead of raw frames")
    parser.add_argument("--namespace", default="/smolfusion", help="prefix of the topics (/smolfusion)")
    parser.add_argument("--seed", type=int, default=0, help="another visitor in another room")
    return parser


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(each) for each in text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 640x480") from None
    return width, height


if __name__ == "__main__":
    raise SystemExit(main())
