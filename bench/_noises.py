"""Sounds of a robot's day that are no speech, for a recogniser that must not hear any in them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from smolfusion_ros.speech.sound import SAMPLE_RATE, Samples


def of(seconds: float) -> Iterator[tuple[str, Samples]]:
    """Named sounds, together so long."""
    kinds = {
        "white noise, -40 dBFS": lambda length, dice: _level(dice.normal(size=length), -40),
        "pink noise, -30 dBFS": lambda length, dice: _level(_pink(length, dice), -30),
        "hum and fan": lambda length, dice: _level(_hum(length), -30),
        "music": lambda length, dice: _level(_music(length, dice), -25),
        "servos": lambda length, dice: _level(_servos(length, dice), -30),
        "knocks": lambda length, dice: _knocks(length, dice),
    }
    length = round(seconds / len(kinds) * SAMPLE_RATE)
    for seed, (name, make) in enumerate(kinds.items()):
        yield name, make(length, np.random.default_rng(seed)).astype(np.float32)


def _level(sound: np.ndarray, dbfs: float) -> np.ndarray:
    """The same sound at another root mean square, decibels of full scale."""
    return sound * (10 ** (dbfs / 20) / np.sqrt(np.mean(np.square(sound))))


def _time(length: int) -> np.ndarray:
    return np.arange(length) / SAMPLE_RATE


def _pink(length: int, dice: np.random.Generator) -> np.ndarray:
    spectrum = np.fft.rfft(dice.normal(size=length))
    spectrum[1:] /= np.sqrt(np.arange(1, spectrum.size))
    return np.fft.irfft(spectrum, length)


def _hum(length: int) -> np.ndarray:
    """Mains with its harmonics, and a fan's blades."""
    time = _time(length)
    mains = sum(np.sin(2 * np.pi * 50 * number * time) / number for number in range(1, 9))
    return np.asarray(mains + 0.3 * np.sin(2 * np.pi * 317 * time))


def _music(length: int, dice: np.random.Generator) -> np.ndarray:
    """Chords of decaying tones, two a second."""
    sound, note = np.zeros(length + 2 * SAMPLE_RATE), _time(2 * SAMPLE_RATE)
    for begin in range(0, length, SAMPLE_RATE // 2):
        root = 110 * 2 ** (dice.integers(0, 24) / 12)
        for step in (0, 4, 7, 12):
            for harmonic in range(1, 6):
                tone = np.sin(2 * np.pi * root * 2 ** (step / 12) * harmonic * note)
                sound[begin : begin + note.size] += tone * np.exp(-note * (2 + harmonic)) / harmonic
    return sound[:length]


def _servos(length: int, dice: np.random.Generator) -> np.ndarray:
    """Motors that whine up and down, a second each, with gear noise."""
    pitch = np.repeat(dice.uniform(200, 900, length // SAMPLE_RATE + 1), SAMPLE_RATE)[:length]
    pitch = np.convolve(pitch, np.ones(4000) / 4000, "same")
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    return np.sin(phase) + 0.5 * np.sin(3 * phase) + 0.3 * dice.normal(size=length)


def _knocks(length: int, dice: np.random.Generator) -> np.ndarray:
    """Steps, doors, things put down: one or two a second, over a quiet room."""
    sound, decay = _level(dice.normal(size=length), -65), np.exp(-_time(2000) * 60)
    at = 0
    while (at := at + int(dice.uniform(0.4, 1.2) * SAMPLE_RATE)) < length - 2000:
        knock = np.sin(2 * np.pi * dice.uniform(60, 300) * _time(2000)) + 0.3 * dice.normal(size=2000)
        sound[at : at + 2000] += dice.uniform(0.05, 0.4) * knock * decay
    return sound
