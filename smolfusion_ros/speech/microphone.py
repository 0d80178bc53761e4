"""Sound from a microphone of this machine, through PortAudio."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.portaudio import list_anew
from smolfusion_ros.speech.sound import SAMPLE_RATE

OnSound = Callable[[bytes, int, int, float], None]
"""Gets S16LE bytes, sample rate, channels, and the steady time (seconds) of the last sample, in PortAudio's thread."""

_LOST_AFTER_S = 1.0


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise SpeechError(f"a microphone needs sounddevice ({error}): pip install sounddevice") from error
    except OSError as error:  # the package is there, the library is not
        raise SpeechError(f"a microphone needs PortAudio ({error}): apt install libportaudio2") from error
    return sounddevice


class Microphone:
    """An open microphone; sound comes until ``close``.

    Args:
        on_sound: must be quick.
        device: a name or a part of it; "" is the system's default.
        channels: 1 to 16.
        block_s: length of a piece, 0.005 to 0.5.
        clock: steady seconds.

    Attributes:
        sample_rate: 16000, or the device's own where it does not give that.
        overflows: pieces that PortAudio lost.

    Raises:
        SpeechError: no such device, it is in use or refuses the format, or PortAudio is not installed.
    """

    def __init__(
        self,
        on_sound: OnSound,
        device: str = "",
        channels: int = 1,
        block_s: float = 0.032,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0.005 <= block_s <= 0.5:
            raise SpeechError(f"block_s is {block_s}: use 0.005 to 0.5")
        if not 1 <= channels <= 16:
            raise SpeechError(f"channels is {channels}: use 1 to 16")
        self._on_sound, self._channels, self._clock = on_sound, channels, clock
        self._name = repr(device) if device else "(the default)"
        self._finished = threading.Event()
        self._closing = False
        self.overflows = 0
        sounddevice = _sounddevice()
        chosen = int(device) if device.isdecimal() else device or None
        try:
            self.sample_rate = self._rate(sounddevice, chosen)
            self._stream = sounddevice.RawInputStream(
                samplerate=self.sample_rate,
                blocksize=round(block_s * self.sample_rate),
                device=chosen,
                channels=channels,
                dtype="int16",
                latency="low",
                callback=self._take,
                finished_callback=self._finished.set,
            )
            self._last_s = clock()
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError, OSError) as error:
            list_anew(sounddevice)
            raise SpeechError(
                f"the microphone {self._name} cannot be opened ({error}): `python3 -m sounddevice` lists what there is"
            ) from error

    def check(self) -> None:
        """Ask once in a while whether sound still comes.

        Raises:
            SpeechError: the device is gone, or has given nothing for a second: close this and open another.
        """
        silent_s = self._clock() - self._last_s
        if self._finished.is_set() and not self._closing:
            raise SpeechError(f"the microphone {self._name} has stopped: is it still plugged in?")
        if silent_s > _LOST_AFTER_S:
            raise SpeechError(f"the microphone {self._name} has given no sound for {silent_s:.1f} s: is it plugged in?")

    def close(self) -> None:
        """Give the device back; may be called twice, and of a device that is gone."""
        if self._closing:
            return
        self._closing = True
        try:
            self._stream.close()
        except _sounddevice().PortAudioError:
            return

    def _rate(self, sounddevice: Any, device: Any) -> int:
        try:
            sounddevice.check_input_settings(
                device=device, channels=self._channels, dtype="int16", samplerate=SAMPLE_RATE
            )
        except sounddevice.PortAudioError:
            default: float = sounddevice.query_devices(device, "input")["default_samplerate"]
            return round(default)
        return SAMPLE_RATE

    def _take(self, data: Any, frames: int, when: Any, status: Any) -> None:
        now_s = self._clock()
        self._last_s = now_s
        self.overflows += bool(status.input_overflow)
        # Some drivers give no times; what waited in the driver then counts as heard now.
        late_s = (
            when.currentTime - when.inputBufferAdcTime - frames / self.sample_rate if when.inputBufferAdcTime else 0.0
        )
        self._on_sound(bytes(data), self.sample_rate, self._channels, now_s - min(max(late_s, 0.0), 0.5))
