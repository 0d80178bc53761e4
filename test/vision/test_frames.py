"""Messages and encoded pictures to arrays, and every way they can be wrong."""

import array
import time
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest

from smolfusion_ros.errors import ConfigurationError, FrameError
from smolfusion_ros.vision.frames import (
    compressed_size,
    compressed_to_bgr,
    compressed_to_luma,
    image_to_bgr,
    image_to_luma,
    is_jpeg,
    reduction,
)


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


@pytest.mark.parametrize("bigendian", [False, True])
@pytest.mark.parametrize(
    ("deep", "shallow", "channels"),
    [("mono16", "mono8", 1), ("bgr16", "bgr8", 3), ("rgb16", "rgb8", 3), ("bgra16", "bgra8", 4), ("rgba16", "rgba8", 4)]
    + [(f"bayer_{order}16", f"bayer_{order}8", 1) for order in ("rggb", "bggr", "gbrg", "grbg")],
)
def test_every_sixteen_bit_encoding_gives_the_picture_of_its_eight_bit_one(deep, shallow, channels, bigendian):
    samples = np.random.default_rng(0).integers(0, 256, (32, 48, channels), dtype=np.uint8)
    sixteen = (samples.astype(np.uint16) << 8 | 77).astype(">u2" if bigendian else "<u2")
    padded = b"".join(row.tobytes() + b"padding!" for row in sixteen)
    msg = Image(32, 48, deep, 48 * channels * 2 + 8, array.array("B", padded), is_bigendian=int(bigendian))
    expected = message(samples, shallow)
    assert np.array_equal(image_to_bgr(msg), image_to_bgr(expected))
    assert np.array_equal(image_to_luma(msg), image_to_luma(expected))


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "mono8", "bgr16", "bayer_rggb8"])
def test_an_8k_frame_is_taken_in_a_moment(encoding):
    sample_bytes = {"bgr8": 3, "rgb8": 3, "bgr16": 6}.get(encoding, 1)
    row = 7680 * sample_bytes
    msg = Image(4320, 7680, encoding, row, array.array("B", bytes(4320 * row)))
    begun = time.process_time()
    assert image_to_luma(msg).shape == (4320, 7680)
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 0}, "0x32"),
        ({"height": 0}, "48x0"),
        ({"width": 0, "height": 0, "step": 0, "data": b""}, "0x0"),
        ({"step": 143}, "143"),
        ({"step": 0}, "step is 0"),
        ({"step": 145}, "4640"),
        ({"step": 2**32 - 1}, "4294967295"),
        ({"width": 2**32 - 1, "height": 2**32 - 1}, "4294967295x4294967295"),
        ({"width": 1, "height": 30_000_000, "step": 2**32 - 1}, "128849018850000000"),
        ({"width": 7681, "step": 3 * 7681, "height": 4320}, "7681x4320"),
        ({"data": b"\0" * 100}, "100 bytes"),
        ({"data": b""}, "no data"),
        ({"data": array.array("B")}, "no data"),
        ({"encoding": "x" * 100_000}, "'xxxxx"),
        ({"encoding": "16UC1"}, "16UC1"),
        ({"encoding": "bayer_rggb12"}, "bayer_rggb12"),
        ({"encoding": "32FC1"}, "32FC1"),
        ({"encoding": ""}, "''"),
        ({"data": [0] * 4608}, "list"),
        ({"width": 8000, "step": 24000, "height": 5000}, "8000x5000"),
    ],
)
def test_an_impossible_message_is_refused_with_its_value(picture, change, said):
    for convert in (image_to_bgr, image_to_luma):
        with pytest.raises(FrameError, match=said) as refused:
            convert(replace(message(picture, "bgr8"), **change))
        assert len(str(refused.value)) < 500


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


@pytest.mark.parametrize("reduce", [1, 2, 4, 8])
def test_luma_of_an_encoded_picture_is_its_grey_reduced(picture, reduce):
    jpeg = cv2.imencode(".jpg", cv2.resize(picture, (320, 240)))[1].tobytes()
    luma = compressed_to_luma(jpeg, reduce)
    grey = cv2.cvtColor(compressed_to_bgr(jpeg, reduce), cv2.COLOR_BGR2GRAY)
    assert luma.shape == (240 // reduce, 320 // reduce)
    assert np.abs(luma.astype(int) - grey).mean() < 2


@pytest.mark.parametrize(
    ("width", "least", "reduce"), [(7680, 160, 8), (1920, 160, 8), (640, 160, 4), (300, 160, 1), (64, 160, 1)]
)
def test_a_picture_is_reduced_as_far_as_it_stays_wide_enough(width, least, reduce):
    assert reduction(width, least) == reduce


def test_an_encoded_picture_tells_its_size_and_kind():
    dot = np.zeros((30, 40, 3), np.uint8)
    jpeg, png = (array.array("B", cv2.imencode(kind, dot)[1].tobytes()) for kind in (".jpg", ".png"))
    assert compressed_size(jpeg) == compressed_size(png) == (40, 30)
    assert is_jpeg(jpeg) and not is_jpeg(png)


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


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_a_decompression_bomb_is_refused_by_its_header(kind):
    """Small as a file, 400 megapixels as a picture."""
    dot = np.zeros((8, 8, 3), np.uint8)
    bomb = bytearray(cv2.imencode(kind, dot)[1].tobytes())
    if kind == ".png":
        bomb[16:24] = (20_000).to_bytes(4, "big") * 2
    else:
        frame_header = bomb.index(b"\xff\xc0")
        bomb[frame_header + 5 : frame_header + 9] = (20_000).to_bytes(2, "big") * 2
    with pytest.raises(FrameError, match="20000x20000"):
        compressed_to_bgr(bytes(bomb))


def test_a_picture_without_data_is_refused():
    for data in (b"", array.array("B")):
        with pytest.raises(FrameError, match="no data"):
            compressed_to_bgr(data)


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_a_dot_is_a_picture_to_the_decoder(kind):
    """The gate refuses it; the decoder has no opinion on what is worth seeing."""
    dot = cv2.imencode(kind, np.full((1, 1, 3), 90, np.uint8))[1].tobytes()
    assert compressed_to_bgr(dot).shape == (1, 1, 3)


def test_sixteen_bit_and_grey_png_come_out_as_bgr8():
    deep = np.full((32, 48), 0x8000, np.uint16)
    frame = compressed_to_bgr(cv2.imencode(".png", deep)[1].tobytes())
    assert (frame.shape, frame.dtype) == ((32, 48, 3), np.uint8)
    assert 126 <= frame.mean() <= 129


def test_a_jpeg_damaged_in_the_middle_gives_a_picture_or_a_reason():
    jpeg = bytearray(cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8))[1])
    dice = np.random.default_rng(1)
    for _ in range(50):
        at = dice.integers(2, len(jpeg) - 2)
        damaged = bytes(jpeg[:at]) + dice.bytes(20) + bytes(jpeg[at + 20 :])
        try:
            assert compressed_to_bgr(damaged).ndim == 3
        except FrameError as refused:
            assert str(refused)


def test_a_jpeg_followed_by_padding_is_read(picture):
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    assert compressed_to_bgr(jpeg + b"\0" * 500).shape == picture.shape
