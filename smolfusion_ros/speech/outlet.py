"""A sink as the mouth uses it: opened when there is something to say, and after a failure again, ever more rarely."""

from __future__ import annotations

import logging
import time

from smolfusion_ros.speech.loudspeaker import Sink

_log = logging.getLogger(__name__)
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0


class Outlet:
    """Keeps a sink's state; `open` and `close` may take long, everything else is quick.

    Attributes:
        is_open: it takes sound.
        heard: the position that was audible when it was last asked.
    """

    def __init__(self, sink: Sink, sample_rate: int) -> None:
        self.is_open = False
        self.heard = 0
        self._sink = sink
        self._rate = sample_rate
        self._pause_s = FIRST_PAUSE_S
        self._open_after_s = 0.0

    def pause_s(self) -> float:
        """Seconds until it may be opened."""
        return max(0.0, self._open_after_s - time.monotonic())

    def open(self) -> None:
        """Open the sink; raises what it raises."""
        self._sink.start(self._rate)
        self.heard = 0
        self.is_open = True

    def close(self) -> None:
        """Give the device back."""
        self.is_open = False
        try:
            self._sink.close()
        except Exception:
            _log.exception("the sink could not be closed")

    def fail(self) -> None:
        """It raised: nothing is written until it has been closed and opened again."""
        self.is_open = False
        self._open_after_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def listen(self) -> int:
        """The position that is audible; raises what the sink raises."""
        if self.is_open:
            self.heard = self._sink.heard_frames()
        return self.heard

    def room_s(self) -> float:
        """See `Sink.room_s`."""
        return self._sink.room_s()

    def write(self, piece: bytes) -> tuple[int, float]:
        """The position of a piece, and the steady time when it is audible; raises what the sink raises."""
        position = self._sink.written_frames()
        return position, self._sink.write(piece)

    def has_worked(self) -> None:
        """Something was heard: the next failure is the first."""
        self._pause_s = FIRST_PAUSE_S

    def flush(self) -> int:
        """Drop what is not heard; the position where sound goes on."""
        return self._sink.flush() if self.is_open else 0
