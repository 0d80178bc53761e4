"""The real models and recordings that hearing is tested with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import recordings
import soundfile
import soxr

from smolfusion_ros.bringup.paths import manifest_path
from smolfusion_ros.errors import ModelMissingError
from smolfusion_ros.llama.manifest import load_manifest
from smolfusion_ros.speech.sound import SAMPLE_RATE


def model(name: str) -> Path:
    """A model of the manifest, which scripts/setup fetches."""
    try:
        return load_manifest(manifest_path()).resolve(name).model
    except ModelMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def vad_model() -> Path:
    return model("silero-vad")


@pytest.fixture(scope="session")
def whisper_model() -> Path:
    return model("whisper-tiny.en")


@pytest.fixture(scope="session")
def vosk_model() -> Path:
    return model("vosk-small-ko")


@dataclass(frozen=True)
class Recording:
    """Somebody's real voice: mono float32 at 16 kHz, and what is said."""

    samples: np.ndarray
    text: str

    @property
    def seconds(self) -> float:
        return self.samples.size / SAMPLE_RATE


def _moonshine(name: str) -> Path:
    return recordings.wheel("moonshine-voice==0.1.5", f"moonshine_voice/assets/{name}")


def _sphinx(name: str) -> Path:
    return recordings.debian_package("pocketsphinx-testdata", f"usr/share/pocketsphinx/test/data/{name}")


_AUSTEN = "librivox/sense_and_sensibility_01_austen_64kb"
_RECORDINGS: dict[str, tuple[Callable[[str], Path], str, str]] = {
    "beckett": (_moonshine, "beckett.wav", "ever tried ever failed no matter try again fail again fail better"),
    "forward": (_sphinx, "goforward.raw", "go forward ten meters"),
    "ten of clubs": (_sphinx, "cards/001.wav", "ten of clubs"),
    "young man": (_sphinx, f"{_AUSTEN}-0880.wav", "he was not an ill disposed young man"),
    "selfish": (
        _sphinx,
        f"{_AUSTEN}-0890.wav",
        "unless to be rather cold hearted and rather selfish is to be ill disposed",
    ),
    "amiable": (_sphinx, f"{_AUSTEN}-0930.wav", "he might even have been made amiable himself"),
    "two cities": (_moonshine, "two_cities.wav", ""),
}


@pytest.fixture(scope="session")
def recording() -> Callable[[str], Recording]:
    def read(name: str) -> Recording:
        stored, file, text = _RECORDINGS[name]
        raw = {"samplerate": 16000, "channels": 1, "subtype": "PCM_16", "format": "RAW"} if file.endswith("raw") else {}
        samples, rate = soundfile.read(stored(file), dtype="float32", **raw)
        if rate != SAMPLE_RATE:
            samples = soxr.resample(samples, rate, SAMPLE_RATE)
        return Recording(samples.astype(np.float32), text)

    return read
