"""A person who talks to a running stack while what is seen changes, and how soon the first word of each answer came."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from smolfusion_ros.msg import Reply, Turn, Utterance
from smolfusion_ros.msg import Scene as SceneMessage

from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._messages import scene_message
from smolfusion_ros.vision.scene import Person, SceneDescription, SceneObject

UTTERANCES = (
    "hello there, how are you today",
    "what is your name",
    "tell me something nice",
    "do you like music",
    "please wave your left hand",
    "what can you do for me",
    "i had a long day at work",
    "turn right 45 degrees please",
    "that was very kind of you",
    "can you see me",
    "the weather is lovely outside",
    "nod your head",
)
ANSWER_S = 30.0


@dataclass(frozen=True)
class Exchange:
    """One turn: the time from the utterance's publication to the first text in this process, and the turn's record."""

    heard: str
    first_text_s: float
    turn: Turn


class Visitor(Node):
    """Publishes scenes and utterances, hears replies and turns."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._random = random.Random(3)
        self._first_s: float | None = None
        self._turn: Turn | None = None
        self._ended = threading.Event()
        self._scene = self.create_publisher(SceneMessage, "scene", _qos.LATCHED)
        self._utterance = self.create_publisher(Utterance, "utterance", _qos.UTTERANCE)
        self.create_subscription(Reply, "reply", self._on_reply, _qos.REPLY)
        self.create_subscription(Turn, "turn", self._on_turn, _qos.COMMAND)

    def change_scene(self) -> None:
        """Show another scene."""
        message = scene_message(_some_scene(self._random), 0.0)
        message.header.stamp = self.get_clock().now().to_msg()
        self._scene.publish(message)

    def ask(self, text: str, session_id: str) -> Exchange:
        """Say something and wait for the end of the answer.

        Raises:
            TimeoutError: there is none within half a minute.
        """
        self._first_s = self._turn = None
        self._ended.clear()
        begun_s = time.perf_counter()
        self._utterance.publish(Utterance(text=text, session_id=session_id))
        if not self._ended.wait(ANSWER_S) or self._first_s is None or self._turn is None:
            raise TimeoutError(f"no answer to {text!r} within {ANSWER_S:g} s")
        return Exchange(text, self._first_s - begun_s, self._turn)

    def _on_reply(self, reply: Reply) -> None:
        if reply.delta and self._first_s is None:
            self._first_s = time.perf_counter()

    def _on_turn(self, turn: Turn) -> None:
        self._turn = turn
        self._ended.set()


def _some_scene(dice: random.Random) -> SceneDescription:
    sides = ("left", "centre", "right")
    person = Person(
        position=dice.choice(sides),
        expression=dice.choice(("neutral", "smiling", "sad")),
        gesture=dice.choice(("none", "waving")),
        clothing=f"{dice.choice(('red', 'blue', 'green', 'white'))} shirt",
    )
    thing = SceneObject(dice.choice(("cup", "ball", "book", "box")), dice.choice(("red", "blue")), dice.choice(sides))
    return SceneDescription((person,), (thing,), "vlm")
