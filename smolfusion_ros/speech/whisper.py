"""Whisper through faster-whisper, made for short utterances.

faster-whisper's own ``transcribe`` always encodes 30 s, however short the clip, which is most of the work. The encoder
takes less. Measured with tiny.en on 12 clips of 1 to 10 s, real voices, one thread: CPU seconds a clip and word error
rate are 0.76 and 5.6 % with 30 s, 0.23 and 5.6 % with 12 s, 0.25 and 9.3 % with 8 s, 0.51 and 6.5 % with the clip and
1 s. Of too little Whisper says the same without end, or is unsure; such a clip is decoded again with the 30 s.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.recognition import Transcript, fetch_hint, require_files
from smolfusion_ros.speech.sound import SAMPLE_RATE, Samples

_LONGEST_S, _WINDOW_S = 29.0, 30.0
_FRAMES_PER_S = 100
_TOKENS_PER_S, _TOKENS_BESIDE = 10, 16  # nobody speaks faster; a loop of repetitions ends there

# As in OpenAI's transcribe.py, which tries again at a higher temperature then: an invented sentence follows.
_MIN_LOGPROB = -1.0
_MAX_COMPRESSION = 2.4
_NO_SPEECH, _NO_SPEECH_LOGPROB = 0.6, -0.5


def is_invented(text: str, avg_logprob: float, no_speech_probability: float) -> bool:
    """Whether a text has the marks of what Whisper writes about noise: unsure, no speech, or repeating itself."""
    data = text.encode()
    repeats = len(data) / len(zlib.compress(data)) > _MAX_COMPRESSION if data else False
    silence = no_speech_probability > _NO_SPEECH and avg_logprob < _NO_SPEECH_LOGPROB
    return repeats or silence or avg_logprob < _MIN_LOGPROB


class WhisperRecogniser:
    """A CTranslate2 Whisper model on the CPU, in int8.

    Args:
        model: directory with ``model.bin``, ``config.json``, ``tokenizer.json`` and the vocabulary.
        language: BCP 47; "" finds out, utterance by utterance, with a multilingual model.
        threads: of the CPU.
        beam_size: 1 is greedy.
        padding_s: silence encoded behind the clip, at least.
        encoded_s: how much is encoded at least, up to 30.
        context: what people say to this robot, as if it had just been said: Whisper expects more of the same.
        partial_interval_s: ``partial`` decodes the growing clip after each so many new seconds, each time as long as
            ``finish`` takes; 0: never.

    Raises:
        SpeechError: the package is not installed, the model is missing, damaged, or does not know the language.
    """

    streaming = False

    def __init__(
        self,
        model: str | Path,
        language: str = "en",
        threads: int = 1,
        beam_size: int = 1,
        padding_s: float = 1.0,
        encoded_s: float = 12.0,
        context: str = "",
        partial_interval_s: float = 0.0,
    ) -> None:
        directory = require_files("Whisper", model, ("model.bin", "config.json", "tokenizer.json"))
        try:
            from faster_whisper import WhisperModel
            from faster_whisper.tokenizer import Tokenizer
            from faster_whisper.transcribe import get_suppressed_tokens
        except (ImportError, OSError) as error:
            raise SpeechError(
                f"the engine 'whisper' needs faster-whisper ({error}): pip install faster-whisper"
            ) from error
        try:
            self._model: Any = WhisperModel(
                str(directory), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
            )
        except Exception as error:  # CTranslate2 and tokenizers raise bare errors of several kinds
            raise SpeechError(
                f"the Whisper model {directory} cannot be used ({error}): {fetch_hint(directory)}"
            ) from error
        known = self._model.supported_languages
        language = language.split("-")[0].lower()
        if language and language not in known:
            raise SpeechError(
                f"the Whisper model {directory.name} does not know {language!r}: use one of {', '.join(known)}"
            )
        self._language = language or ("" if self._model.model.is_multilingual else "en")
        self._tokenizer_class, self._suppressed = Tokenizer, get_suppressed_tokens
        self._tokenizers: dict[str, Any] = {}
        self._beam_size, self._partial_interval_s = beam_size, partial_interval_s
        self._padding_s, self._encoded_s = padding_s, encoded_s
        self._context = context.strip()
        self.begin()

    def begin(self) -> None:
        self._pieces: list[Samples] = []
        self._length = self._told_at = 0
        self._told = ""

    def feed(self, samples: Samples) -> None:
        self._pieces.append(samples)
        self._length += samples.size

    def partial(self) -> str:
        interval = self._partial_interval_s * SAMPLE_RATE
        if interval and self._length - self._told_at >= interval:
            self._told_at = self._length
            self._told = self.finish().text or self._told
        return self._told

    def finish(self) -> Transcript:
        if not self._length:
            return Transcript("", self._language or "und", 0.0)
        clip = np.concatenate(self._pieces)[: int(_LONGEST_S * SAMPLE_RATE)]
        try:
            return self._transcribe(clip)
        except Exception as error:
            raise SpeechError(f"Whisper fails on {clip.size / SAMPLE_RATE:.1f} s of sound: {error}") from error

    def close(self) -> None:
        self.begin()
        self._model.model.unload_model()

    def _transcribe(self, clip: Samples) -> Transcript:
        seconds = clip.size / SAMPLE_RATE
        text, language, avg_logprob, sound = self._decode(clip, max(seconds + self._padding_s, self._encoded_s))
        if not sound:
            text, language, avg_logprob, sound = self._decode(clip, _WINDOW_S)
        return Transcript(text if sound else "", language, math.exp(min(0.0, avg_logprob)))

    def _decode(self, clip: Samples, seconds: float) -> tuple[str, str, float, bool]:
        """Text, language, mean log probability, and whether the text can be believed, of ``seconds`` encoded."""
        encoded = self._model.encode(self._features(clip, seconds))
        language = self._language or self._model.model.detect_language(encoded)[0][0][0][2:-2]
        tokenizer = self._tokenizer(language)
        context = tokenizer.encode(" " + self._context) if self._context else []
        prompt = self._model.get_prompt(tokenizer, context, without_timestamps=True)
        most = min(_TOKENS_BESIDE + int(_TOKENS_PER_S * clip.size / SAMPLE_RATE), self._model.max_length - len(prompt))
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=self._beam_size,
            max_length=len(prompt) + most,
            suppress_tokens=self._suppressed(tokenizer, [-1]),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = result.sequences_ids[0]
        avg_logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)
        text = tokenizer.decode(tokens).strip()
        endless = len(tokens) >= most - 1
        return text, language, avg_logprob, not endless and not is_invented(text, avg_logprob, result.no_speech_prob)

    def _features(self, clip: Samples, seconds: float) -> np.ndarray:
        """Log-mel spectrum of the clip, as long as ``seconds``; the encoder takes an even number of frames."""
        mel = self._model.feature_extractor(clip)
        frames = min(int(_WINDOW_S * _FRAMES_PER_S), 2 * math.ceil(seconds * _FRAMES_PER_S / 2))
        features = np.zeros((mel.shape[0], frames), np.float32)
        features[:, : mel.shape[1]] = mel[:, :frames]
        return features

    def _tokenizer(self, language: str) -> Any:
        if language not in self._tokenizers:
            multilingual = self._model.model.is_multilingual
            self._tokenizers[language] = self._tokenizer_class(
                self._model.hf_tokenizer, multilingual, task="transcribe", language=language
            )
        return self._tokenizers[language]
