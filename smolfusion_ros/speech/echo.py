"""The robot's own voice, taken out of what its microphone hears: it answers others, and hears who interrupts it."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Protocol

import numpy as np

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.sound import SAMPLE_RATE, SILENCE_DBFS, Samples, level_dbfs

ENGINES = ("auto", "webrtc", "gate", "none")

_FRAME = SAMPLE_RATE // 100  # the canceller takes 10 ms at a time
_FAR_MOST = 2 * SAMPLE_RATE  # more than this waiting is from before a pause of the microphone


class Echo(Protocol):
    """``far`` and ``near`` may be called from two threads.

    Attributes:
        name: "webrtc" or "gate", for diagnostics.
    """

    name: str

    def far(self, samples: Samples) -> None:
        """What the loudspeaker plays from now on, 16 kHz mono: called when a piece begins to sound, or 0.3 s before."""
        ...

    def near(self, samples: Samples) -> Samples:
        """What the microphone heard, without the echo; may hold back up to 10 ms, see ``held_back``."""
        ...

    @property
    def held_back(self) -> int:
        """Samples taken by ``near`` and not returned yet."""
        ...

    def allows(self, level: float) -> bool:
        """Whether sound of this level (dBFS), heard now, may be the beginning of somebody's speech."""
        ...


class _FarEnd:
    """What the loudspeaker plays, taken sample for sample with what the microphone hears, however bursty it comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces: deque[Samples] = deque()
        self._waiting = 0

    def put(self, samples: Samples) -> None:
        with self._lock:
            self._pieces.append(samples)
            self._waiting += samples.size
            while self._waiting > _FAR_MOST and len(self._pieces) > 1:
                self._waiting -= self._pieces.popleft().size

    def take(self, count: int) -> Samples:
        """The next samples; zeros where nothing is played."""
        taken = np.zeros(count, np.float32)
        done = 0
        with self._lock:
            while done < count and self._pieces:
                piece = self._pieces.popleft()
                used = min(piece.size, count - done)
                taken[done : done + used] = piece[:used]
                if used < piece.size:
                    self._pieces.appendleft(piece[used:])
                done += used
            self._waiting -= done
        return taken


class WebRtcEcho:
    """WebRTC's echo canceller (AEC3), as livekit ships it. It finds the delay of the room by itself.

    Nothing is computed while the loudspeaker has been silent for ``_RELEASE_S``. What it leaves of the echo, most of
    all before it has found the delay, a gate keeps from beginning an utterance.

    Raises:
        SpeechError: the package livekit is not installed or cannot be used.
    """

    name = "webrtc"
    _RELEASE_S = 1.0

    def __init__(self) -> None:
        try:
            from livekit.rtc import AudioFrame, AudioProcessingModule
        except (ImportError, OSError) as error:
            raise SpeechError(f"echo cancellation needs livekit ({error}): pip install livekit") from error
        self._frame: Any = AudioFrame
        try:
            self._module: Any = AudioProcessingModule(echo_cancellation=True)
        except Exception as error:  # of its native library
            raise SpeechError(f"livekit's echo canceller cannot be used: {error}") from error
        self._far = _FarEnd()
        self._residue = EchoGate()
        self._rest: Samples = np.zeros(0, np.float32)
        self._silent = SAMPLE_RATE * 3600

    def far(self, samples: Samples) -> None:
        self._far.put(samples)
        self._residue.far(samples)

    @property
    def held_back(self) -> int:
        return int(self._rest.size)

    def near(self, samples: Samples) -> Samples:
        waiting = np.concatenate([self._rest, samples])
        whole = waiting.size // _FRAME * _FRAME
        self._rest = waiting[whole:]
        cleaned = [self._cancel(waiting[at : at + _FRAME]) for at in range(0, whole, _FRAME)]
        return self._residue.near(np.concatenate(cleaned) if cleaned else np.zeros(0, np.float32))

    def allows(self, level: float) -> bool:
        return self._residue.allows(level)

    def _cancel(self, near: Samples) -> Samples:
        far = self._far.take(_FRAME)
        self._silent = 0 if far.any() else self._silent + _FRAME
        if self._silent > self._RELEASE_S * SAMPLE_RATE:
            return near
        try:
            self._module.process_reverse_stream(self._audio(far))
            frame = self._audio(near)
            self._module.process_stream(frame)
        except RuntimeError as error:
            raise SpeechError(f"the echo canceller fails: {error}") from error
        return np.frombuffer(frame.data, "<i2").astype(np.float32) / 32768.0

    def _audio(self, samples: Samples) -> Any:
        data = (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        return self._frame(bytearray(data), SAMPLE_RATE, 1, _FRAME)


class EchoGate:
    """Where no canceller is installed: while the robot speaks, only what is louder than its echo begins an utterance.

    How loud the echo of a played level is, is learned from what the microphone hears meanwhile. It begins at
    ``_COUPLING_DB``, as loud as it was played, and a person must be louder until the room has been learned.
    """

    name = "gate"
    _COUPLING_DB = 0.0
    _MARGIN_DB = 6.0
    _REACH = round(0.25 * SAMPLE_RATE)  # an echo is over so long after its sound
    _AUDIBLE_DBFS = -55.0
    _QUANTILE, _STEP_DB_PER_S = 0.9, 60.0

    def __init__(self) -> None:
        self._far = _FarEnd()
        self._played: deque[tuple[int, float]] = deque()  # samples, level
        self._coupling_db = self._COUPLING_DB

    held_back = 0

    def far(self, samples: Samples) -> None:
        self._far.put(samples)

    def near(self, samples: Samples) -> Samples:
        if samples.size:
            self._played.append((samples.size, level_dbfs(self._far.take(samples.size))))
            while sum(size for size, _ in self._played) - self._played[0][0] > self._REACH:
                self._played.popleft()
            self._learn(level_dbfs(samples), samples.size / SAMPLE_RATE)
        return samples

    def allows(self, level: float) -> bool:
        loudest = self._loudest()
        return loudest < self._AUDIBLE_DBFS or level > loudest + self._coupling_db + self._MARGIN_DB

    def _loudest(self) -> float:
        return max((level for _, level in self._played), default=SILENCE_DBFS)

    def _learn(self, level: float, seconds: float) -> None:
        """Follow the ``_QUANTILE`` of the echo's level against the played one; a person's speech moves it slowly."""
        loudest = self._loudest()
        if loudest < self._AUDIBLE_DBFS:
            return
        above = level - loudest - self._coupling_db
        step = self._STEP_DB_PER_S * seconds
        if above > self._MARGIN_DB:
            self._coupling_db += 0.05 * step
        elif above > 0:
            self._coupling_db += self._QUANTILE * step
        else:
            self._coupling_db -= (1 - self._QUANTILE) * step


def make_echo(engine: str = "auto") -> Echo | None:
    """The echo canceller, or with "auto" the gate where livekit is not installed; None for "none".

    Raises:
        SpeechError: unknown engine, or "webrtc" cannot be had.
    """
    if engine not in ENGINES:
        raise SpeechError(f"echo is {engine!r}: use one of {', '.join(ENGINES)}")
    if engine == "none":
        return None
    if engine == "gate":
        return EchoGate()
    try:
        return WebRtcEcho()
    except SpeechError:
        if engine == "webrtc":
            raise
        return EchoGate()
