"""Looks at a picture's header before anybody decodes it: a small file may hold pixels for gigabytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from smolfusion_ros.gateway.problems import ProblemError

MAX_PIXELS = 25_000_000
_SIGNATURES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG"}
# All that Pillow is known to raise on damaged headers.
_DAMAGED = (OSError, SyntaxError, ValueError, IndexError, KeyError, OverflowError, struct.error, EOFError)


@dataclass(frozen=True)
class Picture:
    """An encoded picture whose header was found good. ``format`` as in ``CompressedImage``: jpeg or png."""

    data: bytes
    format: str
    width: int
    height: int


def checked_picture(data: bytes) -> Picture:
    """A JPEG or PNG (by its signature, whatever it is called) of bearable size, undecoded.

    Raises:
        ProblemError: 415 for anything else, 422 for a damaged header, 413 for more than 25 megapixels.
    """
    kind = next((kind for signature, kind in _SIGNATURES.items() if data.startswith(signature)), None)
    if kind is None:
        raise ProblemError(415, "bad_picture_type", "the picture is neither JPEG nor PNG, by its first bytes")
    width, height = _size(data, kind)
    if width * height > MAX_PIXELS:
        megapixels = f"{width} x {height} pixels"
        raise ProblemError(413, "too_many_pixels", f"the picture has {megapixels}, more than {MAX_PIXELS:,} in all")
    return Picture(data, kind.lower(), width, height)


def _size(data: bytes, kind: str) -> tuple[int, int]:
    try:
        if kind == "PNG":  # IHDR comes first (https://www.w3.org/TR/png-3/#11IHDR)
            tag, width, height = struct.unpack_from(">4sII", data, 12)
            if tag != b"IHDR" or not (width and height):
                raise ValueError("no size")
            return int(width), int(height)
        with Image.open(BytesIO(data), formats=[kind]) as image:  # reads the header alone
            width, height = image.size
            return width, height
    except Image.DecompressionBombError:
        raise ProblemError(413, "too_many_pixels", f"the picture has more than {MAX_PIXELS:,} pixels") from None
    except _DAMAGED as error:
        raise ProblemError(422, "bad_picture", f"the {kind} has no readable header") from error
