"""The part of a profile that says how the robot hears and speaks."""

from dataclasses import dataclass, fields
from typing import Any

from smolfusion_ros.errors import ConfigurationError

ENGINES = ("whisper", "vosk")
VOICES = ("espeak", "piper")
# What every engine needs: it tells speech from other sounds.
VOICE_ACTIVITY_MODEL = "silero-vad"


@dataclass(frozen=True)
class SpeechProfile:
    """How speech becomes text and text becomes speech.

    engine: recognises speech; model: its, a name in the manifest or the path of a directory.
    language: that is spoken to the robot (BCP 47).
    threads: for recognition.
    voice: speaks; voice_model: the path of a Piper voice (.onnx), empty for espeak (espeak-ng).
    Raises ConfigurationError with key and value.
    """

    engine: str = "whisper"
    model: str = "whisper-tiny.en"
    language: str = "en"
    threads: int = 1
    voice: str = "espeak"
    voice_model: str = ""

    def __post_init__(self) -> None:
        for key in ("engine", "model", "language", "voice", "voice_model"):
            if not isinstance(getattr(self, key), str):
                raise ConfigurationError(f"{key} = {getattr(self, key)!r} is not text")
        if isinstance(self.threads, bool) or not isinstance(self.threads, int) or not 1 <= self.threads <= 16:
            raise ConfigurationError(f"threads = {self.threads!r} is not within 1..16")
        for key, choices in (("engine", ENGINES), ("voice", VOICES)):
            if getattr(self, key) not in choices:
                raise ConfigurationError(f"{key} = {getattr(self, key)!r} is none of {', '.join(choices)}")
        if not self.model:
            raise ConfigurationError(f"model = {self.model!r} names no model")
        if self.voice == "piper" and not self.voice_model:
            raise ConfigurationError("voice = 'piper' needs voice_model, the path of a voice (.onnx)")

    @property
    def models(self) -> tuple[str, ...]:
        """What of the manifest it needs."""
        return (VOICE_ACTIVITY_MODEL, *(() if "/" in self.model else (self.model,)))


def speech_profile(content: Any) -> SpeechProfile | None:
    """The section ``speech`` of a profile, None where there is none; ConfigurationError naming the key."""
    if content is None:
        return None
    if not isinstance(content, dict):
        raise ConfigurationError(f"expected a mapping, found {content!r}")
    known = {item.name for item in fields(SpeechProfile)}
    for key, value in content.items():
        if key not in known:
            raise ConfigurationError(f"unknown key {key} = {value!r}; known are {', '.join(sorted(known))}")
    return SpeechProfile(**content)
