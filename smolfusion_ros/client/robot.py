"""The robot, as a program without any knowledge of ROS talks to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

from rclpy.action.client import ActionClient
from rclpy.client import Client
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from smolfusion_ros.action import Converse
from smolfusion_ros.client._hearing import Hearing
from smolfusion_ros.client._link import Link
from smolfusion_ros.client.conversation import Conversation
from smolfusion_ros.client.errors import RobotError, RobotRefusedError
from smolfusion_ros.client.values import Analysis, Answer, Command, Scene, answer_of
from smolfusion_ros.dialogue.actions import STATES
from smolfusion_ros.msg import ActionStatus
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._messages import seconds
from smolfusion_ros.nodes._press import press_publisher
from smolfusion_ros.srv import Analyze, Chat

STOP_S = 5.0
PRESS_AGAIN_S = 0.5


class Robot:
    """A stack of smolfusion_ros, wherever in the ROS domain it runs.

    ::

        with Robot() as robot:
            print(robot.chat("please wave").said)

    All methods may be called from any thread, callbacks included, but for those of ``on_stop``. Every wait has an end:
    ``timeout_s``.

    Args:
        namespace: of the stack.
        node: an existing node in that namespace, which the caller spins in another thread, now or soon; None: one is
            made.
        domain_id: None: that of the environment variable ``ROS_DOMAIN_ID``.
        timeout_s: how long each answer is waited for.

    Raises:
        RobotUnavailableError: nobody serves what is asked for; tells who is there instead.
        RobotTimeoutError: no answer in time.
        RobotRefusedError: the robot does not take what was said; tells why.
    """

    def __init__(
        self,
        namespace: str = "/smolfusion",
        *,
        node: Node | None = None,
        domain_id: int | None = None,
        timeout_s: float = 30.0,
        name: str = "robot_client",
    ) -> None:
        self._timeout_s = timeout_s
        self._link = Link(name, namespace, node, domain_id)
        self._hearing = Hearing(self._link)
        self._link.begin_with(self._connect)

    def __enter__(self) -> Robot:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; every wait under way ends with a RobotUnavailableError."""
        self._link.close()

    @property
    def node(self) -> Node:
        """The ROS node behind this, for publishers and subscriptions of one's own."""
        return self._link.node

    @property
    def scene(self) -> Scene | None:
        """What was seen last; None: nothing yet."""
        return self._hearing.scene

    @property
    def stopped(self) -> bool:
        """The emergency stop is engaged: the body must not move."""
        return self._hearing.stopped

    def chat(self, text: str, session_id: str = "", *, timeout_s: float | None = None) -> Answer:
        """Say something and wait for the whole answer.

        Args:
            session_id: the conversation; empty: the robot's default one.
        """
        request = Chat.Request(text=text, session_id=session_id)
        response = self._call("chat", "dialogue", request, timeout_s)
        if not (response.success or response.turn_id):
            raise RobotRefusedError(response.message)
        return answer_of(response, response.session_id, self._link.now_s())

    def converse(
        self,
        text: str,
        session_id: str = "",
        *,
        on_delta: Callable[[str], object] | None = None,
        on_command: Callable[[Command], object] | None = None,
        timeout_s: float | None = None,
    ) -> Conversation:
        """Say something; the answer comes piece by piece.

        Args:
            on_delta: called with each piece of the text.
            on_command: called with each command of this turn: at once where a session is named, with the end of the
                answer otherwise.
            timeout_s: longest silence.
        """
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        self._link.wait_for(self._converse.server_is_ready, timeout_s, "nobody serves converse (node dialogue)")
        goal = Converse.Goal(text=text, session_id=session_id)
        conversation = Conversation(self._link, self._converse, goal, timeout_s, on_delta, on_command)
        self._hearing.follow(conversation)
        return conversation

    def analyze(
        self, question: str = "", image: bytes | str | Path | None = None, *, timeout_s: float | None = None
    ) -> Analysis:
        """Ask about a picture; an answer never moves the robot.

        Args:
            question: empty: "Describe the scene."
            image: a JPEG or PNG, or its path; None: what the robot sees.

        Raises:
            RobotError: the picture's file cannot be read.
        """
        request = Analyze.Request(question=question)
        if image is not None:
            request.image = CompressedImage(format="jpeg")
            request.image.data.frombytes(_picture(image))
        response = self._call("analyze", "perception", request, timeout_s)
        if not response.success:
            raise RobotRefusedError(response.message)
        return Analysis(response.answer, seconds(response.latency))

    def on_command(self, callback: Callable[[Command], object]) -> None:
        """Have every command told, once each, and never one whose lifetime is over."""
        self._hearing.on_command(callback)

    def on_scene(self, callback: Callable[[Scene], object]) -> None:
        """Have every scene told; the newest one at once, if there is one."""
        self._hearing.on_scene(callback)

    def on_stop(self, callback: Callable[[bool], object]) -> None:
        """Have the emergency stop told, True when it is engaged and False when it is released.

        Called in the thread that hears the robot, without delay: return at once and ask the robot nothing.
        """
        self._hearing.on_stop(callback)

    def report(self, command: Command | str, state: str, detail: str = "") -> None:
        """Tell what became of a command; its conversation's next turn tells the model.

        Args:
            command: it, or its id.
            state: accepted, rejected, running, succeeded, failed or cancelled.
            detail: why, for people; the model is told the first 48 characters.

        Raises:
            RobotError: there is no such state.
        """
        if state not in STATES:
            raise RobotError(f"state {state!r} is not one of {', '.join(STATES)}")
        self._link.check_open()
        command_id = command if isinstance(command, str) else command.id
        status = ActionStatus(command_id=command_id, state=getattr(ActionStatus, state.upper()), detail=detail)
        status.header.stamp = self._link.node.get_clock().now().to_msg()
        self._status.publish(status)

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Engage the emergency stop and wait until the robot says that it is. It is no safety-rated stop.

        Raises:
            RobotUnavailableError: nobody confirms it. Whoever does hear it stops all the same.
        """
        self._hearing.told_engaged.clear()
        pressed_s = -float("inf")

        def confirmed() -> bool:
            nonlocal pressed_s
            if monotonic() - pressed_s >= PRESS_AGAIN_S:
                pressed_s = monotonic()
                self._press.publish(Bool(data=True))
            return self._hearing.told_engaged.is_set()

        self._link.wait_for(confirmed, timeout_s, "nobody confirms the emergency stop (node dialogue)")

    def reset_stop(self, *, timeout_s: float | None = None) -> None:
        """Release the emergency stop.

        Raises:
            RobotRefusedError: it is not engaged.
        """
        response = self._call("reset_emergency_stop", "dialogue", Trigger.Request(), timeout_s)
        if not response.success:
            raise RobotRefusedError(response.message)

    def wait_until_ready(self, timeout_s: float | None = None) -> None:
        """Return as soon as somebody serves ``chat``."""
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        self._link.wait_for(self._clients["chat"].service_is_ready, timeout_s, "nobody serves chat (node dialogue)")

    def _connect(self) -> None:
        ros = self._link.node
        self._clients: dict[str, Client[Any, Any]] = {
            "chat": ros.create_client(Chat, "chat"),
            "analyze": ros.create_client(Analyze, "analyze"),
            "reset_emergency_stop": ros.create_client(Trigger, "reset_emergency_stop"),
        }
        self._converse: ActionClient[Any, Any, Any] = ActionClient(ros, Converse, "converse")
        self._status = ros.create_publisher(ActionStatus, "action_status", _qos.COMMAND)
        self._press = press_publisher(ros)
        self._hearing.begin()

    def _call(self, name: str, server: str, request: Any, timeout_s: float | None) -> Any:
        client, timeout_s = self._clients[name], self._timeout_s if timeout_s is None else timeout_s
        end_s = monotonic() + timeout_s
        self._link.wait_for(client.service_is_ready, timeout_s, f"nobody serves {name} (node {server})")
        left_s = max(0.1, end_s - monotonic())
        what = f"{server} did not answer {name}"
        return self._link.ask(lambda: client.call_async(request), left_s, what, client.remove_pending_request)


def _picture(image: bytes | str | Path) -> bytes:
    if isinstance(image, bytes):
        return image
    try:
        return Path(image).read_bytes()
    except OSError as error:
        raise RobotError(f"the picture cannot be read: {error}") from error
