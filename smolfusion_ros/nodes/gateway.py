"""The robot over HTTP: JSON, server-sent events, the camera's pictures, and a web page."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Bool

import smolfusion_ros.gateway
from smolfusion_ros.bringup.paths import share_directory
from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.gateway.app import make_app
from smolfusion_ros.gateway.camera import Camera
from smolfusion_ros.gateway.health import Board
from smolfusion_ros.gateway.hub import Hub
from smolfusion_ros.gateway.server import Server, is_private, listen
from smolfusion_ros.gateway.settings import MAKE_A_TOKEN, Settings
from smolfusion_ros.gateway.values import Keyframe, Value
from smolfusion_ros.msg import (
    ActionCommand,
    ActionStatus,
    MotionState,
    PerformanceReport,
    Reply,
    Scene,
    Turn,
    Utterance,
)
from smolfusion_ros.nodes import _gateway_values as values
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._asyncio import IoLoop
from smolfusion_ros.nodes._diagnostics import OK, Diagnostics, Status
from smolfusion_ros.nodes._gateway_robot import RosRobot
from smolfusion_ros.nodes._messages import seconds, stamp_ns
from smolfusion_ros.nodes._parameters import Parameters, parameter
from smolfusion_ros.nodes._polled import PolledSubscription
from smolfusion_ros.nodes._run import run
from smolfusion_ros.nodes._steady import steady_timer
from smolfusion_ros.secret import read_secret

# Motion and pictures are looked for so often, and diagnostics at every fifth time.
LOOK_PERIOD_S = 0.2
LOOKS_PER_DIAGNOSTICS = 5
DIAGNOSTICS = QoSProfile(depth=200)
# Connections besides the streams.
OTHER_CONNECTIONS = 64
REPLAY_S = 10.0
END_S = 2.5
TOKEN_VARIABLE = "SMOLFUSION_TOKEN"


@dataclass(frozen=True)
class GatewayConfig:
    """Parameters of the node."""

    host: str = parameter(
        "127.0.0.1", "Address to listen on; one that other machines reach needs a token", read_only=True
    )
    port: int = parameter(8000, "Port to listen on; 0: any that is free", minimum=0, maximum=65535, read_only=True)
    token_file: str = parameter(
        "", "File with the token that every request must bear; empty: SMOLFUSION_TOKEN, or none", read_only=True
    )
    host_names: str = parameter(
        "", "Further names of this machine in a Host header, comma-separated; its own and addresses are", read_only=True
    )
    cors_origins: str = parameter(
        "", "Other web sites that may use the interface, comma-separated: https://name[:port]", read_only=True
    )
    max_body_bytes: int = parameter(8388608, "Bytes of one request", minimum=1024, maximum=268435456, read_only=True)
    requests_per_minute: int = parameter(
        120,
        "Requests of one client; the emergency stop and the page's files are not counted",
        minimum=1,
        maximum=1000000,
        read_only=True,
    )
    max_streams: int = parameter(64, "Streams open at once", minimum=1, maximum=1024, read_only=True)
    chat_timeout_s: float = parameter(
        30.0, "An answer that takes longer is given up, seconds", minimum=0.5, maximum=600.0, read_only=True
    )
    default_session: str = parameter("default", "Session of requests that name none", read_only=True)
    actions_file: str = parameter("", "Action catalogue; empty: the package's config/actions.yaml", read_only=True)
    nodes: str = parameter(
        "motion_gate,perception,dialogue,memory,monitor", "Nodes that should be alive, comma-separated", read_only=True
    )


class GatewayNode(Node):
    """Every topic of the robot to HTTP, and requests to its services."""

    def __init__(self) -> None:
        super().__init__("gateway")
        self._config: GatewayConfig = Parameters(self, GatewayConfig()).value
        config, self._settings = self._config, _settings(self._config)
        catalogue = Catalogue.load(Path(config.actions_file or share_directory() / "config" / "actions.yaml"))
        self._begun_s, self._begun_ns = monotonic(), self.get_clock().now().nanoseconds
        self._looks = 0
        self._hub, self._camera, self._board = Hub(config.max_streams), Camera(), Board(_words(config.nodes))
        self._io = IoLoop(self)
        self._robot = RosRobot(
            self,
            self._io,
            self._hub,
            self._camera,
            self._board,
            [values.action_value(action) for action in catalogue],
            default_session=config.default_session,
            chat_timeout_s=config.chat_timeout_s,
        )
        self._server: Server | None = None
        self._motion = PolledSubscription(self, MotionState, "motion", _qos.SENSOR)
        self._keyframes = PolledSubscription(self, CompressedImage, "keyframe/compressed", _qos.KEYFRAME)
        self._statuses = PolledSubscription(self, DiagnosticArray, "/diagnostics", DIAGNOSTICS)
        self._hear(Scene, "scene", _qos.LATCHED, "scene", values.scene_value)
        self._hear(PerformanceReport, "performance", _qos.PERFORMANCE, "performance", values.performance_value)
        self._hear(Bool, "emergency_stop_engaged", _qos.LATCHED, "emergency_stop", values.emergency_stop_value)
        self._hear(Utterance, "utterance", _qos.UTTERANCE, "utterance", values.utterance_value)
        robot = self._robot
        self._hear(Reply, "reply", _qos.REPLY, "reply", values.reply_value, robot.on_reply)
        self._hear(ActionCommand, "action_command", _qos.COMMAND, "command", values.command_value, robot.on_command)
        self._hear(ActionStatus, "action_status", _qos.COMMAND, "status", values.command_status_value)
        self.create_subscription(Turn, "turn", self._on_turn, _qos.TURN)
        steady_timer(self, LOOK_PERIOD_S, self._look)
        Diagnostics(self).add("http", self._http_status)

    def serve(self) -> None:
        """Take requests from now on.

        Raises:
            ConfigurationError: the port is taken, or the web page cannot be read.
        """
        listening = listen(self._config.host, self._config.port)
        app = make_app(self._robot, self._settings)
        max_connections = self._config.max_streams + OTHER_CONNECTIONS
        self._server = Server(app, listening, max_connections=max_connections)
        self._serving = self._io.submit(self._server.serve())
        self.get_logger().info(f"serving {self._server.url}{' with a token' if self._settings.token else ''}")

    def close(self) -> None:
        """Let go of every stream and every turn that is waited for, and end the server."""
        for end in (self._robot.close, self._hub.close, self._camera.close):
            self._io.call_soon(end)
        if self._server is not None:
            self._server.stop()
            self._io.spin_until(self._serving.done, END_S)
        self._io.close()

    def _hear(
        self,
        kind: type,
        topic: str,
        qos: QoSProfile,
        event: str,
        value_of: Callable[[Any], Value],
        also: Callable[[Any], None] | None = None,
    ) -> None:
        def take(message: Any) -> None:
            value = value_of(message)
            if also is not None:
                self._io.call_soon(also, value)
            self._io.call_soon(self._hub.publish, event, value)

        self.create_subscription(kind, topic, take, qos)

    def _on_turn(self, message: Turn) -> None:
        turn = values.turn_value(message)
        self._io.call_soon(self._robot.on_turn, turn)
        # Turns from before this process are sent again when it finds the dialogue; they are no news.
        is_old = stamp_ns(message.header.stamp) < self._begun_ns and monotonic() - self._begun_s < REPLAY_S
        publish = self._hub.remember if is_old else partial(self._hub.publish, "turn")
        self._io.call_soon(publish, turn)

    def _look(self) -> None:
        """Take what was left in the middleware meanwhile."""
        for motion in self._motion.take():
            self._io.call_soon(self._hub.publish, "motion", values.motion_value(motion))
        for keyframe in self._keyframes.take():
            self._io.call_soon(self._show, keyframe)
        self._looks = (self._looks + 1) % LOOKS_PER_DIAGNOSTICS
        if self._looks == 0:
            told = [
                status
                for array in self._statuses.take()
                for status in values.status_values(array.status, self.get_namespace())
            ]
            self._io.call_soon(self._tell_diagnostics, told)

    def _show(self, keyframe: CompressedImage) -> None:
        data, stamp = bytes(keyframe.data), seconds(keyframe.header.stamp)
        self._camera.show(data, "image/png" if "png" in keyframe.format else "image/jpeg", stamp)
        self._hub.publish("keyframe", Keyframe(stamp=stamp, size_bytes=len(data)))

    def _tell_diagnostics(self, told: list[values.values.Status]) -> None:
        self._board.update(told)
        self._hub.publish("diagnostics", self._board.diagnostics())

    def _http_status(self) -> Status:
        where = "not serving" if self._server is None else f"serving {self._server.url}"
        return Status(OK, where, {"streams": self._hub.streams})


def _settings(config: GatewayConfig) -> Settings:
    token = read_secret("token_file", config.token_file, TOKEN_VARIABLE).value
    if not token and not is_private(config.host):
        reason = f"host {config.host or '(all addresses)'} can be reached by other machines, and there is no token"
        raise ConfigurationError(f"{reason}. Make one: {MAKE_A_TOKEN}")
    name = socket.gethostname()
    return Settings(
        token=token,
        host_names=(name, f"{name}.local", *_words(config.host_names)),
        cors_origins=_words(config.cors_origins),
        max_body_bytes=config.max_body_bytes,
        requests_per_minute=config.requests_per_minute,
        page=Path(smolfusion_ros.gateway.__file__).resolve().parent / "page",
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _serving_node() -> GatewayNode:
    node = GatewayNode()
    node.serve()
    return node


def main() -> int:
    return run(_serving_node)


if __name__ == "__main__":
    raise SystemExit(main())
