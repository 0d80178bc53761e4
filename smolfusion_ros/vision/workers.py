"""JPEG encoding off the callback thread: OpenCV gives up the interpreter lock while it converts and compresses."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from smolfusion_ros.errors import BusyError, ConfigurationError, FrameError

Roi = tuple[int, int, int, int]
Frame = NDArray[np.uint8]


def encode_jpeg(frame: Frame, max_side_px: int, quality: int, roi: Roi | None = None) -> bytes:
    """Crop to ``roi`` (x, y, width, height), shrink to at most ``max_side_px`` a side, compress to JPEG.

    ``frame`` is HxWx3 or HxW uint8, ``quality`` 1-100; nothing is ever enlarged. Raises FrameError for an
    empty frame or a region outside of it, ConfigurationError for the numbers.
    """
    if max_side_px < 1 or not 1 <= quality <= 100:
        raise ConfigurationError(f"max_side_px is {max_side_px} and quality {quality}: use at least 1, and 1 to 100")
    if frame.dtype != np.uint8 or frame.ndim not in (2, 3) or frame.size == 0:
        raise FrameError(f"frame is {frame.shape} {frame.dtype}: HxWx3 or HxW uint8 is needed")
    if roi is not None:
        x, y, width, height = roi
        crop = frame[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]
        if crop.size == 0:
            raise FrameError(f"region {roi} lies outside the {frame.shape[1]}x{frame.shape[0]} frame")
        frame = crop
    scale = max_side_px / max(frame.shape[:2])
    if scale < 1:
        size = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
        frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    done, encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise FrameError(f"{frame.shape[1]}x{frame.shape[0]} frame cannot be encoded as a JPEG")
    return encoded.tobytes()


class EncoderPool:
    """A few encoder threads behind a bounded queue.

    When ``queue_size`` frames wait beside those being encoded, a new one is refused with BusyError: a late
    keyframe is worth less than the next one, so the caller drops it.
    """

    def __init__(self, threads: int = 1, queue_size: int = 2) -> None:
        if threads < 1 or queue_size < 0:
            raise ConfigurationError(f"threads is {threads} and queue_size {queue_size}: use at least 1, and 0 or more")
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="jpeg")
        self._places = threading.BoundedSemaphore(threads + queue_size)
        self._closed = False

    def encode(
        self, frame: Callable[[], Frame], max_side_px: int, quality: int, roi: Roi | None = None
    ) -> "Future[bytes]":
        """Make a frame and encode it in the background as :func:`encode_jpeg` does; the future carries the errors.

        What ``frame`` is made from is not copied: leave it unchanged until the future is done. Raises BusyError
        when the queue is full or the pool is closed.
        """
        if self._closed:
            raise BusyError("the JPEG encoder pool is closed: build a new one")
        if not self._places.acquire(blocking=False):
            raise BusyError("the JPEG encoder queue is full: drop this frame, the next one is newer")
        try:
            future = self._executor.submit(lambda: encode_jpeg(frame(), max_side_px, quality, roi))
        except RuntimeError as error:
            self._places.release()
            raise BusyError("the JPEG encoder pool is closed: build a new one") from error
        future.add_done_callback(lambda _: self._places.release())
        return future

    def close(self) -> None:
        """Cancel what waits, finish what runs; may be called twice."""
        self._closed = True
        self._executor.shutdown(wait=True, cancel_futures=True)
