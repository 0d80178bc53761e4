"""The listener's parameters, and what they make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smolfusion_ros.bringup.paths import manifest_path, share_directory
from smolfusion_ros.bringup.speech_profile import VOICE_ACTIVITY_MODEL
from smolfusion_ros.dialogue.actions import STOP, Catalogue
from smolfusion_ros.dialogue.reflexes import Reflexes
from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.llama.manifest import load_manifest
from smolfusion_ros.nodes._parameters import parameter
from smolfusion_ros.speech import echo, recognition
from smolfusion_ros.speech.ear import Ear
from smolfusion_ros.speech.echo import Echo, make_echo
from smolfusion_ros.speech.endpointer import EndpointConfig, Endpointer
from smolfusion_ros.speech.hearing import OnEvent
from smolfusion_ros.speech.recognition import make_recogniser
from smolfusion_ros.speech.voice_activity import VoiceActivity
from smolfusion_ros.speech.wake import Wake

CONTEXT = (
    "Please wave your right hand. Nod. Take a bow. Turn left ninety degrees. Walk two metres forward. "
    "Sit down, stand up, dance, clap. Come here, follow me. Stop!"
)


@dataclass(frozen=True)
class ListenerConfig:
    """Parameters of the node."""

    source: str = parameter("device", "Where sound comes from: device, or topic: the topic audio", read_only=True)
    device: str = parameter("", "Microphone, PortAudio's name or number; empty: the system's default", read_only=True)
    engine: str = parameter("whisper", "What recognises speech: whisper (faster-whisper) or vosk", read_only=True)
    model: str = parameter(
        "whisper-tiny.en", "Its model: a name in models/manifest.yaml, or a directory's path", read_only=True
    )
    language: str = parameter("en", "What is spoken, BCP 47; empty: a multilingual Whisper finds out", read_only=True)
    threads: int = parameter(1, "Threads of Whisper", minimum=1, maximum=16, read_only=True)
    context: str = parameter(CONTEXT, "What people say to the robot; Whisper expects more of the same", read_only=True)
    phrases: str = parameter(
        "", "Vosk recognises these alone, comma-separated: a few commands, surely; empty: all it knows", read_only=True
    )
    session_id: str = parameter("", "Session of what is heard; empty: the dialogue's default one")
    endpoint_silence_s: float = parameter(
        0.6, "Silence that ends an utterance, seconds", minimum=0.1, maximum=5.0, read_only=True
    )
    start_threshold: float = parameter(
        0.5, "Probability of speech that counts towards a beginning", minimum=0.4, maximum=1.0, read_only=True
    )
    max_utterance_s: float = parameter(
        20.0, "A longer utterance is cut, and goes on as another, seconds", minimum=5.0, maximum=28.0, read_only=True
    )
    min_confidence: float = parameter(
        0.0, "An utterance that the engine is less sure of is not told", minimum=0.0, maximum=1.0
    )
    wake_words: str = parameter(
        "", "Only what begins with one of these is for the robot, comma-separated; empty: everything", read_only=True
    )
    awake_s: float = parameter(
        10.0,
        "After an utterance with a wake word others pass without, seconds",
        minimum=0.0,
        maximum=3600.0,
        read_only=True,
    )
    echo: str = parameter(
        "auto",
        "Takes the robot's own voice out: webrtc (livekit), gate, none; auto: the first there is",
        read_only=True,
    )

    def __post_init__(self) -> None:
        for name, choices in (
            ("source", ("device", "topic")),
            ("engine", recognition.ENGINES),
            ("echo", echo.ENGINES),
        ):
            if getattr(self, name) not in choices:
                raise ConfigurationError(f"{name} {getattr(self, name)!r} is none of {', '.join(choices)}")

    @property
    def words(self) -> tuple[str, ...]:
        """``wake_words`` one by one."""
        return _items(self.wake_words)


def make_ear(config: ListenerConfig, on_event: OnEvent, echo_engine: str = "") -> tuple[Ear, Echo | None]:
    """Load the models; takes a second or so. The echo canceller is returned, too: it is to hear the robot's voice.

    Args:
        echo_engine: another than the parameters'.

    Raises:
        SpeechError: an engine is not installed, or its model is damaged.
        ModelError: a model is missing; tells how to get it.
        ConfigurationError: the manifest has no such model.
    """
    endpoint = EndpointConfig(
        start_threshold=config.start_threshold,
        endpoint_silence_s=config.endpoint_silence_s,
        max_utterance_s=config.max_utterance_s,
    )
    recogniser = make_recogniser(
        config.engine,
        _model(config.model),
        config.language,
        config.threads,
        config.context,
        _items(config.phrases),
    )
    wake = Wake(config.words, config.awake_s, _stops()) if config.words else None
    vad, canceller = VoiceActivity(_model(VOICE_ACTIVITY_MODEL)), make_echo(echo_engine or config.echo)
    return Ear(vad, Endpointer(endpoint), recogniser, on_event, echo=canceller, wake=wake), canceller


def _items(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _model(name: str) -> Path:
    return Path(name).expanduser() if "/" in name else load_manifest(manifest_path()).resolve(name).model


def _stops():
    """Whether a text is a stop, which needs no wake word."""
    file = share_directory() / "config" / "actions.yaml"
    reflexes = Reflexes.load(file, Catalogue.load(file))

    def is_stop(text: str) -> bool:
        command = reflexes.match(text)
        return command is not None and command.name == STOP

    return is_stop
