"""Replies in; the robot's voice out, clause by clause while the answer is still being written."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from smolfusion_ros.errors import ConfigurationError, SpeechError
from smolfusion_ros.msg import Hearing, Reply, Speaking
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._diagnostics import ERROR, OK, WARN, Diagnostics, Status
from smolfusion_ros.nodes._lifecycle import ManagedNode
from smolfusion_ros.nodes._log import Repeats
from smolfusion_ros.nodes._parameters import Parameters, parameter
from smolfusion_ros.nodes._run import run
from smolfusion_ros.nodes._steady import steady_timer
from smolfusion_ros.nodes._stop_topic import on_emergency_stop
from smolfusion_ros.nodes._voice_tap import Tapped, VoiceTopic
from smolfusion_ros.speech.loudspeaker import DeviceSink, PacedSink
from smolfusion_ros.speech.mouth import Mouth
from smolfusion_ros.speech.mouth_events import Dropped, Ended, Event, Failed, Spoken, Started
from smolfusion_ros.speech.synthesis import ENGINES, make_voice

TEND_S = 2.0
# How long answers wait for somebody who speaks, and how many pieces of them: the listener may have died meanwhile.
MAX_HOLD_S = 20.0
MAX_HELD = 256
# Longer than any answer takes.
ABANDONED_S = 60.0
# Turns whose session is remembered; more are never under way.
MAX_TURNS = 64


@dataclass(frozen=True)
class SpeakerConfig:
    """Parameters of the node."""

    voice: str = parameter("espeak", "What speaks: espeak (espeak-ng) or piper", read_only=True)
    voice_model: str = parameter("", "Path of a Piper voice (.onnx, with its .onnx.json beside it)", read_only=True)
    language: str = parameter("en", "Language of answers in Latin letters, BCP 47", read_only=True)
    words_per_minute: int = parameter(165, "Speed of the voice", minimum=80, maximum=450, read_only=True)
    output: str = parameter(
        "device", "Where sound goes: device, or topic: the topic voice alone, at the pace of speech", read_only=True
    )
    device: str = parameter("", "Sound device, PortAudio's name or number; empty: the system's default", read_only=True)
    barge_in: bool = parameter(True, "Be silent when somebody speaks")

    def __post_init__(self) -> None:
        if self.voice not in ENGINES:
            raise ConfigurationError(f"voice {self.voice!r} is none of {', '.join(ENGINES)}")
        if self.output not in ("device", "topic"):
            raise ConfigurationError(f"output {self.output!r} is neither device nor topic")


class SpeakerNode(ManagedNode):
    """``reply`` to sound; tells ``speaking``, and what it plays on ``voice``."""

    def __init__(self) -> None:
        super().__init__("speaker")
        self._config = Parameters(self, SpeakerConfig())
        self._log = Repeats(self.get_logger())
        self._mouth: Mouth | None = None
        self._trouble = ""
        self._dropped = 0
        self._spoken_clauses = 0
        self._audible: str | None = None
        self._reply_s = monotonic()
        self._sessions: OrderedDict[str, str] = OrderedDict()
        self._speech_since_s: float | None = None
        self._held: deque[Reply] = deque(maxlen=MAX_HELD)
        self._voice = VoiceTopic(self)
        self._speaking = self.create_publisher(Speaking, "speaking", _qos.TURN)
        self._speaking.publish(Speaking())
        self.create_subscription(Reply, "reply", self._on_reply, _qos.REPLY)
        self.create_subscription(Hearing, "hearing", self._on_hearing, _qos.UTTERANCE)
        on_emergency_stop(self, self._on_emergency_stop)
        self._diagnostics = Diagnostics(self)
        self._diagnostics.add("voice", self._status)
        steady_timer(self, TEND_S, self._tend)

    def activate(self) -> None:
        self.active = True
        self._find_voice()

    def deactivate(self) -> None:
        self._held.clear()
        self._speech_since_s = None
        if self._mouth is not None:
            self._mouth.close()
            self._mouth = None
        self._trouble = ""

    def _tend(self) -> None:
        self._find_voice()
        if self._speech_since_s is not None and monotonic() - self._speech_since_s > MAX_HOLD_S:
            self._speak_up()
        mouth, abandoned = self._mouth, monotonic() - self._reply_s > ABANDONED_S
        if mouth is not None and self._audible is not None and abandoned and not mouth.is_speaking:
            mouth.finish(self._audible)  # the dialogue died before it told the end

    def _find_voice(self) -> None:
        """A voice that is not there does not end the node: text goes on, and the voice may come."""
        if not self.active or self._mouth is not None:
            return
        config: SpeakerConfig = self._config.value
        try:
            voice = make_voice(
                config.voice,
                Path(config.voice_model).expanduser() if config.voice_model else None,
                words_per_minute=config.words_per_minute,
            )
        except SpeechError as error:
            self._trouble = str(error)
            self._log.error(f"the robot has no voice: {error}")
            return
        # A topic's sink hands pieces to nobody itself: the tap publishes those of every sink.
        sink = DeviceSink(_device(config.device)) if config.output == "device" else PacedSink(lambda _piece: None)
        self._trouble = ""
        self._mouth = Mouth(voice, Tapped(sink, self._voice), self._on_event, default_language=config.language)

    def _on_reply(self, reply: Reply) -> None:
        """The robot does not begin to speak while somebody does: most likely that is for another answer."""
        if not self.active or not (reply.clause or reply.is_final):
            return
        if self._speech_since_s is None:
            self._take(reply)
        else:
            self._held.append(reply)

    def _take(self, reply: Reply) -> None:
        mouth = self._mouth
        if mouth is None:
            return
        self._reply_s = monotonic()
        self._sessions[reply.turn_id] = reply.session_id
        while len(self._sessions) > MAX_TURNS:
            self._sessions.popitem(last=False)
        if reply.clause:
            mouth.say(reply.turn_id, reply.clause)
        if reply.is_final and reply.interrupted:
            mouth.stop("the answer was interrupted", reply.turn_id)
        elif reply.is_final:
            mouth.finish(reply.turn_id)

    def _on_hearing(self, hearing: Hearing) -> None:
        if not hearing.speech:
            self._speak_up()
        elif self._config.value.barge_in:
            if self._speech_since_s is None:
                self._speech_since_s = monotonic()
            self._be_silent("somebody speaks")

    def _speak_up(self) -> None:
        self._speech_since_s = None
        while self._held:
            self._take(self._held.popleft())

    def _on_emergency_stop(self) -> None:
        held = {reply.turn_id for reply in self._held}
        self._held.clear()
        self._be_silent("emergency stop")
        if self._mouth is not None:
            for turn_id in held:  # what comes of them later is not spoken either
                self._mouth.stop("emergency stop", turn_id)

    def _be_silent(self, reason: str) -> None:
        if self._mouth is not None:
            self._mouth.stop(reason)

    def _on_event(self, event: Event) -> None:
        """In the mouth's thread."""
        if isinstance(event, Started):
            self._audible = event.turn_id
            self._tell(event.turn_id, active=True)
        elif isinstance(event, Spoken):
            self._trouble = ""
            self._spoken_clauses += 1
            self._tell(event.turn_id, active=True, spoken=event.text)
        elif isinstance(event, Ended):
            if event.turn_id == self._audible:
                self._audible = None
            if not event.interrupted:
                self._dropped = 0
            audible = self._audible is not None
            self._tell(event.turn_id, active=audible, spoken=event.text, interrupted=event.interrupted)
        elif isinstance(event, Dropped):
            self._dropped += 1
            self._log.warning(f"not spoken: {event.reason}")
        elif isinstance(event, Failed):
            self._trouble = event.reason
            self._log.error(f"the voice failed: {event.reason}")

    def _tell(self, turn_id: str, **fields: object) -> None:
        message = Speaking(turn_id=turn_id, session_id=self._sessions.get(turn_id, ""), **fields)
        message.header.stamp = self.get_clock().now().to_msg()
        self._speaking.publish(message)

    def _status(self) -> Status:
        config = self._config.value
        values = {"voice": config.voice, "output": config.output, "clauses": self._spoken_clauses}
        if self._trouble:
            return Status(ERROR, self._trouble, values)
        if not self.active:
            return Status(OK, "not active", values)
        if self._dropped:
            return Status(WARN, f"{self._dropped} times too much waited to be spoken", values)
        return Status(OK, "speaking" if self._mouth is not None and self._mouth.is_speaking else "silent", values)


def _device(name: str) -> str | int | None:
    """As PortAudio takes it: a number, a name, or its default."""
    return int(name) if name.isdigit() else name or None


def main() -> int:
    return run(SpeakerNode)


if __name__ == "__main__":
    raise SystemExit(main())
