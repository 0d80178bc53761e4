"""Hears everything the stack says and hands it to the demo as plain events."""

from __future__ import annotations

import queue
import uuid
from dataclasses import dataclass, field

from rclpy.node import Node

from smolfusion_ros.msg import ActionCommand, MotionState, Reply, Scene, Turn, Utterance
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._messages import seconds

MAX_EVENTS = 1000


@dataclass(frozen=True)
class Event:
    """Something that happened: ``kind`` is scene, said, command or turn."""

    kind: str
    text: str
    details: dict[str, float] = field(default_factory=dict)


class Observer(Node):
    """Subscribes to the stack's topics; speaks for the visitor."""

    def __init__(self, namespace: str) -> None:
        super().__init__("demo", namespace=namespace)
        self.events: queue.Queue[Event] = queue.Queue(MAX_EVENTS)
        self.motion: MotionState | None = None
        self.scene = ""
        self._utterance = self.create_publisher(Utterance, "utterance", _qos.UTTERANCE)
        self.create_subscription(MotionState, "motion", self._on_motion, _qos.SENSOR)
        self.create_subscription(Scene, "scene", self._on_scene, _qos.LATCHED)
        self.create_subscription(Reply, "reply", self._on_reply, _qos.REPLY)
        self.create_subscription(ActionCommand, "action_command", self._on_command, _qos.COMMAND)
        self.create_subscription(Turn, "turn", self._on_turn, _qos.TURN)
        self._said: dict[str, str] = {}
        # A conversation of its own: what was said in earlier runs is still in memory.
        self._session_id = f"demo-{uuid.uuid4()}"

    @property
    def heard(self) -> bool:
        """The dialogue is there to listen."""
        return self._utterance.get_subscription_count() > 0

    def say(self, text: str) -> None:
        utterance = Utterance(text=text, session_id=self._session_id)
        utterance.header.stamp = self.get_clock().now().to_msg()
        self._utterance.publish(utterance)

    def _on_motion(self, motion: MotionState) -> None:
        self.motion = motion

    def _on_scene(self, scene: Scene) -> None:
        self.scene = scene.compact
        age_s = seconds(self.get_clock().now().to_msg()) - seconds(scene.header.stamp)
        self._put(Event("scene", scene.compact, {"vlm answer": seconds(scene.vlm_latency), "frame to scene": age_s}))

    def _on_reply(self, reply: Reply) -> None:
        self._said[reply.turn_id] = self._said.get(reply.turn_id, "") + reply.delta
        if reply.is_final:
            text = self._said.pop(reply.turn_id)
            self._put(Event("said", f"{text} …" if text and reply.interrupted else text))

    def _on_command(self, command: ActionCommand) -> None:
        self._put(Event("command", f"{command.name} {command.arguments_json} ({command.source})"))

    def _on_turn(self, turn: Turn) -> None:
        stages = {each.name: seconds(each.duration) for each in turn.stages}
        wanted = ("command",) if turn.source == "reflex" else ("first_token", "command", "total")
        details = {f"{turn.source}: {name.replace('_', ' ')}": stages[name] for name in wanted if name in stages}
        self._put(Event("turn", turn.error, details))

    def _put(self, event: Event) -> None:
        try:
            self.events.put_nowait(event)
        except queue.Full:
            self.get_logger().warning("the view is too slow: an event is lost", throttle_duration_sec=5.0)
