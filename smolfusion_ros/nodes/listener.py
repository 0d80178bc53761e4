"""Sound in; what was said out, as utterances."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from smolfusion_ros.errors import SmolFusionError, SpeechError
from smolfusion_ros.msg import AudioChunk, Hearing, Utterance
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._diagnostics import ERROR, OK, WARN, Diagnostics, Status
from smolfusion_ros.nodes._ear_config import ListenerConfig, make_ear
from smolfusion_ros.nodes._lifecycle import ManagedNode
from smolfusion_ros.nodes._log import Repeats
from smolfusion_ros.nodes._messages import seconds, time_message
from smolfusion_ros.nodes._parameters import Parameters
from smolfusion_ros.nodes._run import run
from smolfusion_ros.nodes._sound_queue import Sound, SoundQueue
from smolfusion_ros.nodes._steady import steady_timer
from smolfusion_ros.speech.ear import Ear
from smolfusion_ros.speech.echo import Echo
from smolfusion_ros.speech.hearing import EarEvent, Heard, Partial, SpeechStarted, Unheard, Woken
from smolfusion_ros.speech.microphone import Microphone
from smolfusion_ros.speech.sound import Intake

TEND_S = 1.0
# A topic that is silent for longer is told of.
SILENT_S = 3.0
# Sound that breaks off for so long while somebody speaks ends the utterance.
LOST_S = 1.0
CLIPPED = 0.01


class ListenerNode(ManagedNode):
    """A microphone or ``audio`` to ``utterance`` and ``hearing``; ``voice`` is what the robot itself says."""

    def __init__(self) -> None:
        super().__init__("listener")
        self._config = Parameters(self, ListenerConfig())
        self._log = Repeats(self.get_logger())
        self._ear: Ear | None = None
        self._echo: Echo | None = None
        self._microphone: Microphone | None = None
        self._sounds: SoundQueue | None = None
        self._intake, self._far = Intake(), Intake()
        self._troubles: dict[str, str] = {}
        self._heard, self._unheard = 0, ""
        self._engine_s = 0.0
        self._sound_s = monotonic()
        self._speech = False
        self._telling = threading.Lock()
        self._utterance = self.create_publisher(Utterance, "utterance", _qos.UTTERANCE)
        self._hearing = self.create_publisher(Hearing, "hearing", _qos.LATCHED)
        self._hearing.publish(Hearing())
        self.create_subscription(AudioChunk, "audio", self._on_audio, _qos.AUDIO)
        self.create_subscription(AudioChunk, "voice", self._on_voice, _qos.AUDIO)
        self._diagnostics = Diagnostics(self)
        self._diagnostics.add("sound", self._sound_status)
        self._diagnostics.add("recognition", self._recognition_status)
        steady_timer(self, TEND_S, self._tend)

    def activate(self) -> None:
        self.active = True
        self._sound_s = monotonic()
        self._tend()

    def deactivate(self) -> None:
        if self._microphone is not None:
            self._microphone.close()
        if self._sounds is not None:
            self._sounds.close()
        if self._ear is not None:
            self._ear.close()
        self._microphone = self._sounds = self._ear = self._echo = None
        self._troubles.clear()
        self._tell(False)

    def _tend(self) -> None:
        """What is missing does not end the node: text goes on, and device and model may come."""
        if not self.active:
            return
        if self._ear is None:
            self._ensure("recognition", self._open_ear)
        if self._ear is None:
            return
        if self._config.value.source == "device":
            self._ensure("sound", self._tend_microphone)
        if self._ear.speaking and monotonic() - self._sound_s > LOST_S:
            self._ear.flush()  # what comes later is another utterance
        if self._speech and self._ear.idle:
            self._tell_if_over()

    def _ensure(self, what: str, step: Callable[[], None]) -> None:
        try:
            step()
        except SmolFusionError as error:
            self._troubles[what] = str(error)
            self._log.error(f"the robot does not hear: {error}")
        else:
            self._troubles.pop(what, None)

    def _open_ear(self) -> None:
        self._ear, self._echo = make_ear(self._config.value, self._on_event)
        self._sounds = SoundQueue(self._take)

    def _tend_microphone(self) -> None:
        if self._microphone is None:
            self._microphone = Microphone(self._on_microphone, self._config.value.device)
        try:
            self._microphone.check()
        except SpeechError:
            self._microphone.close()
            self._microphone = None
            raise

    def _on_microphone(self, data: bytes, sample_rate: int, channels: int, end_s: float) -> None:
        """In PortAudio's thread."""
        end_s = self._now_s() - (monotonic() - end_s)
        if self._sounds is not None:
            self._sounds.put(Sound(data, sample_rate, channels, "S16LE", end_s))

    def _on_audio(self, chunk: AudioChunk) -> None:
        if self._sounds is None or self._config.value.source != "topic":
            return
        data = bytes(chunk.data)
        # Who does not stamp is taken to have sent at once.
        end_s = seconds(chunk.header.stamp) + _duration_s(chunk) if seconds(chunk.header.stamp) else self._now_s()
        self._sounds.put(Sound(data, chunk.sample_rate, chunk.channels, chunk.sample_format, end_s))

    def _on_voice(self, chunk: AudioChunk) -> None:
        if self._echo is not None:
            try:
                self._echo.far(
                    self._far.take(bytes(chunk.data), chunk.sample_rate, chunk.channels, chunk.sample_format)
                )
            except SpeechError as error:
                self._log.warning(f"the robot's own voice is not taken out: {error}")

    def _take(self, sound: Sound) -> None:
        """In the sound's own thread."""
        self._sound_s = monotonic()
        try:
            samples = self._intake.take(sound.data, sound.sample_rate, sound.channels, sound.sample_format)
            self._ear.hear(samples, sound.end_s)
        except Exception as error:  # one piece's trouble must not make the robot deaf
            text = str(error) if isinstance(error, SpeechError) else f"{type(error).__name__}: {error}"
            self._troubles["format"] = text
            self._log.error(f"sound dropped: {text}")
        else:
            self._troubles.pop("format", None)

    def _on_event(self, event: EarEvent) -> None:
        """In the sound's thread or in the recognition's."""
        if isinstance(event, SpeechStarted):
            self._tell(True, at_s=event.time_s)
        elif isinstance(event, Partial):
            self._tell(True, partial=event.text)
        elif isinstance(event, Heard):
            self._publish(event)
        elif isinstance(event, Unheard):
            self._unheard = event.reason
            self.get_logger().info(f"no utterance: {event.reason}")
        if isinstance(event, Heard | Unheard | Woken):
            self._tell_if_over()

    def _publish(self, heard: Heard) -> None:
        if not self.active:
            return
        config, transcript = self._config.value, heard.transcript
        self._unheard = ""
        self._engine_s = heard.engine_s
        if transcript.confidence < config.min_confidence:
            self._unheard = f"confidence {transcript.confidence:.2f} is below {config.min_confidence:.2f}"
            return
        utterance = Utterance(
            session_id=config.session_id,
            text=transcript.text,
            language=transcript.language,
            confidence=transcript.confidence,
            start=_stamp(heard.start_s),
        )
        utterance.header.stamp = _stamp(heard.end_s)
        self._heard += 1
        self._utterance.publish(utterance)

    def _tell_if_over(self) -> None:
        """The ear knows of the next beginning before it tells of it: no end is told behind that."""
        with self._telling:
            ear = self._ear
            if ear is not None and not ear.speaking:
                self._publish_hearing(False)

    def _tell(self, speech: bool, *, at_s: float | None = None, partial: str = "") -> None:
        with self._telling:
            self._publish_hearing(speech, at_s, partial)

    def _publish_hearing(self, speech: bool, at_s: float | None = None, partial: str = "") -> None:
        self._speech = speech
        message = Hearing(speech=speech, partial=partial)
        message.header.stamp = _stamp(self._now_s() if at_s is None else at_s)
        self._hearing.publish(message)

    def _now_s(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _sound_status(self) -> Status:
        config, lost = self._config.value, self._sounds.lost if self._sounds else 0
        values = {"source": config.source, "level (dBFS)": self._intake.level_dbfs, "lost pieces": lost}
        values["clipped share"] = self._intake.clipped_share
        trouble = self._troubles.get("sound") or self._troubles.get("format")
        silent_s = monotonic() - self._sound_s
        if trouble:
            return Status(ERROR, trouble, values)
        if not self.active:
            return Status(OK, "not active", values)
        if silent_s > SILENT_S:
            return Status(WARN, f"no sound has come for {silent_s:.0f} s", values)
        if self._intake.clipped_share > CLIPPED:
            return Status(WARN, "the sound is clipped: turn the microphone down", values)
        return Status(OK, "somebody speaks" if self._speech else "quiet", values)

    def _recognition_status(self) -> Status:
        config = self._config.value
        values = {
            "engine": config.engine,
            "model": config.model,
            "echo": self._echo.name if self._echo else "none",
            "utterances": self._heard,
            "last time of the engine (s)": self._engine_s,
            "last without an utterance": self._unheard,
        }
        if "recognition" in self._troubles:
            return Status(ERROR, self._troubles["recognition"], values)
        if "recogniser" in self._unheard:
            return Status(WARN, self._unheard, values)
        return Status(OK, f"{self._heard} utterances" if self._ear else "not active", values)


def _duration_s(chunk: AudioChunk) -> float:
    frame = max(1, chunk.channels) * (4 if chunk.sample_format == "F32LE" else 2)
    return len(chunk.data) / frame / chunk.sample_rate if chunk.sample_rate else 0.0


def _stamp(time_s: float):
    return time_message(int(time_s * 1e9))


def main() -> int:
    return run(ListenerNode)


if __name__ == "__main__":
    raise SystemExit(main())
