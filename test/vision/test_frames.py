"""Messages and encoded pictures to arrays, and every way they can be wrong."""

import array
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest

from smolfusion_ros.errors import ConfigurationError, FrameError
from smolfusion_ros.vision.frames import compressed_to_bgr, image_to_bgr, image_to_luma


@dataclass(frozen=True)
class Image:
    """A stand-in for sensor_msgs/Image."""

    height: int
    width: int
    encoding: str
    step: int
    data: Any
    is_bigendian: int = 0


def message(pixels: np.ndarray, encoding: str) -> Image:
    height, width = pixels.shape[:2]
    return Image(height, width, encoding, pixels.nbytes // height, array.array("B", pixels.tobytes()))


@pytest.fixture
def picture() -> np.ndarray:
    """32x48 BGR: blue left half, red right half, a green bar on top."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:, :24] = (200, 20, 10)
    pixels[:, 24:] = (10, 20, 200)
    pixels[:4] = (5, 180, 5)
    return pixels


def test_bgr8_comes_out_as_it_is_and_shares_the_memory_of_the_message(picture):
    msg = message(picture, "bgr8")
    frame = image_to_bgr(msg)
    assert np.array_equal(frame, picture)
    assert np.shares_memory(frame, np.frombuffer(msg.data, np.uint8))


@pytest.mark.parametrize(
    ("encoding", "code"),
    [("rgb8", cv2.COLOR_BGR2RGB), ("bgra8", cv2.COLOR_BGR2BGRA), ("rgba8", cv2.COLOR_BGR2RGBA)],
)
def test_colour_orders_are_converted(picture, encoding, code):
    assert np.array_equal(image_to_bgr(message(cv2.cvtColor(picture, code), encoding)), picture)


def test_grey_becomes_three_equal_channels(picture):
    grey = picture[:, :, 0].copy()
    frame = image_to_bgr(message(grey, "mono8"))
    assert frame.shape == (32, 48, 3)
    assert all(np.array_equal(frame[:, :, channel], grey) for channel in range(3))


def test_bayer_pattern_gives_the_right_colours(picture):
    mosaic = np.zeros((32, 48), np.uint8)
    mosaic[0::2, 0::2] = picture[0::2, 0::2, 2]
    mosaic[0::2, 1::2] = picture[0::2, 1::2, 1]
    mosaic[1::2, 0::2] = picture[1::2, 0::2, 1]
    mosaic[1::2, 1::2] = picture[1::2, 1::2, 0]
    frame = image_to_bgr(message(mosaic, "bayer_rggb8"))
    assert np.array_equal(frame[16, 8], picture[16, 8])
    assert np.array_equal(frame[16, 40], picture[16, 40])


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_yuv_is_read_in_its_own_byte_order(encoding):
    luma, chroma = np.full((8, 16), 120, np.uint8), np.full((8, 16), 128, np.uint8)
    luma[:, 8:] = 40
    planes = (chroma, luma) if encoding in ("yuv422", "uyvy") else (luma, chroma)
    msg = message(np.dstack(planes), encoding)
    assert np.array_equal(image_to_luma(msg), luma)
    frame = image_to_bgr(msg).astype(int)
    assert frame[4, 2].max() - frame[4, 2].min() <= 3
    assert 110 < frame[4, 2].mean() < 130
    assert frame[4, 12].mean() < 40


def test_padded_rows_are_stripped(picture):
    padded = np.full((32, 48 * 3 + 16), 255, np.uint8)
    padded[:, : 48 * 3] = picture.reshape(32, -1)
    msg = Image(32, 48, "bgr8", 48 * 3 + 16, padded.tobytes())
    assert np.array_equal(image_to_bgr(msg), picture)


def test_sixteen_bits_are_scaled_to_eight_in_either_byte_order():
    deep = np.full((4, 6), 0x8000, np.uint16)
    little = Image(4, 6, "mono16", 12, deep.astype("<u2").tobytes())
    big = Image(4, 6, "mono16", 12, deep.astype(">u2").tobytes(), is_bigendian=1)
    assert 126 <= image_to_bgr(little)[0, 0, 0] <= 129
    assert np.array_equal(image_to_bgr(little), image_to_bgr(big))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 0}, "0x32"),
        ({"height": 0}, "48x0"),
        ({"step": 143}, "143"),
        ({"data": b"\0" * 100}, "100 bytes"),
        ({"encoding": "32FC1"}, "32FC1"),
        ({"encoding": ""}, "''"),
        ({"data": [0] * 4608}, "list"),
        ({"width": 8000, "step": 24000, "height": 5000}, "8000x5000"),
    ],
)
def test_an_impossible_message_is_refused_with_its_value(picture, change, said):
    with pytest.raises(FrameError, match=said):
        image_to_bgr(replace(message(picture, "bgr8"), **change))


def test_luma_of_a_colour_message_is_its_grey(picture):
    assert np.array_equal(image_to_luma(message(picture, "bgr8")), cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


def test_png_survives_a_round_trip_and_jpeg_nearly(picture):
    assert np.array_equal(compressed_to_bgr(cv2.imencode(".png", picture)[1].tobytes()), picture)
    smooth = cv2.resize(picture, (480, 320))
    jpeg = array.array("B", cv2.imencode(".jpg", smooth)[1].tobytes())
    assert np.abs(compressed_to_bgr(jpeg).astype(int) - smooth).mean() < 3


@pytest.mark.parametrize("reduce", [1, 2, 4, 8])
def test_a_reduced_picture_is_that_many_times_smaller(reduce):
    jpeg = cv2.imencode(".jpg", np.full((240, 320, 3), 90, np.uint8))[1].tobytes()
    frame = compressed_to_bgr(jpeg, reduce)
    assert frame.shape == (240 // reduce, 320 // reduce, 3)
    assert abs(int(frame.mean()) - 90) <= 2


def test_another_reduction_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="3"):
        compressed_to_bgr(b"", 3)


@pytest.mark.parametrize("kind", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.95])
def test_a_truncated_picture_is_refused(picture, kind, share):
    encoded = cv2.imencode(kind, cv2.resize(picture, (320, 240)))[1].tobytes()
    with pytest.raises(FrameError):
        compressed_to_bgr(encoded[: int(share * len(encoded))])


def test_garbage_is_refused():
    noise = np.random.default_rng(1).bytes(5000)
    for start in (b"", b"\xff\xd8", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"):
        with pytest.raises(FrameError):
            compressed_to_bgr(start + noise)


def test_a_picture_too_large_is_refused_before_it_is_decoded(picture):
    encoded = bytearray(cv2.imencode(".png", picture)[1].tobytes())
    encoded[16:24] = (60000).to_bytes(4, "big") * 2
    with pytest.raises(FrameError, match="60000x60000"):
        compressed_to_bgr(bytes(encoded))
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    with pytest.raises(FrameError, match="48x32"):
        compressed_to_bgr(jpeg, max_pixels=1000)


def test_a_jpeg_followed_by_padding_is_read(picture):
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    assert compressed_to_bgr(jpeg + b"\0" * 500).shape == picture.shape
