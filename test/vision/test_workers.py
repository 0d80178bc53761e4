"""JPEG encoding: what comes out, and what happens when too much goes in."""

import threading

import numpy as np
import pytest

from smolfusion_ros.errors import BusyError, ConfigurationError, FrameError
from smolfusion_ros.vision import workers
from smolfusion_ros.vision.frames import compressed_to_bgr
from smolfusion_ros.vision.workers import EncoderPool, encode_jpeg


@pytest.fixture
def frame() -> np.ndarray:
    pixels = np.zeros((240, 320, 3), np.uint8)
    pixels[:, 160:] = (20, 40, 220)
    return pixels


def test_a_large_frame_is_shrunk_and_a_small_one_left_alone(frame):
    assert compressed_to_bgr(encode_jpeg(frame, 160, 90)).shape == (120, 160, 3)
    assert compressed_to_bgr(encode_jpeg(frame, 4000, 90)).shape == (240, 320, 3)


def test_the_region_alone_is_encoded(frame):
    decoded = compressed_to_bgr(encode_jpeg(frame, 4000, 95, roi=(200, 100, 80, 60)))
    assert decoded.shape == (60, 80, 3)
    assert np.abs(decoded.mean(axis=(0, 1)) - (20, 40, 220)).max() < 6


def test_a_region_reaching_over_the_edge_is_cut(frame):
    assert compressed_to_bgr(encode_jpeg(frame, 4000, 90, roi=(-20, 200, 60, 100))).shape == (40, 40, 3)


def test_lower_quality_takes_fewer_bytes():
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    assert len(encode_jpeg(noise, 160, 30)) < 0.6 * len(encode_jpeg(noise, 160, 95))


def test_nonsense_is_refused(frame):
    with pytest.raises(FrameError, match="500"):
        encode_jpeg(frame, 160, 90, roi=(500, 0, 10, 10))
    with pytest.raises(FrameError):
        encode_jpeg(frame[:0], 160, 90)
    with pytest.raises(ConfigurationError, match="101"):
        encode_jpeg(frame, 160, 101)
    with pytest.raises(ConfigurationError, match="threads is 0"):
        EncoderPool(0)


def test_the_pool_encodes_as_the_function_does(frame):
    pool = EncoderPool(2, 4)
    try:
        futures = [pool.encode(lambda: frame, size, 80) for size in (64, 128, 320)]
        assert [future.result(5) for future in futures] == [encode_jpeg(frame, s, 80) for s in (64, 128, 320)]
    finally:
        pool.close()


def test_an_error_travels_in_the_future(frame):
    pool = EncoderPool()
    try:
        with pytest.raises(FrameError):
            pool.encode(lambda: frame, 160, 90, roi=(500, 0, 1, 1)).result(5)
    finally:
        pool.close()


def test_a_full_queue_refuses_and_recovers(frame, monkeypatch):
    release = threading.Event()

    def slow(*_: object) -> bytes:
        release.wait(10)
        return b"done"

    monkeypatch.setattr(workers, "encode_jpeg", slow)
    pool = EncoderPool(threads=1, queue_size=1)
    try:
        waiting = [pool.encode(lambda: frame, 64, 80) for _ in range(2)]
        with pytest.raises(BusyError, match="full"):
            pool.encode(lambda: frame, 64, 80)
        release.set()
        assert [future.result(5) for future in waiting] == [b"done", b"done"]
        assert pool.encode(lambda: frame, 64, 80).result(5) == b"done"
    finally:
        release.set()
        pool.close()


def test_a_closed_pool_takes_nothing(frame):
    pool = EncoderPool()
    pool.close()
    pool.close()
    with pytest.raises(BusyError, match="closed"):
        pool.encode(lambda: frame, 64, 80)
