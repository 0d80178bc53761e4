"""Pictures that are sent: what they are is seen by their bytes, how large they are before they are decoded."""

import resource
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO

import httpx
import pytest
from PIL import Image
from scripted_robot import Gateway

from smolfusion_ros.errors import BackendError, BackendUnavailableError, FrameError
from smolfusion_ros.gateway.pictures import MAX_PIXELS, checked_picture
from smolfusion_ros.gateway.problems import ProblemError
from smolfusion_ros.gateway.schemas import MAX_QUESTION_CHARACTERS


def encoded(kind: str, width: int = 64, height: int = 48) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height)).save(file, kind)
    return file.getvalue()


def png_head(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels, and whose few bytes hold them all: rows of zeros."""
    rows = zlib.compress(bytes(10**6), 9)

    def chunk(tag: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "jpeg"), ("PNG", "png")])
def test_pictures_are_known_by_their_bytes(kind: str, name: str) -> None:
    picture = checked_picture(encoded(kind))
    assert (picture.format, picture.width, picture.height) == (name, 64, 48)


@pytest.mark.parametrize(
    "data", [b"GIF89a" + bytes(20), b"", b"<svg/>", b"BM" + bytes(60), encoded("WEBP"), b"\xff\xd8"]
)
def test_anything_else_is_another_type(data: bytes) -> None:
    with pytest.raises(ProblemError) as caught:
        checked_picture(data)
    assert caught.value.status_code == 415


@pytest.mark.parametrize(
    "data", [encoded("PNG")[:20], png_head(0, 5), encoded("JPEG")[:20], b"\xff\xd8\xff" + bytes(100)]
)
def test_damaged_header_is_told(data: bytes) -> None:
    with pytest.raises(ProblemError) as caught:
        checked_picture(data)
    assert caught.value.status_code == 422


@pytest.mark.parametrize("size", [(30000, 30000), (2**31 - 1, 2**31 - 1), (MAX_PIXELS + 1, 1)])
def test_bomb_is_refused_undecoded(gateway: Gateway, size: tuple[int, int]) -> None:
    bomb = png_head(*size)
    assert len(bomb) < 10**4
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = httpx.post(f"{gateway.url}/analyze", files={"image": bomb}, trust_env=False)
    assert (refused.status_code, refused.json()["code"]) == (413, "too_many_pixels")
    assert gateway.robot.asked == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_large_jpeg_is_refused_and_the_largest_passes() -> None:
    jpeg = bytearray(encoded("JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    for height, width, passes in ((5000, 5000, True), (5001, 5000, False), (65500, 65500, False)):
        jpeg[at : at + 4] = struct.pack(">HH", height, width)
        if passes:
            assert checked_picture(bytes(jpeg)).width == width
            continue
        with pytest.raises(ProblemError) as caught:
            checked_picture(bytes(jpeg))
        assert caught.value.status_code == 413


def test_picture_and_question_reach_the_robot(gateway: Gateway) -> None:
    image = encoded("JPEG")
    data = {"question": " how many? 안녕 "}
    answered = httpx.post(
        f"{gateway.url}/analyze", files={"image": ("a.gif", image, "image/gif")}, data=data, trust_env=False
    )
    assert answered.json() == {"answer": "Two people.", "latency_s": 0.5, "stamp": 0.0}
    [(name, question, picture)] = gateway.robot.asked
    assert (name, question, picture.data, picture.format) == ("analyze", "how many? 안녕", image, "jpeg")


def test_without_a_picture_the_camera_is_asked_about(gateway: Gateway) -> None:
    for sent in ({"json": {"question": "who?"}}, {"files": {"question": (None, "who?")}}):
        assert httpx.post(f"{gateway.url}/analyze", trust_env=False, **sent).json()["stamp"] == 1.0
    assert gateway.robot.asked == [("analyze", "who?", None)] * 2


def test_addresses_of_pictures_are_refused_and_never_fetched(gateway: Gateway) -> None:
    fetched = []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fetched.append(self.path)

    with HTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{site.server_port}/picture.png"
        for sent in (
            {"json": {"question": "who?", "image_url": url}},
            {"json": {"question": "who?", "image": url}},
            {"files": {"image_url": (None, url)}},
            {"files": {"image": (None, url)}},
        ):
            assert httpx.post(f"{gateway.url}/analyze", trust_env=False, **sent).status_code in (415, 422)
        assert httpx.post(f"{gateway.url}/analyze", json={"question": url}, trust_env=False).status_code == 200
        site.shutdown()
    assert fetched == []
    assert gateway.robot.asked == [("analyze", url, None)]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "multipart/form-data", 400),
        (b"", "multipart/form-data; boundary=x", 400),
        (b"--x\r\nContent-Disposition: form-data; name=question\r\n\r\nwho", "multipart/form-data; boundary=x", 400),
        (b"hello", "multipart/form-data; boundary=x", 400),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\nwho\r\n--x--\r\n", "multipart/form-data; boundary=x", 422),
        (
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nwho\r\n" * 20 + b"--x--\r\n",
            "multipart/form-data; boundary=x",
            422,
        ),
        (
            b"--x\r\nContent-Disposition: form-data; name=question\r\n\r\n\xff\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
            422,
        ),
        (encoded("PNG"), "image/png", 415),
        (b"x", "multipart/form-data; boundary=" + "x" * 300, 400),
    ],
)
def test_form_that_cannot_be_read_is_refused(gateway: Gateway, content: bytes, kind: str, status: int) -> None:
    refused = httpx.post(f"{gateway.url}/analyze", content=content, headers={"content-type": kind}, trust_env=False)
    assert (refused.status_code, refused.json()["status"]) == (status, status), refused.text
    assert gateway.robot.asked == []


def test_question_is_bounded_as_perception_bounds_it(gateway: Gateway) -> None:
    from smolfusion_ros.nodes import perception

    assert perception.MAX_QUESTION_CHARACTERS == MAX_QUESTION_CHARACTERS
    long = "x" * (MAX_QUESTION_CHARACTERS + 1)
    for sent in ({"json": {"question": long}}, {"files": {"question": (None, long)}}):
        assert httpx.post(f"{gateway.url}/analyze", trust_env=False, **sent).status_code == 422


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (FrameError("truncated"), 422),
        (BackendUnavailableError("away"), 503),
        (BackendError("nonsense"), 502),
        (TimeoutError("late"), 504),
    ],
)
def test_robots_trouble_has_a_status(gateway: Gateway, fault: Exception, status: int) -> None:
    gateway.robot.fault = fault
    assert httpx.post(f"{gateway.url}/analyze", json={}, trust_env=False).status_code == status
