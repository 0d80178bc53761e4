"""A node that looks at the stack from outside: hears topics, calls services, sends goals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import QoSProfile
from rclpy.task import Future
from smolfusion_ros.msg import (
    ActionCommand,
    Hearing,
    MotionState,
    PerformanceReport,
    Person,
    Reply,
    Scene,
    Speaking,
    Turn,
    Utterance,
)
from smolfusion_ros.srv import GetHistory
from std_msgs.msg import Bool

from smolfusion_ros.nodes import _qos

DIAGNOSTICS = "/diagnostics"
# A publisher knows its reader before the reader knows it: best effort is lost then, reliable comes late.
MATCHING_S = 0.5
TOPICS: dict[str, tuple[type, QoSProfile]] = {
    DIAGNOSTICS: (DiagnosticArray, QoSProfile(depth=50)),
    "action_command": (ActionCommand, _qos.COMMAND),
    "hearing": (Hearing, _qos.LATCHED),
    "speaking": (Speaking, _qos.TURN),
    "utterance": (Utterance, _qos.UTTERANCE),
    "emergency_stop_engaged": (Bool, _qos.LATCHED),
    "motion": (MotionState, _qos.SENSOR),
    "performance": (PerformanceReport, _qos.PERFORMANCE),
    "reply": (Reply, _qos.REPLY),
    "scene": (Scene, _qos.LATCHED),
    "turn": (Turn, _qos.TURN),
}


@dataclass(frozen=True)
class Arrival:
    """A message and when it came: on the steady clock, and on the clock of the stamps."""

    message: Any
    at_s: float
    at_ns: int


class Heard:
    """What arrived on one topic, oldest first."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._arrivals: list[Arrival] = []
        self._changed = threading.Condition()

    def take(self, message: Any) -> None:
        arrival = Arrival(message, time.perf_counter(), time.time_ns())
        with self._changed:
            self._arrivals.append(arrival)
            self._changed.notify_all()

    def arrivals(self, since: int = 0) -> list[Arrival]:
        with self._changed:
            return self._arrivals[since:]

    def messages(self, since: int = 0) -> list[Any]:
        return [arrival.message for arrival in self.arrivals(since)]

    def __len__(self) -> int:
        with self._changed:
            return len(self._arrivals)

    def wait_for(
        self, wanted: Callable[[Any], object] = lambda _: True, timeout_s: float = 15.0, since: int = 0
    ) -> Arrival:
        """The first arrival from index ``since`` on whose message is wanted; TimeoutError if none comes."""
        end = time.monotonic() + timeout_s
        at = since
        with self._changed:
            while True:
                for arrival in self._arrivals[at:]:
                    if wanted(arrival.message):
                        return arrival
                at = len(self._arrivals)
                if not self._changed.wait(end - time.monotonic()):
                    newest = self._arrivals[-1].message if self._arrivals else "nothing"
                    raise TimeoutError(f"{self._topic}: not heard within {timeout_s:g} s; newest: {newest}")


class Probe:
    """A node of its own context, spinning in a thread; its methods are called from the test's thread."""

    def __init__(self, domain_id: int, namespace: str = "/smolfusion") -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = Node("probe", context=self.context, namespace=namespace, enable_rosout=False)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._clients: dict[str, Any] = {}
        self._heard: dict[str, Heard] = {}
        self._scenes: Any = None
        self._listen(DIAGNOSTICS)
        self._thread = threading.Thread(target=self._spin, name="probe", daemon=True)
        self._thread.start()

    def close(self) -> None:
        rclpy.try_shutdown(context=self.context)
        self._thread.join(5.0)
        self.node.destroy_node()

    def heard(self, topic: str) -> Heard:
        """What arrives on a topic of the stack, from the first call on."""
        if topic not in self._heard:
            self._listen(topic)
            until(lambda: self.node.count_publishers(topic) > 0, f"a publisher of {topic}")
        return self._heard[topic]

    def _listen(self, topic: str) -> None:
        kind, qos = TOPICS[topic]
        self._heard[topic] = Heard(topic)
        self.node.create_subscription(kind, topic, self._heard[topic].take, qos)

    def publisher(self, kind: type, topic: str, qos: QoSProfile, readers: int = 1) -> Any:
        """A publisher that its readers have found."""
        publisher = self.node.create_publisher(kind, topic, qos)
        until(lambda: publisher.get_subscription_count() >= readers, f"{readers} readers of {topic}")
        return publisher

    def stop_button(self, qos: QoSProfile, readers: int = 1) -> Any:
        """A publisher of ``emergency_stop`` whose first press every reader hears once, and at once."""
        button = self.publisher(Bool, "emergency_stop", qos, readers)
        time.sleep(MATCHING_S)
        return button

    def see(self, compact: str) -> None:
        """Tell the stack that a person is seen, in perception's place."""
        if self._scenes is None:
            self._scenes = self.publisher(Scene, "scene", _qos.LATCHED)
        scene = Scene(source="vlm", compact=compact, persons=[Person()])
        scene.header.stamp = self.node.get_clock().now().to_msg()
        self._scenes.publish(scene)

    def wait_for_status(
        self, task: str, wanted: Callable[[DiagnosticStatus], object], timeout_s: float = 15.0
    ) -> tuple[DiagnosticStatus, float]:
        """The first status of a diagnostic task from now on that is wanted, and how long it took, seconds."""
        name = f"{self.node.get_namespace().strip('/')}/{task}"
        heard, begun = self._heard[DIAGNOSTICS], time.perf_counter()

        def has(array: DiagnosticArray) -> bool:
            return any(status.name == name and wanted(status) for status in array.status)

        arrival = heard.wait_for(has, timeout_s, since=len(heard))
        [status] = [each for each in arrival.message.status if each.name == name]
        return status, arrival.at_s - begun

    def has_heard_of(self, pid: int) -> bool:
        """A process has told of itself in the newest diagnostics."""
        newest = self._heard[DIAGNOSTICS].messages()[-20:]
        return any(
            each.key == "pid" and each.value == str(pid)
            for array in newest
            for status in array.status
            for each in status.values
        )

    def transition(self, node: str, name: str) -> bool:
        """Ask a managed node for ``configure``, ``activate``, ``deactivate`` or ``cleanup``."""
        number = getattr(Transition, f"TRANSITION_{name.upper()}")
        return self.call(ChangeState, f"{node}/change_state", transition=Transition(id=number)).success

    def set_parameters(self, node: str, **values: Any) -> list[str]:
        """Change parameters of a node while it works; the reasons of what was refused."""
        client = self._client(f"{node} parameters", lambda: AsyncParameterClient(self.node, node))
        if not client.wait_for_services(10.0):
            raise TimeoutError(f"no parameter services of {node}")
        answer = wait(
            client.set_parameters([Parameter(name, value=value) for name, value in values.items()]), 10.0, node
        )
        return [result.reason for result in answer.results if not result.successful]

    def history(self, session_id: str, turns: int = 1, tries: int = 1) -> list[Turn]:
        """A session's turns as memory keeps them, once they are that many."""
        kept: list[Turn] = []

        def arrived() -> bool:
            kept[:] = self.call(GetHistory, "get_history", session_id=session_id, tries=tries).turns
            return len(kept) >= turns

        until(arrived, f"{turns} turns of session {session_id} in memory")
        return kept

    def call(self, kind: type, name: str, timeout_s: float = 30.0, tries: int = 1, **fields: Any) -> Any:
        """A service's response. More than one try is for a service whose process was killed and came back."""
        client = self._client(name, lambda: self.node.create_client(kind, name))
        if not client.wait_for_service(timeout_s):
            raise TimeoutError(f"no service {name} within {timeout_s:g} s")
        for _ in range(tries - 1):
            try:
                return wait(client.call_async(kind.Request(**fields)), 1.0, name)
            except TimeoutError:
                continue
        return wait(client.call_async(kind.Request(**fields)), timeout_s, name)

    def send_goal(
        self, kind: type, name: str, on_feedback: Callable[[Any], None] | None = None, **fields: Any
    ) -> ClientGoalHandle:
        """The handle of an accepted goal."""
        client = self._client(name, lambda: ActionClient(self.node, kind, name))
        if not client.wait_for_server(15.0):
            raise TimeoutError(f"no action {name}")
        goal = kind.Goal(**fields)
        handle = wait(client.send_goal_async(goal, feedback_callback=on_feedback), 15.0, name)
        assert handle.accepted
        return handle

    def _client(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._clients:
            self._clients[name] = make()
        return self._clients[name]

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()


def wait(future: Future, timeout_s: float, what: str) -> Any:
    """The result of a future that the probe's thread completes."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    if not done.wait(timeout_s):
        raise TimeoutError(f"{what} did not answer within {timeout_s:g} s")
    return future.result()


def until(true: Callable[[], object], what: str, timeout_s: float = 15.0, interval_s: float = 0.02) -> None:
    """Return once ``true()`` is; TimeoutError naming ``what`` otherwise."""
    end = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(interval_s)


def stamp_ns(stamp: Any) -> int:
    """A stamp as nanoseconds since the epoch."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec
