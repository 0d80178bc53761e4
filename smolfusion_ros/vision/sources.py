"""Where frames come from when no camera node publishes them: a drawn scene, a video file, or a camera device."""

import math
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.vision.visit import Visit

Frame = NDArray[np.uint8]
_DEFAULT_FPS = 30.0


class FrameSource(Protocol):
    """Frames in order, at ``fps`` frames a second."""

    fps: float

    def read(self, time_s: float | None = None) -> Frame | None:
        """Give the frame due ``time_s`` seconds after the start, or just the next one; None at the end.

        Frames are HxWx3 uint8 BGR. A recording skips frames to keep up with ``time_s`` and repeats the
        last one where it is ahead; a live camera gives its newest frame whatever the time.
        """

    def close(self) -> None:
        """Give the file or device back; may be called twice."""


def open_source(uri: str, *, width: int = 640, height: int = 480, loop: bool = True) -> FrameSource:
    """Open ``rendered:visit``, ``rendered:still``, a video file, or a camera (``/dev/video0`` or ``0``).

    Frames come out ``width`` x ``height``; ``loop`` starts a recording or a drawn scene again at its end.
    Raises ConfigurationError if there is no such source or it cannot be opened.
    """
    if width < 32 or height < 32:
        raise ConfigurationError(f"frame size is {width}x{height}: use at least 32x32")
    if uri.startswith("rendered:"):
        return _RenderedSource(uri.removeprefix("rendered:"), width, height, loop)
    if uri.isdigit() or uri.startswith("/dev/"):
        return _CameraSource(uri, width, height)
    return _FileSource(Path(uri), width, height, loop)


class _RenderedSource:
    def __init__(self, name: str, width: int, height: int, loop: bool) -> None:
        if name not in ("visit", "still"):
            raise ConfigurationError(f"source is 'rendered:{name}': use rendered:visit or rendered:still")
        self._visit = Visit(width, height, still=name == "still")
        self._loop = loop
        self._next = 0
        self.fps = self._visit.fps

    def read(self, time_s: float | None = None) -> Frame | None:
        if time_s is None:
            time_s = self._next / self.fps
        self._next = math.floor(time_s * self.fps + 1e-6) + 1
        if not self._loop and time_s >= self._visit.duration_s:
            return None
        return self._visit.frame_at(time_s)

    def close(self) -> None:
        pass


class _FileSource:
    def __init__(self, path: Path, width: int, height: int, loop: bool) -> None:
        if not path.is_file():
            raise ConfigurationError(
                f"video {str(path)!r} is not there: give a file, /dev/videoN, rendered:visit or rendered:still"
            )
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise ConfigurationError(f"video {str(path)!r} cannot be opened: convert it, for example to H.264 MP4")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else _DEFAULT_FPS
        self._size, self._loop = (width, height), loop
        self._count = 0
        self._frame: Frame | None = None

    def read(self, time_s: float | None = None) -> Frame | None:
        due = self._count if time_s is None else math.floor(time_s * self.fps + 1e-6)
        if self._frame is not None and due < self._count:
            return self._frame
        while self._count <= due:
            if not self._grab():
                self._frame = None
                return None
            self._count += 1
        got, frame = self._capture.retrieve()
        self._frame = _resized(frame, self._size) if got else None
        return self._frame

    def _grab(self) -> bool:
        if self._capture.grab():
            return True
        if not self._loop or self._count == 0:
            return False
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        return self._capture.grab()

    def close(self) -> None:
        self._capture.release()


class _CameraSource:
    def __init__(self, device: str, width: int, height: int) -> None:
        if device.startswith("/dev/") and not Path(device).exists():
            raise ConfigurationError(
                f"camera {device} is not there: plug it in (v4l2-ctl --list-devices), or use rendered:visit"
            )
        self._capture = cv2.VideoCapture(int(device) if device.isdigit() else device)
        if not self._capture.isOpened():
            raise ConfigurationError(
                f"camera {device} cannot be opened: another program may hold it, or you are not in group 'video'"
            )
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else _DEFAULT_FPS
        self._size = (width, height)

    def read(self, time_s: float | None = None) -> Frame | None:
        got, frame = self._capture.read()
        return _resized(frame, self._size) if got else None

    def close(self) -> None:
        self._capture.release()


def _resized(frame: NDArray[Any], size: tuple[int, int]) -> Frame:
    if (frame.shape[1], frame.shape[0]) != size:
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return np.asarray(frame, dtype=np.uint8)
