"""Publishes a turn while it happens.

Called on the I/O loop: rcl allows publishing from any thread, and a hop to the ROS thread would only add delay.
"""

from __future__ import annotations

from collections.abc import Callable

from builtin_interfaces.msg import Time
from rclpy.node import Node

from smolfusion_ros.dialogue.clauses import Clauses
from smolfusion_ros.dialogue.turn import IssuedCommand, TurnRecord
from smolfusion_ros.msg import ActionCommand, Reply, Scene, Turn
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._messages import command_message, turn_message


class Broadcast:
    """The publishers of ``reply``, ``action_command`` and ``turn``.

    Args:
        newest_scene: for the target's track and bearing.
    """

    def __init__(self, node: Node, newest_scene: Callable[[], Scene | None]) -> None:
        self._clock = node.get_clock()
        self._newest_scene = newest_scene
        self._reply = node.create_publisher(Reply, "reply", _qos.REPLY)
        self._command = node.create_publisher(ActionCommand, "action_command", _qos.COMMAND)
        self._turn = node.create_publisher(Turn, "turn", _qos.TURN)

    def now(self) -> Time:
        return self._clock.now().to_msg()

    def command(self, issued: IssuedCommand) -> ActionCommand:
        message = command_message(issued, self.now(), self._newest_scene())
        self._command.publish(message)
        return message

    def reply(self, **fields: object) -> None:
        message = Reply(**fields)
        message.header.stamp = self.now()
        self._reply.publish(message)

    def turn(self, record: TurnRecord, begun: Time, commands: list[ActionCommand]) -> None:
        self._turn.publish(turn_message(record, begun, commands))


class TurnBroadcast:
    """One turn's listener; keeps what was published for the answer of a service or action.

    Args:
        on_text: called with the whole text so far and what is new in it.
    """

    def __init__(self, broadcast: Broadcast, on_text: Callable[[str, str], None] | None = None) -> None:
        self._broadcast = broadcast
        self._on_text = on_text
        self._begun = broadcast.now()
        self._sequence = 0
        self._said = ""
        self._clauses = Clauses()
        self.commands: list[ActionCommand] = []

    def on_text(self, turn_id: str, session_id: str, delta: str) -> None:
        self._said += delta
        self._publish(turn_id, session_id, delta=delta, clause=self._clauses.feed(delta))
        if self._on_text is not None:
            self._on_text(self._said, delta)

    def on_command(self, command: IssuedCommand) -> None:
        self.commands.append(self._broadcast.command(command))

    def on_finished(self, record: TurnRecord) -> None:
        clause = "" if record.interrupted else self._clauses.rest()
        self._publish(record.id, record.session_id, clause=clause, is_final=True, interrupted=record.interrupted)
        self._broadcast.turn(record, self._begun, self.commands)

    def _publish(self, turn_id: str, session_id: str, **fields: object) -> None:
        self._broadcast.reply(turn_id=turn_id, session_id=session_id, sequence=self._sequence, **fields)
        self._sequence += 1
