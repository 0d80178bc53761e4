"""Utterances in; a streamed reply, robot commands and the record of the turn out."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from smolfusion_ros.action import Converse
from smolfusion_ros.bringup.paths import share_directory
from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.engine import DialogueEngine, RememberedTurn
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.dialogue.policy import CommandPolicy
from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.dialogue.reflexes import Reflexes
from smolfusion_ros.dialogue.turn import Limits, TurnRecord
from smolfusion_ros.errors import BackendError, SmolFusionError
from smolfusion_ros.llama.client import LlamaClient
from smolfusion_ros.msg import ActionStatus, MotionState, Scene, Utterance
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._asyncio import IoLoop
from smolfusion_ros.nodes._broadcast import Broadcast, TurnBroadcast
from smolfusion_ros.nodes._parameters import Parameters, parameter
from smolfusion_ros.nodes._run import run
from smolfusion_ros.nodes._sight import Sight
from smolfusion_ros.nodes._turns import remembered_turn
from smolfusion_ros.srv import Chat, GetHistory

WARM_UP_RETRY_S = 1.0
MEMORY_TIMEOUT_S = 1.0
DISCOVERY_POLL_S = 0.05
# One press of the emergency stop may be heard by several subscriptions.
ONE_PRESS_S = 0.05


@dataclass(frozen=True)
class DialogueConfig:
    """Parameters of the node."""

    llm_url: str = parameter("http://127.0.0.1:8080", "Base URL of the language model's server", read_only=True)
    llm_model: str = parameter("default", "Model name sent to that server", read_only=True)
    llm_timeout_s: float = parameter(
        20.0, "Longest silence of that server, seconds", minimum=0.5, maximum=600.0, read_only=True
    )
    chat_format: str = parameter("chatml", "chatml, or chatml-no-think for models that think", read_only=True)
    actions_file: str = parameter("", "Action catalogue; empty: the package's config/actions.yaml", read_only=True)
    persona_file: str = parameter("", "Persona; empty: the package's config/persona.yaml", read_only=True)
    default_session: str = parameter("default", "Session of utterances that name none", read_only=True)
    max_turns: int = parameter(20, "Turns kept in the prompt", minimum=2, maximum=1000, read_only=True)
    max_history_tokens: int = parameter(
        2048, "Tokens of turns kept in the prompt", minimum=64, maximum=1000000, read_only=True
    )
    max_answer_tokens: int = parameter(160, "Tokens of one answer", minimum=16, maximum=4096, read_only=True)
    max_waiting: int = parameter(8, "Turns that may wait for the model", minimum=0, maximum=1000, read_only=True)
    concurrency: int = parameter(1, "Turns the backend works on at once", minimum=1, maximum=64, read_only=True)
    deadline_s: float = parameter(
        30.0, "A turn that takes longer ends with what it has, seconds", minimum=0.5, maximum=600.0, read_only=True
    )


class DialogueNode(Node):
    """Serves ``chat``, ``converse`` and ``reset_emergency_stop``; hears ``utterance`` and ``emergency_stop``."""

    def __init__(self) -> None:
        super().__init__("dialogue")
        config: DialogueConfig = Parameters(self, DialogueConfig()).value
        self._sight = Sight(lambda: self.get_clock().now().nanoseconds)
        self._broadcast = Broadcast(self, lambda: self._sight.scene)
        self._llm = LlamaClient(config.llm_url, model=config.llm_model, timeout_s=config.llm_timeout_s)
        self._layout, reflexes = _layout(config)
        self._engine = DialogueEngine(
            self._llm,
            self._layout,
            reflexes=reflexes,
            policy=CommandPolicy(monotonic),
            scene=self._sight.context,
            remembered=self._remembered,
            limits=_limits(config),
            default_session=config.default_session,
        )
        self.create_subscription(Scene, "scene", self._sight.on_scene, _qos.LATCHED)
        self.create_subscription(MotionState, "motion", self._sight.on_motion, _qos.SENSOR)
        self.create_subscription(ActionStatus, "action_status", self._on_action_status, _qos.COMMAND)
        self.create_subscription(String, "session_cleared", self._on_session_cleared, _qos.UTTERANCE)
        self.create_subscription(Utterance, "utterance", self._on_utterance, _qos.UTTERANCE)
        self._pressed_s = -float("inf")
        stop_group = MutuallyExclusiveCallbackGroup()
        for qos in _qos.STOPS:
            self.create_subscription(Bool, "emergency_stop", self._on_emergency_stop, qos, callback_group=stop_group)
        waiting_group = ReentrantCallbackGroup()
        self.create_service(
            Trigger, "reset_emergency_stop", self._on_reset_emergency_stop, callback_group=waiting_group
        )
        self._history = self.create_client(GetHistory, "get_history", callback_group=waiting_group)
        self.create_service(Chat, "chat", self._on_chat, callback_group=waiting_group)
        self._converse = ActionServer(
            self,
            Converse,
            "converse",
            self._on_converse,
            cancel_callback=self._on_converse_cancel,
            callback_group=waiting_group,
        )
        self._io = IoLoop(self)
        self._io.submit(self._warm_up())

    def close(self) -> None:
        self._io.close(self._llm.close())
        self._converse.destroy()

    def _on_utterance(self, utterance: Utterance) -> None:
        turn = self._engine.turn(utterance.text, utterance.session_id, TurnBroadcast(self._broadcast))
        self._io.submit(turn).add_done_callback(self._log_refusal)

    def _log_refusal(self, done) -> None:
        if not done.cancelled() and done.exception() is not None:
            self.get_logger().warning(f"utterance not taken: {done.exception()}")

    async def _on_chat(self, request: Chat.Request, response: Chat.Response) -> Chat.Response:
        listener = TurnBroadcast(self._broadcast)
        try:
            record = await self._io.awaitable(
                self._io.submit(self._engine.turn(request.text, request.session_id, listener))
            )
        except SmolFusionError as error:
            response.message = str(error)
            return response
        _fill(response, record, listener)
        response.session_id = record.session_id
        return response

    async def _on_converse(self, goal: ServerGoalHandle) -> Converse.Result:
        result = Converse.Result()
        listener = TurnBroadcast(
            self._broadcast,
            lambda said, delta: goal.publish_feedback(Converse.Feedback(partial=said, delta=delta)),
        )
        turn = self._engine.turn(goal.request.text, goal.request.session_id, listener, turn_id=_turn_id(goal))
        try:
            record = await self._io.awaitable(self._io.submit(turn))
        except SmolFusionError as error:
            result.message = str(error)
            goal.abort()
            return result
        _fill(result, record, listener)
        if goal.is_cancel_requested:
            goal.canceled()
        elif record.interrupted:
            goal.abort()
        else:
            goal.succeed()
        return result

    def _on_converse_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        self._io.submit(self._interrupt(_turn_id(goal)))
        return CancelResponse.ACCEPT

    async def _interrupt(self, turn_id: str) -> None:
        # A coroutine, so that it comes after the turn that was submitted before it.
        self._engine.interrupt(turn_id=turn_id)

    def _on_emergency_stop(self, message: Bool) -> None:
        if message.data:
            self._io.submit(self._engage_emergency_stop())

    async def _engage_emergency_stop(self) -> None:
        stop, now_s = self._engine.set_emergency_stop(True), monotonic()
        if stop is None or now_s - self._pressed_s < ONE_PRESS_S:
            return
        self._pressed_s = now_s
        self._broadcast.command(stop)
        self.get_logger().warning("emergency stop engaged: no commands until reset_emergency_stop is called")

    async def _on_reset_emergency_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = await self._io.awaitable(self._io.submit(self._release_emergency_stop()))
        response.message = "released" if response.success else "the emergency stop is not engaged"
        return response

    async def _release_emergency_stop(self) -> bool:
        engaged = self._engine.policy.emergency_stop
        self._engine.set_emergency_stop(False)
        return engaged

    def _on_action_status(self, status: ActionStatus) -> None:
        self.get_logger().debug(f"command {status.command_id}: state {status.state} {status.detail}")

    def _on_session_cleared(self, session_id: String) -> None:
        self._io.call_soon(self._engine.forget, session_id.data)

    async def _remembered(self, session_id: str) -> Sequence[RememberedTurn]:
        request = GetHistory.Request(session_id=session_id)
        try:
            await self._memory_found()
            answer = await self._io.from_ros(
                lambda: self._history.call_async(request), MEMORY_TIMEOUT_S, self._history.remove_pending_request
            )
        except asyncio.TimeoutError as error:
            raise SmolFusionError(f"memory did not answer within {MEMORY_TIMEOUT_S:g} s") from error
        return [remembered_turn(turn, self._layout) for turn in answer.turns if turn.source == "llm" and turn.said]

    async def _memory_found(self) -> None:
        for _ in range(round(MEMORY_TIMEOUT_S / DISCOVERY_POLL_S)):
            if self._history.service_is_ready():
                return
            await asyncio.sleep(DISCOVERY_POLL_S)
        raise asyncio.TimeoutError

    async def _warm_up(self) -> None:
        while True:
            try:
                await self._engine.warm_up()
            except BackendError as error:
                self.get_logger().info(f"waiting for the language model: {error}", throttle_duration_sec=10.0)
                await asyncio.sleep(WARM_UP_RETRY_S)
            else:
                self.get_logger().info("ready")
                return


def _layout(config: DialogueConfig) -> tuple[PromptLayout, Reflexes]:
    defaults = share_directory() / "config"
    actions_file = Path(config.actions_file or defaults / "actions.yaml")
    catalogue = Catalogue.load(actions_file)
    persona = Persona.load(Path(config.persona_file or defaults / "persona.yaml"), catalogue)
    reflexes = Reflexes.load(actions_file, catalogue, name=persona.name)
    return PromptLayout(persona, catalogue, config.chat_format), reflexes


def _limits(config: DialogueConfig) -> Limits:
    return Limits(
        max_turns=config.max_turns,
        max_history_tokens=config.max_history_tokens,
        max_answer_tokens=config.max_answer_tokens,
        max_waiting=config.max_waiting,
        concurrency=config.concurrency,
        deadline_s=config.deadline_s,
    )


def _turn_id(goal: ServerGoalHandle) -> str:
    return str(uuid.UUID(bytes=bytes(goal.goal_id.uuid.tolist())))


def _fill(answer: Chat.Response | Converse.Result, record: TurnRecord, listener: TurnBroadcast) -> None:
    answer.success = not record.interrupted and not record.error
    answer.message = "interrupted" if record.interrupted else record.error
    answer.reply = record.said
    answer.commands = listener.commands
    answer.rejected = list(record.rejected)
    answer.turn_id = record.id


def main() -> int:
    return run(DialogueNode)


if __name__ == "__main__":
    raise SystemExit(main())
