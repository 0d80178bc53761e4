"""Camera messages and encoded pictures become arrays here, and nowhere else.

On a robot the conversion is ``cv_bridge``'s; without a ROS installation it is ``rosbags-image``'s. Callers
cannot tell which one ran. What either would crash on, or read past, is refused before it is called.
"""

import functools
import importlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from smolfusion_ros.errors import ConfigurationError, FrameError

Frame = NDArray[np.uint8]
MAX_PIXELS = 7680 * 4320

# Bytes of a pixel, bytes of a sample, and the eight-bit name both libraries understand, for every encoding a
# picture can come in.
_ENCODINGS = {
    "mono8": (1, 1, "mono8"),
    "8UC1": (1, 1, "mono8"),
    "mono16": (2, 2, "mono8"),
    "bgr8": (3, 1, "bgr8"),
    "8UC3": (3, 1, "bgr8"),
    "rgb8": (3, 1, "rgb8"),
    "bgra8": (4, 1, "bgra8"),
    "8UC4": (4, 1, "bgra8"),
    "rgba8": (4, 1, "rgba8"),
    "bgr16": (6, 2, "bgr8"),
    "rgb16": (6, 2, "rgb8"),
    "bgra16": (8, 2, "bgra8"),
    "rgba16": (8, 2, "rgba8"),
    **{f"bayer_{order}8": (1, 1, f"bayer_{order}8") for order in ("rggb", "bggr", "gbrg", "grbg")},
    **{f"bayer_{order}16": (2, 2, f"bayer_{order}8") for order in ("rggb", "bggr", "gbrg", "grbg")},
    "yuv422": (2, 1, "yuv422"),
    "uyvy": (2, 1, "yuv422"),
    "yuv422_yuy2": (2, 1, "yuv422_yuy2"),
    "yuyv": (2, 1, "yuv422_yuy2"),
}
_REDUCED = {
    1: (cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE),
    2: (cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    4: (cv2.IMREAD_REDUCED_COLOR_4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    8: (cv2.IMREAD_REDUCED_COLOR_8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
}
JPEG_START = b"\xff\xd8"


class ImageMessage(Protocol):
    """What is needed of a ``sensor_msgs/Image``."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


@dataclass(frozen=True)
class _Packed:
    """A checked message of eight-bit samples whose rows follow one another without padding."""

    height: int
    width: int
    encoding: str
    step: int
    data: Any
    is_bigendian: int = 0  # eight-bit samples have no byte order; a set flag would cost a copy


def image_to_bgr(msg: ImageMessage, max_pixels: int = MAX_PIXELS) -> Frame:
    """Convert a ``sensor_msgs/Image`` to HxWx3 uint8 BGR.

    A ``bgr8`` message without row padding is not copied: the array shares the message's memory, so treat it
    as read-only. Of sixteen-bit samples the high byte is kept.
    Raises FrameError for an empty, oversized, inconsistent or unknown message.
    """
    return _bgr(_packed(msg, max_pixels))


def image_to_luma(msg: ImageMessage, max_pixels: int = MAX_PIXELS) -> Frame:
    """Convert a ``sensor_msgs/Image`` to HxW uint8 grey, without a colour conversion where it can.

    ``mono8`` is not copied and YUV gives up its luma plane.
    Raises FrameError as :func:`image_to_bgr` does.
    """
    packed = _packed(msg, max_pixels)
    if packed.encoding == "mono8":
        return _bytes_of(packed).reshape(packed.height, packed.width)
    if packed.encoding in ("yuv422", "yuv422_yuy2"):
        pairs = _bytes_of(packed).reshape(packed.height, packed.width, 2)
        return np.ascontiguousarray(pairs[:, :, 1 if packed.encoding == "yuv422" else 0])
    return np.asarray(cv2.cvtColor(_bgr(packed), cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def compressed_to_bgr(data: Any, reduce: int = 1, max_pixels: int = MAX_PIXELS) -> Frame:
    """Decode a JPEG or PNG (any bytes-like object) to HxWx3 uint8 BGR.

    ``reduce`` of 2, 4 or 8 gives a picture that many times smaller; a JPEG then decodes several times
    faster. Raises FrameError for a truncated, damaged or oversized picture (the size is read from the header,
    before memory is taken for the pixels), ConfigurationError for another ``reduce``.
    """
    return _decoded(data, reduce, max_pixels, grey=False)


def compressed_to_luma(data: Any, reduce: int = 1, max_pixels: int = MAX_PIXELS) -> Frame:
    """Decode a JPEG or PNG to HxW uint8 grey; a JPEG's colours are not even looked at.

    Arguments and errors are those of :func:`compressed_to_bgr`.
    """
    return _decoded(data, reduce, max_pixels, grey=True)


def compressed_size(data: Any) -> tuple[int, int]:
    """Give (width, height) in pixels of a JPEG or PNG from its header; FrameError if it is neither, or not complete."""
    return _encoded_size(_encoded(data))


def is_jpeg(data: Any) -> bool:
    """Whether an encoded picture begins as a JPEG."""
    return bytes(data[:2]) == JPEG_START


def reduction(width: int, least_width: int) -> int:
    """By how much a picture may be reduced in decoding (1, 2, 4 or 8) and still be ``least_width`` pixels wide."""
    return next((reduce for reduce in sorted(_REDUCED, reverse=True) if width // reduce >= least_width), 1)


def _decoded(data: Any, reduce: int, max_pixels: int, *, grey: bool) -> Frame:
    if reduce not in _REDUCED:
        raise ConfigurationError(f"reduce is {reduce}: use 1, 2, 4 or 8")
    encoded = _encoded(data)
    width, height = _encoded_size(encoded)
    if width < 1 or height < 1 or width * height > max_pixels:
        raise FrameError(f"encoded picture is {width}x{height}: between 1 and {max_pixels} pixels are accepted")
    try:
        frame = cv2.imdecode(np.frombuffer(encoded, np.uint8), _REDUCED[reduce][grey])
    except cv2.error as error:
        raise FrameError(f"{len(encoded)}-byte picture cannot be decoded: {error}") from error
    if frame is None:
        raise FrameError(f"{len(encoded)}-byte picture is damaged: check the sender")
    return np.asarray(frame, dtype=np.uint8)


def _encoded(data: Any) -> bytes:
    return bytes(data) if isinstance(data, (bytes, bytearray, memoryview)) else np.asarray(data).tobytes()


def _bgr(packed: _Packed) -> Frame:
    try:
        return np.asarray(_converter()(packed), dtype=np.uint8)
    except FrameError:
        raise
    except Exception as error:
        raise FrameError(
            f"{packed.width}x{packed.height} {packed.encoding!r} image cannot be converted to bgr8: {error}; "
            "publish bgr8 or rgb8"
        ) from error


def _packed(msg: ImageMessage, max_pixels: int) -> _Packed:
    size = f"{msg.width}x{msg.height}"
    if msg.width < 1 or msg.height < 1:
        raise FrameError(f"image is {size}: the camera sends empty frames, check its driver")
    if msg.width * msg.height > max_pixels:
        raise FrameError(f"image is {size}: at most {max_pixels} pixels are accepted, lower its resolution")
    if msg.encoding not in _ENCODINGS:
        raise FrameError(f"image encoding {msg.encoding[:40]!r} is not one of {', '.join(_ENCODINGS)}")
    pixel_bytes, sample_bytes, encoding = _ENCODINGS[msg.encoding]
    row = msg.width * pixel_bytes
    if msg.step < row:
        raise FrameError(f"image step is {msg.step}: a {size} {msg.encoding} row takes {row} bytes")
    if len(msg.data) == 0:
        raise FrameError(f"{size} {msg.encoding} image has no data: check the camera's driver")
    try:
        data = memoryview(msg.data).cast("B")
    except TypeError as error:
        raise FrameError(f"image data is {type(msg.data).__name__}: a buffer of bytes is needed") from error
    if data.nbytes != msg.step * msg.height:
        raise FrameError(
            f"image data is {data.nbytes} bytes: step {msg.step} x height {msg.height} makes {msg.step * msg.height}"
        )
    if encoding in ("yuv422", "yuv422_yuy2") and msg.width % 2:
        raise FrameError(f"image is {size} {msg.encoding}: its width must be even")
    if msg.step > row or sample_bytes == 2:
        # Of two bytes the high one is enough; scaling all samples takes a second and a gigabyte for an 8K frame.
        high = 1 if sample_bytes == 2 and not msg.is_bigendian else 0
        rows = np.frombuffer(data, np.uint8).reshape(msg.height, msg.step)
        data = np.ascontiguousarray(rows[:, high:row:sample_bytes]).data
    return _Packed(msg.height, msg.width, encoding, row // sample_bytes, data)


def _bytes_of(packed: _Packed) -> Frame:
    return np.frombuffer(packed.data, np.uint8)


@functools.cache
def _converter() -> Callable[[_Packed], Any]:
    try:
        bridge = importlib.import_module("cv_bridge").CvBridge()
        return lambda msg: bridge.imgmsg_to_cv2(msg, "bgr8")
    except (ImportError, AttributeError):
        # AttributeError: a cv_bridge built against another NumPy, or ROS 1's.
        pass
    try:
        to_cvimage: Callable[[Any, str], Any] = importlib.import_module("rosbags.image").image_to_cvimage
    except ImportError as error:
        raise FrameError(
            "no image converter is installed: apt install ros-$ROS_DISTRO-cv-bridge, or pip install rosbags-image"
        ) from error
    return lambda msg: to_cvimage(msg, "bgr8")


def _encoded_size(encoded: bytes) -> tuple[int, int]:
    """Give (width, height) from a JPEG's or PNG's header; FrameError if it is neither, or not complete."""
    if not encoded:
        raise FrameError("the picture has no data: check its sender")
    if encoded.startswith(JPEG_START):
        return _jpeg_size(encoded)
    if encoded.startswith(b"\x89PNG\r\n\x1a\n") and encoded[12:16] == b"IHDR" and len(encoded) >= 24:
        if b"IEND" not in encoded[-64:]:
            raise FrameError(f"PNG of {len(encoded)} bytes is truncated: its end chunk is missing")
        width, height = struct.unpack(">II", encoded[16:24])
        return width, height
    raise FrameError(f"{len(encoded)} bytes starting {encoded[:4].hex()!r} are neither a JPEG nor a PNG")


def _jpeg_size(encoded: bytes) -> tuple[int, int]:
    """Walk the segments of a JPEG (ITU-T T.81, annex B) up to its scan."""
    size: tuple[int, int] | None = None
    at = 2
    while at + 9 <= len(encoded) and encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        length = int.from_bytes(encoded[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = (
                int.from_bytes(encoded[at + 7 : at + 9], "big"),
                int.from_bytes(encoded[at + 5 : at + 7], "big"),
            )
        if marker == 0xDA:
            # OpenCV fills the missing rows of a cut JPEG with grey and reports success.
            if encoded.rfind(b"\xff\xd9") < at:
                raise FrameError(f"JPEG of {len(encoded)} bytes is truncated: its end marker is missing")
            break
        at += 2 + max(length, 2)
    else:
        raise FrameError(f"JPEG of {len(encoded)} bytes is truncated or damaged: it has no scan")
    if size is None:
        raise FrameError(f"JPEG of {len(encoded)} bytes is damaged: it has no frame header")
    return size
