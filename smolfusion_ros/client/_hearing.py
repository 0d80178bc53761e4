"""What the robot tells of itself, handed on to a program's callbacks: commands, scenes and the emergency stop."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from std_msgs.msg import Bool

from smolfusion_ros.client._link import Link
from smolfusion_ros.client.conversation import Conversation
from smolfusion_ros.client.stop import StopLatch
from smolfusion_ros.client.values import Command, Scene, command_of, scene_of
from smolfusion_ros.msg import ActionCommand
from smolfusion_ros.msg import Scene as SceneMessage
from smolfusion_ros.nodes import _qos

REMEMBERED_COMMANDS = 256


class Hearing:
    """The subscriptions of a ``Robot``.

    Attributes:
        scene: what was seen last.
        told_engaged: set whenever the robot has said that its emergency stop is engaged.
    """

    def __init__(self, link: Link) -> None:
        self.scene: Scene | None = None
        self.told_engaged = threading.Event()
        self._link = link
        self._lock = threading.Lock()
        self._command_callbacks: list[Callable[[Command], object]] = []
        self._scene_callbacks: list[Callable[[Scene], object]] = []
        self._stop_callbacks: list[Callable[[bool], object]] = []
        self._conversations: list[Conversation] = []
        self._heard_commands: OrderedDict[str, None] = OrderedDict()
        self._latch = StopLatch()

    def begin(self) -> None:
        """Subscribe; where ``Link.begin_with`` makes things."""
        ros = self._link.node
        self._subscriptions = [
            ros.create_subscription(ActionCommand, "action_command", self._on_command, _qos.COMMAND),
            ros.create_subscription(SceneMessage, "scene", self._on_scene, _qos.LATCHED),
            ros.create_subscription(Bool, "emergency_stop_engaged", self._on_engaged, _qos.LATCHED),
            # Best effort hears every publisher.
            ros.create_subscription(Bool, "emergency_stop", self._on_press, _qos.STOPS[2]),
        ]

    @property
    def stopped(self) -> bool:
        """The emergency stop is engaged."""
        return self._latch.engaged

    def follow(self, conversation: Conversation) -> None:
        """Have a conversation hear commands until it is done."""
        with self._lock:
            self._conversations = [each for each in self._conversations if not each.done] + [conversation]

    def on_command(self, callback: Callable[[Command], object]) -> None:
        self._command_callbacks.append(callback)

    def on_scene(self, callback: Callable[[Scene], object]) -> None:
        """The newest scene, if there is one, is told at once."""
        with self._lock:
            self._scene_callbacks.append(callback)
            if self.scene is not None:
                self._link.call_back(callback, self.scene)

    def on_stop(self, callback: Callable[[bool], object]) -> None:
        """Called in the thread that hears; an engaged stop is told at once."""
        with self._lock:
            self._stop_callbacks.append(callback)
            if self._latch.engaged:
                callback(True)

    def _on_command(self, message: ActionCommand) -> None:
        if message.id in self._heard_commands:
            return
        self._heard_commands[message.id] = None
        if len(self._heard_commands) > REMEMBERED_COMMANDS:
            self._heard_commands.popitem(last=False)
        try:
            command = command_of(message, self._link.now_s())
        except ValueError as error:
            self._link.node.get_logger().error(f"command {message.id} is left out: its arguments are no JSON: {error}")
            return
        for conversation in self._conversations:
            conversation.hears(command)
        if not command.expired:
            for callback in self._command_callbacks:
                self._link.call_back(callback, command)

    def _on_scene(self, message: SceneMessage) -> None:
        with self._lock:
            self.scene = scene_of(message)
            for callback in self._scene_callbacks:
                self._link.call_back(callback, self.scene)

    def _on_press(self, message: Bool) -> None:
        with self._lock:
            if self._latch.on_press(message.data):
                self._tell_stop(True)

    def _on_engaged(self, message: Bool) -> None:
        with self._lock:
            if self._latch.on_told(message.data):
                self._tell_stop(self._latch.engaged)
        if message.data:
            self.told_engaged.set()

    def _tell_stop(self, engaged: bool) -> None:
        for callback in self._stop_callbacks:
            try:
                callback(engaged)
            except Exception as error:  # of the program; the others must hear it too
                self._link.node.get_logger().error(f"on_stop failed: {type(error).__name__}: {error}")
