"""Sound that cannot be had, or is wrong: it is told, the nodes stay, and what comes later is heard."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticStatus
from smolfusion_ros.msg import AudioChunk, Reply

from smolfusion_ros.nodes import _qos
from smolfusion_ros.speech.sound import SAMPLE_RATE
from system.probe import DIAGNOSTICS
from system.stack import Stack, Workplace, running

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def without_devices(tmp_path_factory) -> Iterator[Stack]:
    place = Workplace(tmp_path_factory.mktemp("devices"))
    if Path("/dev/snd").exists():
        pytest.skip("this machine has sound devices")
    with running(place, "listener", "speaker", voice=True) as started:
        yield started


@pytest.fixture(scope="module")
def on_topics(tmp_path_factory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("topics"), "listener", voice=True, sound="topic") as started:
        yield started


def told(stack: Stack, task: str, level: bytes, words: str, since: int = 0) -> DiagnosticStatus:
    """The first status of a task at that level that has the words in it."""

    def found(array) -> list[DiagnosticStatus]:
        ours = [each for each in array.status if each.name.endswith(task)]
        return [each for each in ours if each.level == level and words in each.message]

    arrival = stack.probe.heard(DIAGNOSTICS).wait_for(found, 20.0, since)
    return found(arrival.message)[0]


def chunk(data: bytes, sample_rate: int = SAMPLE_RATE, channels: int = 1, sample_format: str = "S16LE") -> AudioChunk:
    return AudioChunk(sample_rate=sample_rate, channels=channels, sample_format=sample_format, data=data)


def test_robot_without_sound_devices_says_so_and_stays(without_devices: Stack):
    told(without_devices, "listener: sound", DiagnosticStatus.ERROR, "microphone")
    told(without_devices, "listener: recognition", DiagnosticStatus.OK, "")
    replies = without_devices.probe.publisher(Reply, "reply", _qos.REPLY)
    replies.publish(Reply(turn_id="t", clause="Good morning.", is_final=True))
    told(without_devices, "speaker: voice", DiagnosticStatus.ERROR, "sound device")
    assert all(process.poll() is None for process in without_devices.processes.values())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (chunk(b"\0" * 640, sample_rate=5), "sample_rate is 5"),
        (chunk(b"\0" * 640, channels=0), "channels is 0"),
        (chunk(b"\0" * 640, sample_format="MP3"), "'MP3'"),
        (chunk(b"\0" * 641), "641 bytes"),
        (chunk(b"\xff" * 640, sample_format="F32LE"), "nan"),
    ],
)
def test_sound_of_a_wrong_format_is_told_and_the_next_right_one_taken(on_topics: Stack, wrong: AudioChunk, words: str):
    audio = on_topics.probe.publisher(AudioChunk, "audio", _qos.AUDIO)
    since = len(on_topics.probe.heard(DIAGNOSTICS))
    audio.publish(wrong)
    told(on_topics, "listener: sound", DiagnosticStatus.ERROR, words, since)
    since = len(on_topics.probe.heard(DIAGNOSTICS))
    for rate, channels, sample_format, width in (
        (48000, 2, "F32LE", 4),
        (44100, 1, "S16LE", 2),
        (16000, 1, "S16LE", 2),
    ):
        audio.publish(chunk(bytes(rate // 50 * channels * width), rate, channels, sample_format))
    told(on_topics, "listener: sound", DiagnosticStatus.OK, "quiet", since)
    on_topics.probe.node.destroy_publisher(audio)


def test_topic_that_falls_silent_is_told(on_topics: Stack):
    told(on_topics, "listener: sound", DiagnosticStatus.WARN, "no sound has come")


def test_missing_model_is_told_with_the_way_to_get_it_and_the_listener_waits_for_it(tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("model"))
    profile = Path(place.profile)
    content = yaml.safe_load(profile.read_text(encoding="utf-8"))
    content["speech"]["model"] = str(place.directory / "whisper")
    profile.write_text(yaml.safe_dump(content), encoding="utf-8")
    with running(place, "listener", voice=True, sound="topic") as stack:
        told(stack, "listener: recognition", DiagnosticStatus.ERROR, "fetch_models")
        time.sleep(2.0)
        assert stack.processes["listener"].poll() is None
