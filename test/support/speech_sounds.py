"""Sounds for the tests of hearing: noises that are no speech, a room with a loudspeaker, and a synthetic voice."""

import shutil
import subprocess
from io import BytesIO

import numpy as np
import soundfile
import soxr

RATE = 16000


def at_level(samples: np.ndarray, dbfs: float) -> np.ndarray:
    """The same sound at another root mean square."""
    rms = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
    return (samples * (10 ** (dbfs / 20) / rms)).astype(np.float32)


def white_noise(seconds: float, dbfs: float = -40, seed: int = 0) -> np.ndarray:
    return at_level(np.random.default_rng(seed).normal(size=round(seconds * RATE)), dbfs)


def pink_noise(seconds: float, dbfs: float = -35, seed: int = 0) -> np.ndarray:
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=round(seconds * RATE)))
    spectrum[1:] /= np.sqrt(np.arange(1, spectrum.size))
    return at_level(np.fft.irfft(spectrum, round(seconds * RATE)), dbfs)


def hum(seconds: float, dbfs: float = -30) -> np.ndarray:
    """Mains hum with its harmonics, and a fan's blade."""
    time = np.arange(round(seconds * RATE)) / RATE
    parts = [np.sin(2 * np.pi * 50 * n * time + n) / n for n in range(1, 9)]
    return at_level(np.sum([*parts, 0.3 * np.sin(2 * np.pi * 317 * time)], axis=0), dbfs)


def chords(seconds: float, dbfs: float = -25, seed: int = 0) -> np.ndarray:
    """Something like a piano: chords of decaying tones, two a second."""
    dice, out = np.random.default_rng(seed), np.zeros(round(seconds * RATE) + 2 * RATE)
    time = np.arange(2 * RATE) / RATE
    for begin in range(0, round(seconds * RATE), RATE // 2):
        root = 110 * 2 ** (dice.integers(0, 24) / 12)
        for step in (0, 4, 7, 12):
            for harmonic in range(1, 6):
                pitch = root * 2 ** (step / 12) * harmonic
                out[begin : begin + time.size] += (
                    np.sin(2 * np.pi * pitch * time) * np.exp(-time * (2 + harmonic)) / harmonic
                )
    return at_level(out[: round(seconds * RATE)], dbfs)


def keyboard(seconds: float, dbfs: float = -35, seed: int = 0) -> np.ndarray:
    """Clicks of 8 ms, five to ten a second, over a quiet room."""
    dice, out = np.random.default_rng(seed), white_noise(seconds, -65, seed)
    position = 0.0
    while (position := position + dice.uniform(0.1, 0.2)) < seconds - 0.1:
        click = dice.normal(size=RATE // 125) * np.exp(-np.arange(RATE // 125) / 25)
        begin = round(position * RATE)
        out[begin : begin + click.size] += at_level(click, dbfs + 15 + dice.uniform(-6, 6))
    return out.astype(np.float32)


def echo_of(
    played: np.ndarray, delay_ms: float = 100, gain_db: float = -10, reverb_s: float = 0.2, seed: int = 0
) -> np.ndarray:
    """What a microphone hears of a loudspeaker in a small room: late, quieter, a little distorted, with a tail."""
    dice = np.random.default_rng(seed)
    tail = np.exp(-6.9 * np.arange(round(reverb_s * RATE)) / (reverb_s * RATE)) * dice.normal(
        size=round(reverb_s * RATE)
    )
    impulse = np.concatenate([[1.0], np.zeros(40), 0.08 * tail])
    wet = np.convolve(np.tanh(1.5 * played) / 1.5, impulse)
    delayed = np.concatenate([np.zeros(round(delay_ms * RATE / 1000)), wet])[: played.size]
    return at_level(delayed, 20 * np.log10(np.sqrt(np.mean(np.square(played))) + 1e-9) + gain_db)


def has_espeak() -> bool:
    return shutil.which("espeak-ng") is not None


def synthetic_voice(text: str, language: str = "en") -> np.ndarray:
    """A robot's voice, of espeak-ng."""
    wave = subprocess.run(
        ["espeak-ng", "-v", language, "--stdout", "--stdin"], input=text.encode(), capture_output=True, check=True
    ).stdout
    samples, rate = soundfile.read(BytesIO(wave), dtype="float32")
    return soxr.resample(samples, rate, RATE).astype(np.float32)
