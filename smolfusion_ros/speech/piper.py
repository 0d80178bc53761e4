"""Piper, a neural voice in this process: natural, one language a model; there is no sound before a sentence is made.

The package piper-tts is optional: it is under GPL-3.0 since version 1.3, so a robot's maker chooses to install it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.synthesis import piece_size

if TYPE_CHECKING:
    from piper import PiperVoice as Engine
    from piper import SynthesisConfig

WORDS_PER_MINUTE = (80, 450)
NATURAL_WORDS_PER_MINUTE = 165  # about what Piper's voices speak at a length scale of 1


class PiperVoice:
    """A Piper voice; see `Voice`. It speaks the language of its model, whatever is asked for.

    Args:
        model: .onnx file with its .onnx.json beside it.
        words_per_minute: 80–450.
        threads: of the model.

    Raises:
        SpeechError: piper-tts is not installed, a file is missing or cannot be read, or a value is out of range.
    """

    def __init__(self, model: Path, words_per_minute: int = NATURAL_WORDS_PER_MINUTE, threads: int = 1) -> None:
        low, high = WORDS_PER_MINUTE
        if not low <= words_per_minute <= high:
            raise SpeechError(f"words_per_minute is {words_per_minute}; must be {low} to {high}")
        if threads < 1:
            raise SpeechError(f"threads is {threads}; must be at least 1")
        self._engine, self._settings = _load(model, words_per_minute, threads)
        self.sample_rate: int = self._engine.config.sample_rate

    def speak(self, text: str, language: str) -> PiperSpeech:
        """See `Voice.speak`."""
        return PiperSpeech(self._engine, self._settings, text.replace("[[", "[ ["))

    def close(self) -> None:
        """Nothing is held between texts but the model."""


class PiperSpeech:
    """One text, made sentence by sentence; see `Speech`. `close` takes effect when the sentence at work is made."""

    def __init__(self, engine: Engine, settings: SynthesisConfig, text: str) -> None:
        self._sentences = iter(engine.synthesize(text, settings))
        self._size = piece_size(engine.config.sample_rate)
        self._sound = b""
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while not self._sound and not self._stopped.is_set():
            try:
                self._sound = next(self._sentences).audio_int16_bytes
            except StopIteration:
                raise
            except Exception as error:  # onnxruntime's have no common base
                raise SpeechError(f"piper failed: {error}") from error
        if self._stopped.is_set():
            raise StopIteration
        piece, self._sound = self._sound[: self._size], self._sound[self._size :]
        return piece

    def close(self) -> None:
        """See `Speech.close`."""
        self._stopped.set()


def _load(model: Path, words_per_minute: int, threads: int) -> tuple[Engine, SynthesisConfig]:
    try:
        import onnxruntime
        from piper import PiperConfig, SynthesisConfig
        from piper import PiperVoice as Engine
    except ImportError as error:
        raise SpeechError(f"the voice engine piper needs a package: pip install 'piper-tts>=1.3' ({error})") from error
    description = model.with_name(model.name + ".json")
    for path in (model, description):
        if not path.is_file():
            raise SpeechError(
                f"{path} is not there; a Piper voice is two files: python -m piper.download_voices en_US-lessac-medium"
            )
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    try:
        config = PiperConfig.from_dict(json.loads(description.read_text(encoding="utf-8")))
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of JSON, of its keys, and onnxruntime's, which have no common base
        reason = re.sub(r"\s+", " ", f"{type(error).__name__}: {error}")
        raise SpeechError(f"{model} is no Piper voice that can be read; download it again ({reason})") from error
    return Engine(session=session, config=config), SynthesisConfig(
        length_scale=config.length_scale * NATURAL_WORDS_PER_MINUTE / words_per_minute
    )
