"""The gateway's robot over ROS: asks the other nodes, and waits for their answers on the I/O loop."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence
from time import monotonic
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from smolfusion_ros.action import Converse
from smolfusion_ros.errors import (
    BackendUnavailableError,
    InactiveError,
    MemoryStoreError,
    SessionError,
)
from smolfusion_ros.gateway.camera import Camera
from smolfusion_ros.gateway.health import Board
from smolfusion_ros.gateway.hub import Hub
from smolfusion_ros.gateway.pictures import Picture
from smolfusion_ros.gateway.robot import Piece
from smolfusion_ros.gateway.schemas import Action, Analysis, ChatAnswer, Cleared, Health, Session
from smolfusion_ros.gateway.values import Command, EmergencyStop, Reply, Turn
from smolfusion_ros.nodes._asyncio import IoLoop
from smolfusion_ros.nodes._gateway_goals import ACTION, Goals
from smolfusion_ros.nodes._gateway_turn import AwaitedTurn
from smolfusion_ros.nodes._gateway_values import turn_value
from smolfusion_ros.nodes._messages import refused, seconds
from smolfusion_ros.nodes._press import press_publisher
from smolfusion_ros.srv import Analyze, ClearSession, GetHistory, ListSessions
from smolfusion_ros.vision.frames import compressed_to_bgr

# A node that is there answers these at once; when it has just started, DDS may lose an answer, so it is asked again.
ASK_AGAIN_S = 1.0
ANSWER_S = 4.0
DISCOVERY_S = 2.0
POLL_S = 0.02
# An accepted turn begins at once; who hears no more than the goal's end waits so long for its record.
ACCEPT_S = 5.0
RECORD_S = 1.0
# A turn that is over sooner, as a reflex is, has told everything; asking for its result would only hold it up.
WATCH_AFTER_S = 0.05
CONFIRM_S = 1.0


class RosRobot:
    """``smolfusion_ros.gateway.robot.Robot`` over the other nodes' services, and the action ``converse``.

    Args:
        default_session: of who names none.
        chat_timeout_s: a turn, or an answer about a picture, has come within this time.
    """

    def __init__(
        self,
        node: Node,
        io: IoLoop,
        hub: Hub,
        camera: Camera,
        board: Board,
        actions: Sequence[Action],
        *,
        default_session: str,
        chat_timeout_s: float,
    ) -> None:
        self.hub, self.camera, self.actions = hub, camera, actions
        self._node = node
        self._io = io
        self._board = board
        self._default_session = default_session
        self._chat_timeout_s = chat_timeout_s
        self._turns: dict[str, AwaitedTurn] = {}
        self._ending = False
        group = ReentrantCallbackGroup()
        self._goals = Goals(node, io)
        self._analyze = node.create_client(Analyze, "analyze", callback_group=group)
        self._list = node.create_client(ListSessions, "list_sessions", callback_group=group)
        self._history = node.create_client(GetHistory, "get_history", callback_group=group)
        self._clear = node.create_client(ClearSession, "clear_session", callback_group=group)
        self._reset = node.create_client(Trigger, "reset_emergency_stop", callback_group=group)
        self._stop = press_publisher(node)

    def on_reply(self, reply: Reply) -> None:
        if (turn := self._turns.get(reply.turn_id)) is not None:
            turn.on_reply(reply)

    def on_command(self, command: Command) -> None:
        for turn in self._turns.values():
            turn.on_command(command)

    def on_turn(self, turn: Turn) -> None:
        if (awaited := self._turns.get(turn.id)) is not None:
            awaited.on_turn(turn)

    def close(self) -> None:
        """On the loop: end the turns that are waited for."""
        self._ending = True
        for turn in self._turns.values():
            turn.fail(InactiveError("the gateway is told to end"))

    async def converse(self, text: str, session_id: str) -> AsyncGenerator[Piece, None]:
        if self._ending:
            raise InactiveError("the gateway is told to end")
        end_s = monotonic() + self._chat_timeout_s
        session_id, goal_id = session_id or self._default_session, uuid.uuid4()
        goal = Converse.Goal(text=text, session_id=session_id)
        turn = self._turns[str(goal_id)] = AwaitedTurn(str(goal_id))
        watching: asyncio.Task[None] | None = None
        try:
            await self._until_there(self._goals.is_served, ACTION, "dialogue")
            sending = self._goals.send(goal, goal_id)
            if not await self._in_time(sending, ACCEPT_S, "dialogue did not take the utterance"):
                raise InactiveError("dialogue does not take the utterance")
            watching = self._io.start(self._watch(goal_id, turn))
            late = f"the answer took longer than {self._chat_timeout_s:g} s"
            while True:
                piece = await self._in_time(turn.next(), max(0.0, end_s - monotonic()), late)
                yield piece
                if isinstance(piece, ChatAnswer):
                    return
        finally:
            del self._turns[str(goal_id)]
            if watching is not None:
                watching.cancel()
                if not turn.complete:
                    self._goals.cancel(goal_id)

    async def analyze(self, question: str, picture: Picture | None) -> Analysis:
        request = Analyze.Request(question=question)
        if picture is not None:
            request.image.format = picture.format
            request.image.data = picture.data
        answer = await self._ask(self._analyze, request, "perception", timeout_s=self._chat_timeout_s, times=1)
        if not answer.success:
            if picture is not None:  # is it the picture's fault?
                await asyncio.to_thread(compressed_to_bgr, picture.data)
            raise BackendUnavailableError(answer.message)
        return Analysis(answer=answer.answer, latency_s=seconds(answer.latency), stamp=seconds(answer.stamp))

    async def sessions(self) -> list[Session]:
        answer = await self._ask(self._list, ListSessions.Request(), "memory")
        if not answer.success:
            raise MemoryStoreError(answer.message)
        rows = zip(answer.session_ids, answer.turn_counts, answer.last_used, strict=True)
        return [Session(session_id=name, turns=turns, last_used=seconds(used)) for name, turns, used in rows]

    async def history(self, session_id: str, limit: int) -> list[Turn]:
        answer = await self._ask(self._history, GetHistory.Request(session_id=session_id, limit=limit), "memory")
        if answer.unknown_session:
            raise SessionError(f"there is no session {session_id!r}")
        if not answer.success:
            raise MemoryStoreError(answer.message)
        return [turn_value(turn) for turn in answer.turns]

    async def clear(self, session_id: str) -> Cleared:
        answer = await self._ask(self._clear, ClearSession.Request(session_id=session_id), "memory", times=1)
        if answer.success:
            return Cleared(session_id=session_id, detail=answer.message)
        await self.history(session_id, 1)  # says so if it is not known
        raise MemoryStoreError(answer.message)

    async def engage_emergency_stop(self) -> EmergencyStop:
        self._stop.publish(Bool(data=True))
        if not self._stop.get_subscription_count():
            raise InactiveError("nobody hears emergency_stop: is dialogue running?")
        end_s = monotonic() + CONFIRM_S
        while monotonic() < end_s:
            newest = self.hub.newest("emergency_stop", EmergencyStop)
            if newest is not None and newest.engaged:
                return newest
            await asyncio.sleep(POLL_S)
        raise TimeoutError("emergency_stop was sent, but dialogue has not confirmed it")

    async def reset_emergency_stop(self) -> EmergencyStop:
        answer = await self._ask(self._reset, Trigger.Request(), "dialogue", times=1)
        return EmergencyStop(engaged=False, detail=answer.message)

    def health(self) -> Health:
        return self._board.health()

    async def _watch(self, goal_id: uuid.UUID, turn: AwaitedTurn) -> None:
        """A goal that ends without a turn was refused; the record of one that was not may come a little later."""
        await asyncio.sleep(WATCH_AFTER_S)
        result = await self._goals.result(goal_id)
        if result.turn_id:
            await asyncio.sleep(RECORD_S)
        turn.fail(refused(result.refusal or "inactive", result.message or "dialogue told nothing of the turn"))

    async def _ask(
        self, client: Client, request: Any, node: str, *, timeout_s: float = ANSWER_S, times: int = 0
    ) -> Any:
        """A service's answer; the first to any of several requests where asking again does no harm.

        Args:
            times: how often to ask; 0: once a second until the time is over.

        Raises:
            InactiveError: there is no such service.
            TimeoutError: it did not answer.
        """
        await self._until_there(client.service_is_ready, client.srv_name, node)
        end_s, asked = monotonic() + timeout_s, set()
        try:
            while (left_s := end_s - monotonic()) > 0.0:
                if not times or len(asked) < times:
                    asked.add(asyncio.ensure_future(self._once(client, request)))
                wait_s = left_s if times and len(asked) >= times else min(ASK_AGAIN_S, left_s)
                done, _ = await asyncio.wait(asked, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    return each.result()
            raise TimeoutError(f"{node} did not answer {client.srv_name} within {timeout_s:g} s")
        finally:
            for each in asked:
                each.cancel()

    async def _once(self, client: Client, request: Any) -> Any:
        return await self._io.from_ros(lambda: client.call_async(request), client.remove_pending_request)

    async def _until_there(self, is_there: Any, name: str, node: str) -> None:
        end_s = monotonic() + DISCOVERY_S
        while not is_there():
            if monotonic() > end_s:
                raise InactiveError(f"nobody serves {name}: is {node} running?")
            await asyncio.sleep(POLL_S)

    async def _in_time(self, work: Any, timeout_s: float, otherwise: str) -> Any:
        try:
            return await asyncio.wait_for(work, timeout_s)
        except asyncio.TimeoutError:
            raise TimeoutError(otherwise) from None
