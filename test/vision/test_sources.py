"""Frames from a drawn scene, a file, or a camera that is not there."""

import cv2
import numpy as np
import pytest

from smolfusion_ros.errors import ConfigurationError
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
