"""Any format in, mono 16 kHz out, and nothing wrong gets through."""

import itertools
import math

import numpy as np
import pytest

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.sound import SAMPLE_RATE, SILENCE_DBFS, Intake, level_dbfs


def tone(rate: int, seconds: float = 1.0, hertz: float = 1000.0, height: float = 0.5) -> np.ndarray:
    return (height * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def s16(samples: np.ndarray) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def pitch(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum)) * SAMPLE_RATE / samples.size


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 192000])
def test_any_rate_comes_out_at_16_khz_with_its_pitch_and_level(rate):
    intake, sound = Intake(), s16(tone(rate))
    pieces = [intake.take(sound[at : at + 2 * 480], rate, 1, "S16LE") for at in range(0, len(sound), 2 * 480)]
    heard = np.concatenate(pieces)
    assert heard.dtype == np.float32
    assert SAMPLE_RATE - 0.07 * SAMPLE_RATE <= heard.size <= SAMPLE_RATE + 1
    assert pitch(heard) == pytest.approx(1000, abs=3)
    assert level_dbfs(heard[2000:]) == pytest.approx(-9.03, abs=0.2)


def test_resampling_piece_by_piece_is_the_same_as_at_once():
    sound = s16(np.random.default_rng(1).normal(0, 0.1, 48000))
    once = Intake().take(sound, 48000, 1, "S16LE")
    intake = Intake()
    cuts = [0, 2, 962, 964, 10002, 10004, 50000, len(sound)]
    pieces = np.concatenate([intake.take(sound[a:b], 48000, 1, "S16LE") for a, b in itertools.pairwise(cuts)])
    shorter = min(once.size, pieces.size)
    assert shorter > 15000
    np.testing.assert_allclose(pieces[:shorter], once[:shorter], atol=1e-4)


def test_channels_are_averaged():
    left, right = np.full(160, 0.5, np.float32), np.full(160, -0.25, np.float32)
    both = np.stack([left, right], axis=1).astype("<f4").tobytes()
    np.testing.assert_allclose(Intake().take(both, 16000, 2, "F32LE"), np.full(160, 0.125), atol=1e-6)


def test_a_format_that_changes_in_mid_stream_goes_on_without_loss():
    intake = Intake()
    heard = [
        intake.take(s16(tone(48000)), 48000, 1, "S16LE"),
        intake.take(tone(16000).astype("<f4").tobytes(), 16000, 1, "F32LE"),
        intake.take(s16(np.repeat(tone(44100), 2)), 44100, 2, "S16LE"),
    ]
    total = np.concatenate(heard)
    assert total.size == pytest.approx(3 * SAMPLE_RATE, abs=0.05 * SAMPLE_RATE)
    assert pitch(total) == pytest.approx(1000, abs=3)


def test_what_the_resampler_still_holds_is_not_lost_at_a_change():
    intake = Intake()
    first = intake.take(s16(tone(48000)), 48000, 1, "S16LE")
    second = intake.take(s16(np.zeros(160)), 16000, 1, "S16LE")
    assert first.size + second.size - 160 == pytest.approx(SAMPLE_RATE, abs=2)


@pytest.mark.parametrize(
    ("data", "rate", "channels", "sample_format", "message"),
    [
        (b"\0\0", 16000, 1, "S24LE", "S24LE"),
        (b"\0\0", 16000, 1, "", "sample_format is ''"),
        (b"\0\0", 7999, 1, "S16LE", "7999"),
        (b"\0\0", 192001, 1, "S16LE", "192001"),
        (b"\0\0", 0, 1, "S16LE", "sample_rate is 0"),
        (b"\0\0", -16000, 1, "S16LE", "-16000"),
        (b"\0\0", 16000, 0, "S16LE", "channels is 0"),
        (b"\0\0", 16000, 17, "S16LE", "channels is 17"),
        (b"\0\0\0", 16000, 1, "S16LE", "3 bytes"),
        (b"\0\0", 16000, 2, "S16LE", "2 bytes"),
        (b"\0" * 6, 16000, 1, "F32LE", "6 bytes"),
        (np.array([0.1, math.nan], "<f4").tobytes(), 16000, 1, "F32LE", "nan"),
        (np.array([0.1, -math.inf], "<f4").tobytes(), 48000, 2, "F32LE", "-inf"),
    ],
)
def test_bad_sound_is_refused_by_name_and_leaves_the_stream_as_it_was(data, rate, channels, sample_format, message):
    intake, other = Intake(), Intake()
    first, second = s16(tone(48000, 0.1)), s16(tone(48000, 0.1))
    assert np.array_equal(intake.take(first, 48000, 1, "S16LE"), other.take(first, 48000, 1, "S16LE"))
    with pytest.raises(SpeechError, match=message):
        intake.take(data, rate, channels, sample_format)
    assert np.array_equal(intake.take(second, 48000, 1, "S16LE"), other.take(second, 48000, 1, "S16LE"))


def test_no_bytes_are_no_samples():
    assert Intake().take(b"", 48000, 2, "S16LE").size == 0


def test_floats_beyond_full_scale_are_cut_to_it():
    heard = Intake().take(np.array([3.0, -1e30, 0.5], "<f4").tobytes(), 16000, 1, "F32LE")
    assert heard.tolist() == [1.0, -1.0, 0.5]


def test_the_share_of_clipped_samples_and_the_level_are_those_of_the_last_second():
    intake = Intake()
    assert (intake.clipped_share, intake.level_dbfs) == (0.0, SILENCE_DBFS)
    square = np.where(np.arange(16000 * 5) % 2, 1.0, 0.1)
    for at in range(0, square.size, 512):
        intake.take(square[at : at + 512].astype("<f4").tobytes(), 16000, 1, "F32LE")
    assert intake.clipped_share == pytest.approx(0.5, abs=0.02)
    assert intake.level_dbfs == pytest.approx(-2.97, abs=0.1)
    for _ in range(16000 * 5 // 512):
        intake.take(bytes(1024), 16000, 1, "S16LE")
    assert intake.clipped_share < 0.01
    assert intake.level_dbfs < -20


def test_the_level_of_silence_and_of_nothing_is_a_number():
    assert level_dbfs(np.zeros(512, np.float32)) == SILENCE_DBFS
    assert level_dbfs(np.zeros(0, np.float32)) == SILENCE_DBFS
    assert level_dbfs(np.ones(8, np.float32)) == 0.0
