"""How old the newest scene is, counted from when it was last known to be true."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class SceneAge:
    """Follows scenes, and the motion gate from now and then.

    A scene ages from its frame on. While the picture is at rest and nothing was forwarded since that frame it does not
    age, for no newer scene is due; so a scene that gets old means that perception hangs or frames have stopped.

    Args:
        now_s: a steady clock, seconds.
    """

    def __init__(self, now_s: Callable[[], float] = monotonic) -> None:
        self._now_s = now_s
        self._scene_ns: int | None = None
        self._confirmed_s = 0.0
        self._motion: tuple[int, int] | None = None  # stamp and frames forwarded
        self._changed_ns = 0

    @property
    def age_s(self) -> float | None:
        """Seconds since the newest scene was last confirmed; None: there was none."""
        return None if self._scene_ns is None else self._now_s() - self._confirmed_s

    def on_scene(self, stamp_ns: int, frame_age_s: float) -> None:
        """A scene has arrived.

        Args:
            stamp_ns: of its frame.
            frame_age_s: how old that frame is now.
        """
        self._scene_ns = stamp_ns
        self._confirmed_s = self._now_s() - max(0.0, frame_age_s)

    def on_motion(self, stamp_ns: int, forwarded: int, *, at_rest: bool) -> None:
        """The gate's newest frame; frames between this one and the last one told may be left out.

        Args:
            forwarded: frames forwarded by the gate so far.
            at_rest: neither something in the picture nor the camera moves.
        """
        if self._motion is not None and forwarded != self._motion[1]:
            self._changed_ns = self._motion[0]  # at the earliest: which of the frames left out it was is not known
        self._motion = stamp_ns, forwarded
        if not at_rest:
            self._changed_ns = stamp_ns
        elif self._scene_ns is not None and self._scene_ns >= self._changed_ns:
            self._confirmed_s = self._now_s()
