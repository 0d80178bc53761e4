"""How the camera is doing, told from the frames that come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

from smolfusion_ros.nodes._diagnostics import ERROR, OK, WARN, Status

# A stamp further from the node's clock than this makes ages, and what is judged by them, wrong.
MAX_CLOCK_DIFFERENCE_S = 1.0
# Frames the rate is taken over.
_WINDOW = 30


class CameraWatch:
    """Keeps count of frames; all durations are taken from the steady clock.

    Args:
        steady_s: a steady clock, seconds.
    """

    def __init__(self, steady_s: Callable[[], float] = monotonic) -> None:
        self._steady_s = steady_s
        self._since_s = steady_s()
        self._arrived_s: float | None = None
        self._refused_s = -float("inf")
        self._taken_s: deque[float] = deque(maxlen=_WINDOW + 1)
        self._reason = ""
        self._refused = 0
        self._picture = ""
        self._clock_difference_s = 0.0

    def on_frame(self, width: int, height: int, encoding: str, clock_difference_s: float) -> None:
        """A frame was taken; its stamp was so many seconds before the node's clock."""
        self._arrived_s = self._steady_s()
        self._taken_s.append(self._arrived_s)
        self._picture = f"{width}x{height} {encoding}"
        self._clock_difference_s = clock_difference_s

    def on_refused(self, reason: str) -> None:
        """A frame could not be used."""
        self._arrived_s = self._refused_s = self._steady_s()
        self._refused += 1
        self._reason = reason

    def status(self, topic: str, publishers: int, skipped: float, timeout_s: float) -> Status:
        """What to tell of the camera.

        Args:
            topic: where frames are expected, and how many publish there.
            skipped: share of frames that were no keyframes, 0 to 1.
            timeout_s: a camera that is silent for longer is told of.
        """
        now = self._steady_s()
        silent_s = now - (self._since_s if self._arrived_s is None else self._arrived_s)
        values = {
            "topic": topic,
            "publishers": publishers,
            "rate (fps)": 0.0 if silent_s > timeout_s else self._rate_hz(),
            "frame": self._picture,
            "skipped (%)": 100.0 * skipped,
            "age of the last frame (s)": "" if self._arrived_s is None else silent_s,
            "clock difference (s)": self._clock_difference_s,
            "refused": self._refused,
            "last refusal": self._reason,
        }
        if silent_s > timeout_s:
            hint = "" if publishers else f": nobody publishes {topic}"
            return Status(WARN, f"no frame for {silent_s:.0f} s{hint}", values)
        if now - self._refused_s <= timeout_s:
            return Status(ERROR, f"frames are refused: {self._reason}", values)
        if abs(self._clock_difference_s) > MAX_CLOCK_DIFFERENCE_S:
            advice = "check use_sim_time or time synchronisation"
            return Status(WARN, f"camera clock differs by {self._clock_difference_s:.1f} s: {advice}", values)
        if self._arrived_s is None:
            return Status(OK, "waiting for the first frame", values)
        return Status(OK, f"{self._rate_hz():.1f} fps {self._picture}", values)

    def _rate_hz(self) -> float:
        taken = self._taken_s
        span_s = taken[-1] - taken[0] if len(taken) > 1 else 0.0
        return (len(taken) - 1) / span_s if span_s > 0 else 0.0
