"""A room with a microphone, a loudspeaker and a person in it, made of topics: for machines without sound devices."""

from __future__ import annotations

import array
import threading
import time
import wave
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rclpy.node import Node

from smolfusion_ros.msg import AudioChunk
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._messages import seconds, time_message
from smolfusion_ros.speech.sound import SAMPLE_RATE, Intake, Samples
from smolfusion_ros.speech.synthesis import Voice

PIECE_S = 0.02
PIECE = round(PIECE_S * SAMPLE_RATE)
# What a person's voice peaks at, of full scale.
PEAK = 0.3


class Room:
    """Publishes ``audio`` at the pace of a clock, and hears ``voice``, the robot's own.

    Args:
        noise_dbfs: of the room when nobody speaks.
        echo_db: how much quieter than it was played the microphone hears the robot; None: not at all.
        delay_s: of the loudspeaker and the way.
        record: keep what the microphone hears.

    Attributes:
        heard: pieces of the robot's voice, with the ROS time when each begins to be heard, seconds.
        recorded: what the microphone heard, if that is kept.
    """

    def __init__(
        self,
        node: Node,
        *,
        noise_dbfs: float = -65.0,
        echo_db: float | None = None,
        delay_s: float = 0.08,
        record: bool = False,
        seed: int = 0,
    ) -> None:
        self._node = node
        self._noise = 10 ** (noise_dbfs / 20)
        self._echo = 0.0 if echo_db is None else 10 ** (echo_db / 20)
        self._delay_s = delay_s
        self._random = np.random.default_rng(seed)
        self._lock = threading.Lock()
        self._speech: deque[tuple[Samples, threading.Event]] = deque()
        self._echoes: deque[tuple[float, Samples]] = deque(maxlen=10_000)
        self._intake = Intake()
        self.heard: list[tuple[float, Samples]] = []
        self.recorded: list[Samples] = []
        self._record = record
        self._audio = node.create_publisher(AudioChunk, "audio", _qos.AUDIO)
        node.create_subscription(AudioChunk, "voice", self._on_voice, _qos.AUDIO)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="room", daemon=True)
        self._thread.start()

    def say(self, clip: Samples, timeout_s: float = 60.0) -> float:
        """Say something and wait until it has been said; the steady time of its last sample, seconds."""
        said = threading.Event()
        with self._lock:
            self._speech.append((clip.copy(), said))
        if not said.wait(timeout_s):
            raise TimeoutError(f"a clip of {clip.size / SAMPLE_RATE:.1f} s was not said within {timeout_s:g} s")
        return time.monotonic()

    @property
    def is_heard(self) -> bool:
        """A listener has found the microphone."""
        return self._audio.get_subscription_count() > 0

    def voice(self, since: int = 0) -> Samples:
        """The robot's voice from a piece on, in one."""
        pieces = [samples for _, samples in self.heard[since:]]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def close(self) -> None:
        self._closing.set()
        self._thread.join(2.0)

    def _on_voice(self, chunk: AudioChunk) -> None:
        samples = self._intake.take(bytes(chunk.data), chunk.sample_rate, chunk.channels, chunk.sample_format)
        at_s = seconds(chunk.header.stamp)
        self.heard.append((at_s, samples))
        if self._echo:
            with self._lock:
                self._echoes.append((at_s + self._delay_s, samples * self._echo))

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._closing.wait(max(0.0, due_s - time.monotonic())):
            due_s += PIECE_S
            self._publish(self._piece())

    def _piece(self) -> Samples:
        piece = self._random.normal(0.0, self._noise, PIECE).astype(np.float32)
        with self._lock:
            if self._speech:
                clip, said = self._speech[0]
                piece[: clip.size] += clip[:PIECE]
                if clip.size <= PIECE:
                    self._speech.popleft()
                    said.set()
                else:
                    self._speech[0] = (clip[PIECE:], said)
            self._add_echo(piece)
        return np.clip(piece, -1.0, 1.0)

    def _add_echo(self, piece: Samples) -> None:
        """What the robot was playing while this piece was recorded."""
        end_s = self._node.get_clock().now().nanoseconds * 1e-9
        begin_s = end_s - PIECE_S
        while self._echoes and self._echoes[0][0] < end_s:
            at_s, samples = self._echoes[0]
            at = max(0, round((at_s - begin_s) * SAMPLE_RATE))
            count = min(samples.size, PIECE - at)
            piece[at : at + count] += samples[:count]
            if count == samples.size:
                self._echoes.popleft()
            else:
                self._echoes[0] = (end_s, samples[count:])
                return

    def _publish(self, piece: Samples) -> None:
        if self._record:
            self.recorded.append(piece)
        chunk = AudioChunk(sample_rate=SAMPLE_RATE, channels=1, sample_format="S16LE")
        chunk.data = array.array("B", (piece * 32767.0).astype("<i2").tobytes())
        chunk.header.stamp = time_message(self._node.get_clock().now().nanoseconds - int(PIECE_S * 1e9))
        chunk.header.frame_id = "microphone"
        self._audio.publish(chunk)


def write_wav(path: Path, pieces: Sequence[Samples]) -> None:
    """Sound at 16 kHz as a file that any player takes."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        for piece in pieces:
            file.writeframes((piece * 32767.0).astype("<i2").tobytes())


def spoken(voice: Voice, text: str, language: str = "en") -> Samples:
    """A sentence as a person in the room would say it, without silence around it."""
    intake = Intake()
    pieces = [intake.take(piece, voice.sample_rate, 1, "S16LE") for piece in voice.speak(text, language)]
    clip = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    loud = np.flatnonzero(np.abs(clip) > 0.01)
    clip = clip[loud[0] : loud[-1] + 1] if loud.size else clip
    return clip * (PEAK / max(1e-6, float(np.abs(clip).max(initial=0.0))))
