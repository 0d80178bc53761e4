"""Where speech goes: a sound device, or a function that gets it at the pace at which it is heard."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.portaudio import list_anew
from smolfusion_ros.speech.synthesis import BYTES_PER_FRAME

Publish = Callable[[bytes], None]


class Sink(Protocol):
    """Takes S16LE mono pieces, never waits, and knows what of them is audible. Positions are frames since `start`.

    One thread writes; `flush`, `heard_frames` and `is_drained` may come from another.
    """

    def start(self, sample_rate: int) -> None:
        """Open; may take a while. Again after `close`.

        Raises:
            SpeechError: there is no device, or it does not take this rate; says what to do.
        """
        ...

    def room_s(self) -> float:
        """Seconds until the next piece should be written; 0: now."""
        ...

    def write(self, piece: bytes) -> float:
        """Take a piece, at most 40 ms; the steady time (seconds) when it begins to be heard.

        Raises:
            SpeechError: the device is gone.
        """
        ...

    def flush(self) -> int:
        """Drop what can be dropped of what has not been heard; the position at which the next piece will stand."""
        ...

    def written_frames(self) -> int:
        """The position at which the next piece will stand."""
        ...

    def heard_frames(self) -> int:
        """The position that is audible now.

        Raises:
            SpeechError: the device is gone.
        """
        ...

    def close(self) -> None:
        """Give the device back; nothing more is heard."""
        ...


class PacedSink:
    """Hands each piece to a function, such as a topic's, shortly before it is heard.

    Whoever plays the pieces as they come hears them without a gap. What was handed over cannot be taken back, so a
    flush leaves at most `ahead_s` to be heard.

    Args:
        publish: gets each piece in the thread that writes; what it raises, `write` raises.
        ahead_s: 0.02–0.1; a reader with a busy machine needs more.
        clock: steady, seconds.

    Raises:
        SpeechError: ahead_s is out of range.
    """

    def __init__(self, publish: Publish, ahead_s: float = 0.05, clock: Callable[[], float] = time.monotonic) -> None:
        if not 0.02 <= ahead_s <= 0.1:
            raise SpeechError(f"ahead_s is {ahead_s:g}; must be 0.02 to 0.1")
        self._publish = publish
        self._ahead_s = ahead_s
        self._clock = clock
        self._rate = 0
        self._written = 0
        self._end_s = 0.0  # when all that was written has been heard
        self._piece_s = 0.0

    def start(self, sample_rate: int) -> None:
        """See `Sink.start`."""
        self._rate, self._written, self._end_s = sample_rate, 0, self._clock()

    def room_s(self) -> float:
        """See `Sink.room_s`; a piece as long as the one before is taken to follow."""
        return max(0.0, self._end_s + self._piece_s - self._ahead_s - self._clock())

    def write(self, piece: bytes) -> float:
        """See `Sink.write`."""
        begin_s = max(self._end_s, self._clock())
        self._publish(piece)
        frames = len(piece) // BYTES_PER_FRAME
        self._piece_s = frames / self._rate
        self._end_s = begin_s + self._piece_s
        self._written += frames
        return begin_s

    def flush(self) -> int:
        """See `Sink.flush`."""
        return self._written

    def written_frames(self) -> int:
        """See `Sink.written_frames`."""
        return self._written

    def heard_frames(self) -> int:
        """See `Sink.heard_frames`."""
        unheard = max(0.0, self._end_s - self._clock()) * self._rate
        return max(0, self._written - round(unheard))

    def close(self) -> None:
        """See `Sink.close`."""
        self._end_s = self._clock()


class DeviceSink:
    """A sound device through PortAudio, which takes the sound from here piece by piece in a thread of its own.

    What is dropped by a flush is everything that the device has not taken, so that at most `latency_s` is still heard.

    Args:
        device: PortAudio's name or number; None: the system's default.
        latency_s: asked of the device; `latency_s` tells what it grants.
        ahead_s: sound kept ready, against a busy machine.
    """

    # A device that takes nothing for so long is gone: PortAudio does not always tell.
    LOST_S = 1.0

    def __init__(self, device: str | int | None = None, latency_s: float = 0.03, ahead_s: float = 0.2) -> None:
        self._device = device
        self._asked_latency_s = latency_s
        self._ahead_s = ahead_s
        self._lock = threading.Lock()
        self._waiting = bytearray()
        self._stream: Any = None
        self._rate = 0
        self._taken = 0  # frames that the device has taken
        self._block = (0, 0.0)  # position at which the newest block began, and when it is audible
        self._heard = 0
        self._taken_s = 0.0
        self.latency_s = latency_s

    def start(self, sample_rate: int) -> None:
        """See `Sink.start`."""
        try:
            import sounddevice
        except (ImportError, OSError) as error:  # the library is looked for when the module is imported
            raise SpeechError(
                f"sound devices need PortAudio: sudo apt install libportaudio2; pip install sounddevice ({error})"
            ) from error
        self._waiting.clear()
        self._rate, self._taken, self._heard, self._block = sample_rate, 0, 0, (0, 0.0)
        self._taken_s = math.inf  # a device may take a while to open
        try:
            self._stream = sounddevice.RawOutputStream(
                samplerate=sample_rate,
                channels=1,
                dtype="int16",
                device=self._device,
                latency=self._asked_latency_s,
                callback=self._fill,
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError, OSError) as error:
            self.close()
            list_anew(sounddevice)
            name = "the default sound device" if self._device is None else f"sound device {self._device!r}"
            raise SpeechError(
                f"{name} cannot be opened at {sample_rate} Hz: {error}; see python -m sounddevice for what there is"
            ) from error
        self.latency_s = float(self._stream.latency)
        with self._lock:
            self._taken_s = min(self._taken_s, time.monotonic())

    def room_s(self) -> float:
        """See `Sink.room_s`."""
        with self._lock:
            return max(0.0, self._waiting_s() - self._ahead_s)

    def write(self, piece: bytes) -> float:
        """See `Sink.write`."""
        with self._lock:
            self._check()
            heard_s = time.monotonic() + self._waiting_s() + self.latency_s
            self._waiting += piece
        return heard_s

    def flush(self) -> int:
        """See `Sink.flush`."""
        with self._lock:
            self._waiting.clear()
            return self._taken

    def written_frames(self) -> int:
        """See `Sink.written_frames`."""
        with self._lock:
            return self._taken + len(self._waiting) // BYTES_PER_FRAME

    def heard_frames(self) -> int:
        """See `Sink.heard_frames`."""
        with self._lock:
            self._check()
            position, audible_s = self._block
            since = round((time.monotonic() - audible_s) * self._rate)
            # Never back: a device that pauses moves the time of its blocks.
            self._heard = max(self._heard, min(self._taken, position + since))
            return self._heard

    def close(self) -> None:
        """See `Sink.close`."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close(ignore_errors=True)
        with self._lock:
            self._waiting.clear()

    def _check(self) -> None:
        if self._stream is None or not self._stream.active:
            raise SpeechError("the sound device stopped; is it plugged in?")
        if time.monotonic() - self._taken_s > self.LOST_S:  # silence is taken, too
            raise SpeechError(f"the sound device has taken nothing for {self.LOST_S:g} s; is it plugged in?")

    def _waiting_s(self) -> float:
        return len(self._waiting) / BYTES_PER_FRAME / self._rate

    def _fill(self, block: Any, frames: int, times: Any, status: object) -> None:
        """PortAudio's callback: fill the block, with silence where there is no sound."""
        now_s = time.monotonic()
        delay_s = times.outputBufferDacTime - times.currentTime
        with self._lock:
            sound = self._waiting[: frames * BYTES_PER_FRAME]
            del self._waiting[: len(sound)]
            self._block = (self._taken, now_s + (delay_s if 0.0 < delay_s < 1.0 else self.latency_s))
            self._taken += len(sound) // BYTES_PER_FRAME
            self._taken_s = now_s
        block[: len(sound)] = sound
        block[len(sound) :] = bytes(len(block) - len(sound))
