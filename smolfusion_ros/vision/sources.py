"""Where frames come from when no camera node publishes them: a drawn scene, a video file, or a camera device."""

import math
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from smolfusion_ros.errors import ConfigurationError, FrameError
from smolfusion_ros.vision.visit import Visit

Frame = NDArray[np.uint8]
_DEFAULT_FPS = 30.0
# A camera gives a damaged picture now and then; one that gives so many in a row is lost and opened again.
_LOST_AFTER = 3
_REOPEN_S = 1.0


class FrameSource(Protocol):
    """Frames in order, at ``fps`` frames a second."""

    fps: float

    def read(self, time_s: float | None = None) -> Frame | None:
        """Give the frame due ``time_s`` seconds after the start, or just the next one; None at the end.

        Frames are HxWx3 uint8 BGR. A recording skips frames to keep up with ``time_s`` and repeats the
        last one where it is ahead; a live camera gives its newest frame whatever the time.

        Raises FrameError for a frame that cannot be read; go on reading. A recording goes on with its next
        frame, and a camera that is lost is opened again, at most once a second.
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
        self._name, self._size, self._loop = path.name, (width, height), loop
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
        frame = _read(self._capture.retrieve)
        if frame is None:
            raise FrameError(f"frame {self._count - 1} of {self._name} is damaged")
        self._frame = _resized(frame, self._size)
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
    def __init__(self, device: str, width: int, height: int, steady_s: Callable[[], float] = monotonic) -> None:
        self._device, self._size = device, (width, height)
        self._steady_s = steady_s
        self._failures = 0
        self._reopen_s = 0.0
        self._trouble = ""
        self._capture: cv2.VideoCapture | None = self._opened()
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else _DEFAULT_FPS

    def read(self, time_s: float | None = None) -> Frame | None:
        if self._capture is None:
            self._reopen()
        if self._capture is not None:
            frame = _read(self._capture.read)
            if frame is not None:
                self._failures = 0
                return _resized(frame, self._size)
            self._failures += 1
            self._trouble = f"camera {self._device} gives no picture: check its plug and cable"
            if self._failures >= _LOST_AFTER:
                self.close()
        raise FrameError(self._trouble)

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    def _reopen(self) -> None:
        now = self._steady_s()
        if now < self._reopen_s:
            return
        self._reopen_s = now + _REOPEN_S
        try:
            self._capture = self._opened()
        except ConfigurationError as error:
            self._trouble = str(error)

    def _opened(self) -> cv2.VideoCapture:
        if self._device.startswith("/dev/") and not Path(self._device).exists():
            raise ConfigurationError(
                f"camera {self._device} is not there: plug it in (v4l2-ctl --list-devices), or use rendered:visit"
            )
        capture = cv2.VideoCapture(int(self._device) if self._device.isdigit() else self._device)
        if not capture.isOpened():
            raise ConfigurationError(
                f"camera {self._device} cannot be opened: another program may hold it, or you are not in group 'video'"
            )
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return capture


def _read(read: Callable[[], tuple[bool, Any]]) -> NDArray[Any] | None:
    try:
        got, frame = read()
    except cv2.error:
        return None
    return frame if got and frame is not None and frame.size else None


def _resized(frame: NDArray[Any], size: tuple[int, int]) -> Frame:
    if (frame.shape[1], frame.shape[0]) != size:
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return np.asarray(frame, dtype=np.uint8)
