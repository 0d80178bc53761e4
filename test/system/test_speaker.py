"""The speaker alone: when it is silent, and what it does not say later."""

import shutil
import time
from collections.abc import Iterator

import pytest
from smolfusion_ros.msg import AudioChunk, Hearing, Reply
from std_msgs.msg import Bool

from smolfusion_ros.nodes import _qos
from system.probe import Heard, until
from system.stack import Stack, running

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed (apt install espeak-ng)"),
]

TALE = "Once upon a time there was a dragon who lived in a cave behind a waterfall and collected spoons."
SILENT_S = 0.3


class Room:
    """What is told to one speaker, and heard of it."""

    def __init__(self, stack: Stack) -> None:
        probe = stack.probe
        self.pieces: list[float] = []
        probe.node.create_subscription(AudioChunk, "voice", lambda _: self.pieces.append(time.monotonic()), _qos.AUDIO)
        self.speaking: Heard = probe.heard("speaking")
        self.replies = probe.publisher(Reply, "reply", _qos.REPLY)
        self.hearing = probe.publisher(Hearing, "hearing", _qos.UTTERANCE)
        self.button = probe.stop_button(_qos.COMMAND)

    def tell(self, turn_id: str, is_final: bool = True) -> None:
        self.replies.publish(Reply(turn_id=turn_id, session_id="s", clause=TALE, is_final=is_final))

    def wait_until_it_speaks(self) -> None:
        before = len(self.pieces)
        until(lambda: len(self.pieces) > before + 10, "the robot speaks")

    def pieces_after(self, begun_s: float) -> int:
        return sum(at_s > begun_s for at_s in self.pieces)


@pytest.fixture
def room(tmp_path) -> Iterator[Room]:
    with running(tmp_path, "speaker", voice=True, sound="topic") as stack:
        yield Room(stack)


def test_emergency_stop_silences_what_is_said_and_what_waits(room: Room):
    room.tell("audible", is_final=False)
    room.wait_until_it_speaks()
    room.button.publish(Bool(data=True))
    pressed_s = time.monotonic()
    ended = room.speaking.wait_for(lambda each: each.interrupted).message
    assert ended.turn_id == "audible" and not ended.active
    room.tell("audible")
    room.hearing.publish(Hearing(speech=True))
    time.sleep(0.2)
    room.tell("held")
    time.sleep(0.2)
    room.button.publish(Bool(data=True))
    time.sleep(0.2)
    room.hearing.publish(Hearing(speech=False))
    time.sleep(1.0)
    assert room.pieces_after(pressed_s + SILENT_S) == 0


def test_answer_waits_while_somebody_speaks_and_is_said_if_that_was_nothing(room: Room):
    room.hearing.publish(Hearing(speech=True))
    time.sleep(0.2)
    room.tell("a")
    time.sleep(0.8)
    assert room.pieces == []
    room.hearing.publish(Hearing(speech=False))
    room.wait_until_it_speaks()
    assert room.speaking.wait_for(lambda each: each.active).message.turn_id == "a"


def test_end_of_another_turn_does_not_say_that_the_robot_is_silent(room: Room):
    room.tell("long")
    room.wait_until_it_speaks()
    room.replies.publish(Reply(turn_id="wordless", session_id="s", is_final=True))
    told = room.speaking.wait_for(lambda each: each.turn_id == "wordless").message
    assert told.active
    assert not room.speaking.wait_for(lambda each: each.turn_id == "long" and not each.active, 20.0).message.interrupted
