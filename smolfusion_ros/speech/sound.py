"""Whatever a microphone or a topic delivers becomes mono float32 at 16 kHz, piece by piece."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from smolfusion_ros.errors import SpeechError

SAMPLE_RATE = 16000
"""Samples per second of everything that hears: Silero, Whisper, Vosk and the echo canceller all take 16 kHz."""

SILENCE_DBFS = -120.0
"""The level told of digital silence, whose logarithm there is not."""

Samples = NDArray[np.float32]
"""Mono, -1 to 1."""

_DTYPES: dict[str, np.dtype[Any]] = {"S16LE": np.dtype("<i2"), "F32LE": np.dtype("<f4")}
_CLIPPED = 0.999
_MEMORY_S = 1.0  # clipping and level are averages that forget with this time constant


def level_dbfs(samples: Samples) -> float:
    """The root mean square as decibels of full scale; ``SILENCE_DBFS`` for none or digital silence."""
    power = float(np.dot(samples, samples)) / samples.size if samples.size else 0.0
    return max(SILENCE_DBFS, 10 * math.log10(power)) if power > 0 else SILENCE_DBFS


@dataclass(frozen=True)
class SoundFormat:
    """How bytes of sound are to be read.

    Args:
        sample_rate: 8000 to 192000 Hz.
        channels: interleaved, 1 to 16.
        sample_format: "S16LE" or "F32LE", little-endian.

    Raises:
        SpeechError: for anything else.
    """

    sample_rate: int
    channels: int
    sample_format: str

    def __post_init__(self) -> None:
        if self.sample_format not in _DTYPES:
            raise SpeechError(f"sample_format is {self.sample_format!r}: use one of {', '.join(_DTYPES)}")
        if not 8000 <= self.sample_rate <= 192000:
            raise SpeechError(f"sample_rate is {self.sample_rate} Hz: use 8000 to 192000")
        if not 1 <= self.channels <= 16:
            raise SpeechError(f"channels is {self.channels}: use 1 to 16")

    def read(self, data: bytes) -> Samples:
        """Mono samples at this format's own rate; several channels are averaged.

        Raises:
            SpeechError: the bytes are no whole number of frames, or a sample is NaN or infinite.
        """
        dtype = _DTYPES[self.sample_format]
        frame_bytes = dtype.itemsize * self.channels
        if len(data) % frame_bytes:
            raise SpeechError(
                f"{len(data)} bytes of sound are no whole number of frames of {frame_bytes} bytes "
                f"({self.channels} channels, {self.sample_format})"
            )
        samples: Samples = np.frombuffer(data, dtype).astype(np.float32)
        if self.sample_format == "S16LE":
            samples /= 32768.0
        elif not np.isfinite(samples).all():
            bad = samples[~np.isfinite(samples)][0]
            raise SpeechError(f"a sample of the sound is {bad}: numbers from -1 to 1 are needed")
        if self.channels > 1:
            samples = np.mean(samples.reshape(-1, self.channels), axis=1, dtype=np.float32)
        return np.asarray(samples, np.float32)


class Intake:
    """Takes sound in any format, and in another one from one piece to the next; used by one thread.

    Attributes:
        clipped_share: of the samples of the last second or so, 0 to 1; above 0.01 the microphone is set too loud.
        level_dbfs: root mean square of the same samples.
    """

    def __init__(self) -> None:
        self._format: SoundFormat | None = None
        self._resampler: soxr.ResampleStream | None = None
        self._power = 0.0
        self.clipped_share = 0.0

    @property
    def level_dbfs(self) -> float:
        return max(SILENCE_DBFS, 10 * math.log10(self._power)) if self._power > 0 else SILENCE_DBFS

    def take(self, data: bytes, sample_rate: int, channels: int, sample_format: str) -> Samples:
        """The next piece of sound; what comes back may be a few milliseconds short, which the next piece brings.

        Raises:
            SpeechError: as ``SoundFormat`` and its ``read``; what was taken before is not touched.
        """
        sound_format = SoundFormat(sample_rate, channels, sample_format)
        samples = sound_format.read(data)
        np.clip(samples, -1.0, 1.0, out=samples)
        self._measure(samples, sample_rate)
        rest = self._change(sound_format)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples).astype(np.float32, copy=False)
        return np.concatenate([rest, samples]) if rest.size else samples

    def _change(self, sound_format: SoundFormat) -> Samples:
        """Take up another format; returns what the old one's resampler still held."""
        rest = np.zeros(0, np.float32)
        if sound_format == self._format:
            return rest
        if self._resampler is not None:
            rest = self._resampler.resample_chunk(rest, last=True).astype(np.float32, copy=False)
        self._format, self._resampler = sound_format, None
        if sound_format.sample_rate != SAMPLE_RATE:
            # soxr works in blocks: "LQ" (16 bits) is up to 20 ms late at 48 kHz, the better ones 40.
            self._resampler = soxr.ResampleStream(
                sound_format.sample_rate, SAMPLE_RATE, 1, dtype="float32", quality="LQ"
            )
        return rest

    def _measure(self, samples: Samples, sample_rate: int) -> None:
        if not samples.size:
            return
        kept = math.exp(-samples.size / sample_rate / _MEMORY_S)
        clipped = float(np.count_nonzero(np.abs(samples) >= _CLIPPED)) / samples.size
        self.clipped_share = kept * self.clipped_share + (1 - kept) * clipped
        self._power = kept * self._power + (1 - kept) * float(np.dot(samples, samples)) / samples.size
