"""Frames from a drawn scene, a file, or a camera that is not there."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from clock import Clock

from smolfusion_ros.errors import ConfigurationError, FrameError
from smolfusion_ros.vision import sources
from smolfusion_ros.vision.sources import open_source


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Ten frames at 10 frames a second, each brighter by 20 grey levels than the one before."""
    path = tmp_path_factory.mktemp("video") / "ramp.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (96, 64))
    assert writer.isOpened()
    for index in range(10):
        writer.write(np.full((64, 96, 3), 20 + 20 * index, np.uint8))
    writer.release()
    return path


def index_of(frame: np.ndarray) -> int:
    return round((float(frame.mean()) - 20) / 20)


def test_a_rendered_visit_plays_by_the_clock_or_frame_by_frame():
    source = open_source("rendered:visit", width=160, height=120, loop=True)
    assert source.fps == 30.0
    frames = [source.read() for _ in range(3)]
    assert frames[0].shape == (120, 160, 3)
    assert np.array_equal(frames[2], source.read(2 / 30))
    assert np.array_equal(source.read(6.0), source.read(36.0))
    source.close()


def test_a_rendered_visit_ends_unless_it_loops():
    source = open_source("rendered:visit", width=64, height=48, loop=False)
    assert source.read(29.9) is not None
    assert source.read(30.1) is None


def test_a_still_scene_stays_still():
    source = open_source("rendered:still", width=160, height=120, loop=True)
    assert np.abs(source.read(1.0).astype(int) - source.read(14.0)).mean() < 4


def test_a_file_gives_its_frames_in_order_resized_and_then_ends(video):
    source = open_source(str(video), width=48, height=32, loop=False)
    assert source.fps == pytest.approx(10.0)
    frames = [source.read() for _ in range(10)]
    assert [index_of(frame) for frame in frames] == list(range(10))
    assert frames[0].shape == (32, 48, 3)
    assert source.read() is None
    source.close()
    source.close()


def test_a_file_skips_and_repeats_to_follow_the_clock(video):
    source = open_source(str(video), width=96, height=64, loop=False)
    times = [0.0, 0.05, 0.1, 0.45, 0.46, 0.9]
    assert [index_of(source.read(time_s)) for time_s in times] == [0, 0, 1, 4, 4, 9]
    assert source.read(1.0) is None
    source.close()


def test_a_looping_file_starts_again(video):
    source = open_source(str(video), width=96, height=64, loop=True)
    assert [index_of(source.read()) for _ in range(12)] == [*range(10), 0, 1]
    assert index_of(source.read(2.35)) == 3
    source.close()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("rendered:party", "rendered:visit"),
        ("/nowhere/film.mp4", "not there"),
        ("/dev/video99", "plug it in"),
        ("", "not there"),
    ],
)
def test_a_source_that_is_not_there_says_what_to_do(uri, said):
    with pytest.raises(ConfigurationError, match=said):
        open_source(uri, width=64, height=48, loop=True)


def test_a_file_that_is_no_video_is_refused(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_text("no film")
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        open_source(str(path), width=64, height=48, loop=True)


def test_an_impossible_size_is_refused():
    with pytest.raises(ConfigurationError, match="0x48"):
        open_source("rendered:still", width=0, height=48, loop=True)


class Device:
    """A camera that can be unplugged: what OpenCV shows of it. ``opened`` counts how often it was opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opened = 0
        self.plug()

    def plug(self) -> None:
        self.path.touch()
        self.damaged: object = None

    def unplug(self) -> None:
        self.path.unlink()

    def capture(self, _device: object) -> "Capture":
        self.opened += 1
        return Capture(self)


class Capture:
    """A stand-in for cv2.VideoCapture, of one opening of the device."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._lost = False

    def isOpened(self) -> bool:  # noqa: N802
        return self._device.path.exists()

    def read(self) -> tuple[bool, object]:
        self._lost = self._lost or not self._device.path.exists()
        if self._lost:
            return False, None
        if isinstance(self._device.damaged, Exception):
            raise self._device.damaged
        if self._device.damaged is not None:
            return True, self._device.damaged
        return True, np.full((48, 64, 3), 90, np.uint8)

    def get(self, _property: int) -> float:
        return 25.0

    def set(self, _property: int, _value: float) -> bool:
        return True

    def release(self) -> None:
        self._lost = True


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    made = Device(tmp_path / "video0")
    monkeypatch.setattr(sources.cv2, "VideoCapture", made.capture)
    monkeypatch.setattr(sources, "Path", lambda _: made.path)
    return made


def refusal(source: sources.FrameSource) -> str:
    with pytest.raises(FrameError) as refused:
        source.read()
    return str(refused.value)


def test_a_camera_gives_frames_at_its_own_rate_in_the_wanted_size(device: Device) -> None:
    source = open_source("/dev/video0", width=96, height=72)
    assert source.fps == 25.0
    assert source.read().shape == (72, 96, 3)


def test_an_unplugged_camera_is_opened_again_once_a_second_until_it_is_back(device: Device) -> None:
    clock = Clock()
    source = sources._CameraSource("/dev/video0", 64, 48, clock)
    assert source.read() is not None
    device.unplug()
    texts = set()
    for _ in range(10 * 30):
        texts.add(refusal(source))
        clock.now_s += 1 / 30
    assert device.opened == 1, "nothing is opened while there is no device"
    assert [word for word in ("gives no picture", "not there") if any(word in text for text in texts)] == [
        "gives no picture",
        "not there",
    ]
    device.plug()
    clock.now_s += 1.1
    assert source.read() is not None
    assert device.opened == 2


def test_a_camera_that_cannot_be_opened_again_is_tried_once_a_second(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    source = sources._CameraSource("/dev/video0", 64, 48, clock)
    device.damaged = np.zeros((0, 0, 3), np.uint8)
    for _ in range(3):
        refusal(source)
    monkeypatch.setattr(Capture, "isOpened", lambda _: False)
    for _ in range(10 * 30):
        refusal(source)
        clock.now_s += 1 / 30
    assert 9 <= device.opened - 1 <= 11
    assert "another program" in refusal(source)


@pytest.mark.parametrize("damaged", [cv2.error("assertion failed"), np.zeros((0, 0, 3), np.uint8)])
def test_a_damaged_picture_is_refused_without_opening_the_camera_again(device: Device, damaged: object) -> None:
    source = open_source("/dev/video0", width=64, height=48)
    device.damaged = damaged
    assert "gives no picture" in refusal(source)
    device.damaged = None
    assert source.read() is not None
    assert device.opened == 1


def test_a_damaged_frame_of_a_file_is_refused_and_the_next_one_read(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(str(video), width=96, height=64, loop=False)
    assert index_of(source.read()) == 0
    real = source._capture

    class Damaged:
        def grab(self) -> bool:
            return real.grab()

        def retrieve(self) -> tuple[bool, object]:
            raise cv2.error("corrupt data")

        def release(self) -> None:
            real.release()

    monkeypatch.setattr(source, "_capture", Damaged())
    assert "frame 1 of ramp.avi is damaged" in refusal(source)
    monkeypatch.setattr(source, "_capture", real)
    assert index_of(source.read()) == 2
    source.close()


def test_a_video_cut_short_ends_where_it_was_cut(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.avi", tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (320, 240))
    for index in range(10):
        writer.write(np.random.default_rng(index).integers(0, 256, (240, 320, 3), dtype=np.uint8))
    writer.release()
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    source = open_source(str(cut), width=96, height=64, loop=False)
    frames = 0
    for _ in range(20):
        try:
            if source.read() is None:
                break
        except FrameError:
            continue
        frames += 1
    assert 1 <= frames < 10
    assert source.read() is None
