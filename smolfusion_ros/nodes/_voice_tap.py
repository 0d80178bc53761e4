"""What the robot plays, as ``voice``: for a loudspeaker that is a topic, and for whoever must not hear it as speech."""

from __future__ import annotations

import array
from time import monotonic

from rclpy.node import Node

from smolfusion_ros.msg import AudioChunk
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._messages import time_message
from smolfusion_ros.speech.loudspeaker import Sink

FRAME_ID = "loudspeaker"


class VoiceTopic:
    """The publisher of ``voice``; called from the mouth's thread."""

    def __init__(self, node: Node) -> None:
        self._clock = node.get_clock()
        self._publisher = node.create_publisher(AudioChunk, "voice", _qos.AUDIO)
        self.sample_rate = 0

    def publish(self, piece: bytes, delay_s: float = 0.0) -> None:
        """Tell of a piece (S16LE, mono) that is to be heard in ``delay_s``; of none where nobody listens."""
        if not self._publisher.get_subscription_count():
            return
        chunk = AudioChunk(sample_rate=self.sample_rate, channels=1, sample_format="S16LE")
        chunk.data = array.array("B", piece)
        chunk.header.stamp = time_message(self._clock.now().nanoseconds + int(delay_s * 1e9))
        chunk.header.frame_id = FRAME_ID
        self._publisher.publish(chunk)


class Tapped:
    """A sink of which ``voice`` tells what it plays."""

    def __init__(self, sink: Sink, topic: VoiceTopic) -> None:
        self._sink = sink
        self._topic = topic

    def start(self, sample_rate: int) -> None:
        """See ``Sink.start``."""
        self._topic.sample_rate = sample_rate
        self._sink.start(sample_rate)

    def room_s(self) -> float:
        """See ``Sink.room_s``."""
        return self._sink.room_s()

    def write(self, piece: bytes) -> float:
        """See ``Sink.write``."""
        heard_s = self._sink.write(piece)
        self._topic.publish(piece, heard_s - monotonic())
        return heard_s

    def flush(self) -> int:
        """See ``Sink.flush``."""
        return self._sink.flush()

    def written_frames(self) -> int:
        """See ``Sink.written_frames``."""
        return self._sink.written_frames()

    def heard_frames(self) -> int:
        """See ``Sink.heard_frames``."""
        return self._sink.heard_frames()

    def close(self) -> None:
        """See ``Sink.close``."""
        self._sink.close()
