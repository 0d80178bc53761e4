"""The visit as a bag: what is read back is what was drawn and said, and ROS reads it too."""

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from ament_index_python.packages import get_package_share_directory
from rclpy.serialization import deserialize_message
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import CompressedImage, Image
from smolfusion_ros.msg import Utterance

from smolfusion_ros.demo import bag
from smolfusion_ros.demo.bag import Messages, Recording, main, write_visit_bag
from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.vision.visit import SCRIPT, Visit

START_NS = 1_790_000_000_123_456_789
SECOND = 1_000_000_000
SMALL = {"width": 64, "height": 48, "start_ns": START_NS}


def read(path: Path) -> list[tuple[str, str, int, bytes]]:
    """Topic, type, time and data of every message, in the order of the bag."""
    with Reader(path) as reader:
        return [(each.topic, each.msgtype, at_ns, bytes(data)) for each, at_ns, data in reader.messages()]


def stamp_ns(message: Any) -> int:
    return message.header.stamp.sec * SECOND + message.header.stamp.nanosec


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "raw"
    write_visit_bag(path, Recording(seconds=30.0, **SMALL))
    return path


def test_every_frame_is_read_back_as_it_was_drawn(raw: Path) -> None:
    types, visit = Messages().types, Visit(64, 48)
    images = [each for each in read(raw) if each[0] == "/smolfusion/image"]
    assert len(images) == 900
    for index, (_, kind, at_ns, data) in enumerate(images):
        image = types.deserialize_cdr(data, kind)
        assert (image.height, image.width, image.encoding, image.step) == (48, 64, "bgr8", 192)
        assert np.array_equal(image.data.reshape(48, 64, 3), visit.frame_at(index / 30))
        assert stamp_ns(image) == at_ns == START_NS + round(index * SECOND / 30)


def test_times_never_go_back(raw: Path) -> None:
    times = [at_ns for _, _, at_ns, _ in read(raw)]
    assert times == sorted(times)
    assert times[0] == START_NS


def test_the_visitor_says_every_line_when_its_cue_is_seen(raw: Path) -> None:
    types = Messages().types
    lines = [(at_ns, types.deserialize_cdr(data, kind)) for topic, kind, at_ns, data in read(raw) if "utter" in topic]
    said_s = {message.text: (at_ns - START_NS) / SECOND for at_ns, message in lines}
    print(said_s)
    assert len(said_s) == 6
    assert SCRIPT["stands"] <= said_s["nod please"] < SCRIPT["smiles"]
    assert SCRIPT["waves"] < said_s["please wave back with your right hand"] < SCRIPT["rests"]
    assert max(said_s.values()) < SCRIPT["leaves"]
    assert min(np.diff(list(said_s.values()))) >= 1.0
    for at_ns, message in lines:
        assert (stamp_ns(message), message.session_id, message.language) == (at_ns, "", "en")
        assert 0.3 < (at_ns - message.start.sec * SECOND - message.start.nanosec) / SECOND < 4.0


def test_ros_reads_what_was_written(raw: Path) -> None:
    messages = read(raw)
    _, _, at_ns, data = next(each for each in messages if each[1] == bag.IMAGE)
    image = deserialize_message(data, Image)
    assert (stamp_ns(image), image.header.frame_id, len(image.data)) == (at_ns, "camera", 64 * 48 * 3)
    _, _, at_ns, data = next(each for each in messages if each[1] == bag.UTTERANCE)
    utterance = deserialize_message(data, Utterance)
    assert (stamp_ns(utterance), utterance.text, utterance.confidence) == (at_ns, "nod please", 1.0)


def test_metadata_tells_topics_counts_and_what_camera_and_microphone_offer(raw: Path) -> None:
    told = yaml.safe_load((raw / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert (told["storage_identifier"], told["version"], told["message_count"]) == ("mcap", 8, 906)
    topics = {each["topic_metadata"]["name"]: each for each in told["topics_with_message_count"]}
    assert {name: each["message_count"] for name, each in topics.items()} == {
        "/smolfusion/image": 900,
        "/smolfusion/utterance": 6,
    }
    with Reader(raw) as reader:
        offered = {each.topic: each.ext.offered_qos_profiles[0] for each in reader.connections}
    assert offered["/smolfusion/image"].reliability is QosReliability.BEST_EFFORT
    assert offered["/smolfusion/utterance"].reliability is QosReliability.RELIABLE
    assert all(each.durability is QosDurability.VOLATILE for each in offered.values())


def test_the_type_hashes_are_those_of_the_built_messages(raw: Path) -> None:
    told = yaml.safe_load((raw / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    for each in told["topics_with_message_count"]:
        package, _, name = each["topic_metadata"]["type"].split("/")
        path = Path(get_package_share_directory(package)) / "msg" / f"{name}.json"
        if not path.exists():
            pytest.skip("this distribution of ROS 2 has no type hashes")
        assert each["topic_metadata"]["type_description_hash"] in path.read_text()


def test_compressed_frames_are_jpegs_of_what_was_drawn(tmp_path: Path) -> None:
    write_visit_bag(tmp_path / "bag", Recording(seconds=1.0, compressed=True, namespace="robot/", **SMALL))
    images = [each for each in read(tmp_path / "bag") if each[0] == "/robot/image/compressed"]
    assert len(images) == 30
    visit = Visit(64, 48)
    for index, (_, kind, _, data) in enumerate(images):
        assert kind == bag.COMPRESSED
        image = deserialize_message(data, CompressedImage)
        decoded = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR)
        assert np.abs(decoded.astype(int) - visit.frame_at(index / 30)).mean() < 6


def test_a_longer_bag_holds_the_visit_again(tmp_path: Path) -> None:
    spoken = Recording(seconds=61.0, **SMALL).spoken()
    assert len(spoken) == 18
    assert spoken[6] == (spoken[0][0] + 30.0, spoken[0][1])


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    with pytest.raises(ConfigurationError, match="there already"):
        write_visit_bag(tmp_path / "bag", Recording(seconds=1.0, **SMALL))
    assert not any((tmp_path / "bag").iterdir())


def test_a_bag_that_was_not_finished_is_removed(tmp_path: Path) -> None:
    def interrupt(frames: int) -> None:
        if frames == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_visit_bag(tmp_path / "bag", Recording(seconds=1.0, **SMALL), interrupt)
    assert not (tmp_path / "bag").exists()


def test_a_full_disk_is_told_of_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bag.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10_000_000}))
    with pytest.raises(ConfigurationError, match=r"takes 829 MB .* 10 MB left"):
        write_visit_bag(tmp_path / "bag", Recording())
    assert not (tmp_path / "bag").exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"seconds": 0.0}, "seconds is 0"), ({"seconds": float("nan")}, "nan"), ({"width": 8}, "8x480")],
)
def test_nonsense_is_refused_with_its_value(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Recording(**wrong)


def test_the_command_writes_tells_its_size_and_refuses_to_overwrite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--output", str(tmp_path / "bag"), "--seconds", "2", "--size", "64x48"]
    assert main(line) == 0
    assert "100% of 2 s" in capsys.readouterr().err
    [first, *_] = read(tmp_path / "bag")
    assert abs(first[2] - time.time_ns()) < 60 * SECOND
    assert main(line) == 2
    assert "there already" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--size", "large"])
