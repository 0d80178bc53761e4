"""Vosk: small models, one language each, that listen while one speaks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.recognition import Transcript, fetch_hint, require_files
from smolfusion_ros.speech.sound import SAMPLE_RATE, Samples


class VoskRecogniser:
    """A Vosk model.

    Args:
        model: directory with ``am/final.mdl`` and ``conf/mfcc.conf``.
        language: the model's own, told on in transcripts.
        phrases: only these are recognised, everything if there are none. What else is said comes out as nothing or as
            the phrases that are most like it: take what is an exact phrase as said, the rest as not understood.

    Raises:
        SpeechError: the package is not installed, or the model is missing or damaged.
    """

    streaming = True

    def __init__(self, model: str | Path, language: str = "ko", phrases: Sequence[str] = ()) -> None:
        directory = require_files("Vosk", model, ("am/final.mdl", "conf/mfcc.conf"))
        try:
            import vosk
        except (ImportError, OSError) as error:
            raise SpeechError(f"the engine 'vosk' needs its package ({error}): pip install vosk") from error
        vosk.SetLogLevel(-1)
        try:
            self._model: Any = vosk.Model(str(directory))
            grammar = [json.dumps([*phrases, "[unk]"], ensure_ascii=False)] if phrases else []
            self._recogniser: Any = vosk.KaldiRecognizer(self._model, SAMPLE_RATE, *grammar)
        except Exception as error:  # the package raises nothing more special
            raise SpeechError(
                f"the Vosk model {directory} cannot be used ({error}): {fetch_hint(directory)}"
            ) from error
        self._recogniser.SetWords(True)
        self._phrases = {" ".join(phrase.split()) for phrase in phrases}
        self._language = language.split("-")[0].lower() or "und"
        self._results: list[dict[str, Any]] = []

    def begin(self) -> None:
        self._recogniser.Reset()
        self._results = []

    def feed(self, samples: Samples) -> None:
        data = (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        try:
            if self._recogniser.AcceptWaveform(data):  # Vosk has found an end of its own; the utterance goes on
                self._results.append(json.loads(self._recogniser.Result()))
        except Exception as error:
            raise SpeechError(f"Vosk fails on {samples.size / SAMPLE_RATE:.1f} s of sound: {error}") from error

    def partial(self) -> str:
        told = [each["text"] for each in self._results]
        return " ".join([*told, json.loads(self._recogniser.PartialResult()).get("partial", "")]).strip()

    def finish(self) -> Transcript:
        results = [*self._results, json.loads(self._recogniser.FinalResult())]
        text = " ".join(each["text"] for each in results if each["text"])
        sure = [word["conf"] for each in results for word in each.get("result", [])]
        self._results = []
        if self._phrases and text not in self._phrases:
            text = ""
        return Transcript(text, self._language, min(1.0, sum(sure) / len(sure)) if sure else 0.0)

    def close(self) -> None:
        self._recogniser = self._model = None
