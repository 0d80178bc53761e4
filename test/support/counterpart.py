"""Plain ROS nodes in the stack's place: they serve what dialogue and perception serve, with what the test puts in."""

import threading
import time
from collections.abc import Callable
from math import nan
from typing import Any

import rclpy
from rclpy.action import ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from smolfusion_ros.action import Converse
from smolfusion_ros.msg import ActionCommand, ActionStatus, Scene
from smolfusion_ros.srv import Analyze, Chat
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._messages import duration_message

DOMAIN_ID = 83
WAIT_S = 10.0


class Counterpart:
    """Serves what dialogue and perception serve, with what the test puts in."""

    def __init__(self, namespace: str) -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=DOMAIN_ID)
        self.node = Node("dialogue", namespace=namespace, context=self.context, enable_rosout=False)
        self.chats: list[Chat.Request] = []
        self.analyses: list[Analyze.Request] = []
        self.statuses: list[ActionStatus] = []
        self.presses: list[bool] = []
        self.answer = Chat.Response(success=True, reply="hello", session_id="default", turn_id="t1")
        self.answers = threading.Event()
        self.answers.set()
        self.commands = self.node.create_publisher(ActionCommand, "action_command", _qos.COMMAND)
        self.scenes = self.node.create_publisher(Scene, "scene", _qos.LATCHED)
        self.engaged = self.node.create_publisher(Bool, "emergency_stop_engaged", _qos.LATCHED)
        self.node.create_subscription(ActionStatus, "action_status", self.statuses.append, _qos.COMMAND)
        self.node.create_subscription(Bool, "emergency_stop", self._on_press, _qos.UTTERANCE)
        group = ReentrantCallbackGroup()
        self.node.create_service(Chat, "chat", self._on_chat, callback_group=group)
        self.node.create_service(Analyze, "analyze", self._on_analyze)
        self.node.create_service(Trigger, "reset_emergency_stop", self._on_reset)
        self.goal: Callable[[Any], Converse.Result] = lambda goal: Converse.Result()
        self._action = ActionServer(self.node, Converse, "converse", lambda goal: self.goal(goal))
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.answers.set()
        time.sleep(0.1)  # an answer that is being sent when rclpy ends is a crash of this thread
        rclpy.try_shutdown(context=self.context)
        self._thread.join(5.0)
        self.node.destroy_node()

    def command(self, command_id: str, name: str = "nod", session_id: str = "s", **fields: Any) -> ActionCommand:
        message = ActionCommand(
            id=command_id,
            name=name,
            session_id=session_id,
            arguments_json=fields.pop("arguments_json", "{}"),
            lifetime=duration_message(fields.pop("lifetime_s", 10.0)),
            target_bearing_rad=nan,
            **fields,
        )
        message.header.stamp = self.node.get_clock().now().to_msg()
        return message

    def _on_chat(self, request: Chat.Request, response: Chat.Response) -> Chat.Response:
        self.chats.append(request)
        self.answers.wait(WAIT_S)
        return self.answer

    def _on_analyze(self, request: Analyze.Request, response: Analyze.Response) -> Analyze.Response:
        self.analyses.append(request)
        response.success, response.answer, response.latency = True, "a cup", duration_message(0.25)
        return response

    def _on_press(self, message: Bool) -> None:
        self.presses.append(message.data)
        self.engaged.publish(Bool(data=True))

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = bool(self.presses), "the emergency stop is not engaged"
        if response.success:
            self.presses.clear()
            self.engaged.publish(Bool(data=False))
        return response

    def _spin(self) -> None:
        try:
            self.executor.spin()
        except ExternalShutdownException:
            return


def until(true: Callable[[], object], what: str = "it") -> None:
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)
