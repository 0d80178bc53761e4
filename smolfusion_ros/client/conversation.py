"""One turn whose answer comes while it is being written."""

from __future__ import annotations

import concurrent.futures
import queue
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action.client import ActionClient
from unique_identifier_msgs.msg import UUID

from smolfusion_ros.action import Converse
from smolfusion_ros.client._link import Link
from smolfusion_ros.client.errors import RobotError, RobotRefusedError, RobotTimeoutError
from smolfusion_ros.client.values import Answer, Command, answer_of


class Conversation:
    """The answer to one utterance; iterate over it for its pieces, or wait for the ``answer``.

    ::

        for piece in robot.converse("tell me a story"):
            print(piece, end="", flush=True)

    Made by ``Robot.converse``.
    """

    def __init__(
        self,
        link: Link,
        client: ActionClient[Any, Any, Any],
        goal: Converse.Goal,
        timeout_s: float,
        on_delta: Callable[[str], object] | None,
        on_command: Callable[[Command], object] | None,
    ) -> None:
        self._link = link
        self._session_id = goal.session_id
        goal_id = uuid.uuid4()
        self._turn_id = str(goal_id)
        self._timeout_s = timeout_s
        self._on_delta = on_delta
        self._on_command = on_command
        self._text = ""
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._answered: concurrent.futures.Future[Answer] = concurrent.futures.Future()
        self._handle = link.ask(
            lambda: client.send_goal_async(
                goal, feedback_callback=self._on_feedback, goal_uuid=UUID(uuid=list(goal_id.bytes))
            ),
            timeout_s,
            "dialogue did not take the utterance",
        )
        if not self._handle.accepted:
            raise RobotRefusedError("dialogue does not take the utterance")
        link.begin(self._handle.get_result_async).add_done_callback(self._on_result)

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._text

    @property
    def done(self) -> bool:
        return self._answered.done()

    def __iter__(self) -> Iterator[str]:
        """The pieces of the answer, each as soon as it comes; ends with the answer. For one reader.

        Raises:
            RobotTimeoutError: nothing came for the robot's ``timeout_s``.
            RobotError: what ``answer`` raises.
        """
        while True:
            try:
                piece = self._pieces.get(timeout=self._timeout_s)
            except queue.Empty:
                raise RobotTimeoutError(f"nothing more was said for {self._timeout_s:g} s") from None
            if piece is None:
                self.answer()
                return
            yield piece

    def cancel(self) -> None:
        """End the answer; the model stops writing. What was said so far stands in ``answer()``."""
        if not self.done:
            self._link.ask(self._handle.cancel_goal_async, self._timeout_s, "dialogue did not cancel converse")

    def answer(self, timeout_s: float | None = None) -> Answer:
        """Wait for the whole answer.

        Raises:
            RobotTimeoutError: it is not complete in time.
            RobotRefusedError: the utterance was not taken; tells why.
        """
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            return self._answered.result(timeout_s)
        except concurrent.futures.TimeoutError:
            raise RobotTimeoutError(f"the answer is not complete within {timeout_s:g} s") from None

    def hears(self, command: Command) -> None:
        """A command was published, of this turn or of another."""
        if command.turn_id == self._turn_id and not self.done:
            self._tell(command)

    def _on_feedback(self, message: Any) -> None:
        delta = message.feedback.delta
        self._text = message.feedback.partial
        self._pieces.put(delta)
        if self._on_delta is not None:
            self._link.call_back(self._on_delta, delta)

    def _on_result(self, done: concurrent.futures.Future[Any]) -> None:
        try:
            ended = done.result()
            if not ended.result.turn_id:
                raise RobotRefusedError(ended.result.message or "converse ended without a word")
            cancelled = ended.status == GoalStatus.STATUS_CANCELED
            answer = answer_of(ended.result, self._session_id, self._link.now_s(), cancelled=cancelled)
        except RobotError as error:
            self._answered.set_exception(error)
        except Exception as error:  # in the thread that hears the robot, which must go on
            self._answered.set_exception(RobotError(f"{type(error).__name__}: {error}"))
        else:
            for command in answer.commands:
                self._tell(command)
            self._answered.set_result(answer)
        self._pieces.put(None)

    def _tell(self, command: Command) -> None:
        with self._lock:
            if command.id in self._told:
                return
            self._told.add(command.id)
        if self._on_command is not None:
            self._link.call_back(self._on_command, command)
