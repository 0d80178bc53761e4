"""Utterances in; a streamed reply, robot commands and the record of the turn out."""

from __future__ import annotations

import asyncio
import concurrent.futures
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from std_msgs.msg import String

from smolfusion_ros.action import Converse
from smolfusion_ros.bringup.paths import share_directory
from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.engine import DialogueEngine
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.dialogue.policy import CommandPolicy
from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.dialogue.recall import RememberedTurn
from smolfusion_ros.dialogue.reflexes import Reflexes
from smolfusion_ros.dialogue.turn import Limits, TurnRecord
from smolfusion_ros.errors import BackendError, InactiveError, SmolFusionError
from smolfusion_ros.llama.client import LlamaClient
from smolfusion_ros.msg import ActionStatus, MotionState, Scene, Speaking, Utterance
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._asyncio import IoLoop
from smolfusion_ros.nodes._backend import Backend
from smolfusion_ros.nodes._broadcast import Broadcast, TurnBroadcast
from smolfusion_ros.nodes._diagnostics import Diagnostics
from smolfusion_ros.nodes._emergency_stop import EmergencyStop
from smolfusion_ros.nodes._files import state_file
from smolfusion_ros.nodes._history import History
from smolfusion_ros.nodes._lifecycle import ManagedNode
from smolfusion_ros.nodes._log import Repeats
from smolfusion_ros.nodes._messages import refusal_of, status_word
from smolfusion_ros.nodes._parameters import Parameters, parameter
from smolfusion_ros.nodes._run import run
from smolfusion_ros.nodes._sight import Sight
from smolfusion_ros.secret import read_secret
from smolfusion_ros.srv import Chat

WARM_UP_RETRY_S = 1.0
# How long the end of the process waits for running turns to end.
END_TURNS_S = 2.0


@dataclass(frozen=True)
class DialogueConfig:
    """Parameters of the node."""

    llm_url: str = parameter("http://127.0.0.1:8080", "Base URL of the language model's server", read_only=True)
    llm_model: str = parameter("default", "Model name sent to that server", read_only=True)
    llm_key_file: str = parameter(
        "", "File with the API key that a remote engine wants; empty: LLM_API_KEY, or none", read_only=True
    )
    llm_timeout_s: float = parameter(
        20.0, "Longest silence of that server, seconds", minimum=0.5, maximum=600.0, read_only=True
    )
    chat_format: str = parameter("chatml", "chatml, or chatml-no-think for models that think", read_only=True)
    prompt_examples: bool = parameter(
        True, "Show the model the persona's example turns; one that was taught the actions needs none", read_only=True
    )
    actions_file: str = parameter("", "Action catalogue; empty: the package's config/actions.yaml", read_only=True)
    persona_file: str = parameter("", "Persona; empty: the package's config/persona.yaml", read_only=True)
    default_session: str = parameter("default", "Session of utterances that name none", read_only=True)
    max_turns: int = parameter(20, "Turns kept in the prompt", minimum=2, maximum=1000, read_only=True)
    max_history_tokens: int = parameter(
        2048, "Tokens of turns kept in the prompt", minimum=64, maximum=1000000, read_only=True
    )
    max_answer_tokens: int = parameter(160, "Tokens of one answer", minimum=16, maximum=4096, read_only=True)
    max_waiting: int = parameter(8, "Turns that may wait for the model", minimum=0, maximum=1000)
    max_commands: int = parameter(8, "Commands of one answer; what is more is rejected", minimum=1, maximum=64)
    fresh_scene_deadline_s: float = parameter(
        1.0,
        "A question about what is seen (`looks` of the persona) waits so long for a scene of now, seconds",
        minimum=0.0,
        maximum=30.0,
    )
    prefill_tokens_per_minute: int = parameter(
        1200,
        "Tokens that may be evaluated a minute before anybody speaks, so that an answer begins sooner; 0: none",
        minimum=0,
        maximum=1000000,
    )
    floor_max_s: float = parameter(
        60.0,
        "A moving session that the robot's driver says no more of loses the floor after this time, seconds",
        minimum=1.0,
        maximum=600.0,
    )
    concurrency: int = parameter(1, "Turns the backend works on at once", minimum=1, maximum=64, read_only=True)
    deadline_s: float = parameter(
        30.0, "A turn that takes longer ends with what it has, seconds", minimum=0.5, maximum=600.0
    )


class DialogueNode(ManagedNode):
    """Serves ``chat``, ``converse`` and ``reset_emergency_stop``; hears ``utterance`` and ``emergency_stop``."""

    def __init__(self) -> None:
        super().__init__("dialogue")
        self._config = Parameters(self, DialogueConfig(), on_change=self._reconfigure)
        self._repeats = Repeats(self.get_logger())
        self._policy = CommandPolicy(monotonic, floor_max_s=self._config.value.floor_max_s)
        self._sight = Sight(lambda: self.get_clock().now().nanoseconds)
        self._broadcast = Broadcast(self, lambda: self._sight.scene)
        self._backend: Backend | None = None
        self._engine: DialogueEngine | None = None
        self._ending: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ending.set_result(None)
        self.create_subscription(Scene, "scene", self._on_scene, _qos.LATCHED)
        self.create_subscription(MotionState, "motion", self._sight.on_motion, _qos.SENSOR)
        self.create_subscription(ActionStatus, "action_status", self._on_action_status, _qos.COMMAND)
        self.create_subscription(String, "session_cleared", self._on_session_cleared, _qos.UTTERANCE)
        self.create_subscription(Utterance, "utterance", self._on_utterance, _qos.UTTERANCE)
        self.create_subscription(Speaking, "speaking", self._on_speaking, _qos.TURN)
        waiting_group = ReentrantCallbackGroup()
        self.create_service(Chat, "chat", self._on_chat, qos_profile=_qos.REQUESTS, callback_group=waiting_group)
        self._converse = ActionServer(
            self,
            Converse,
            "converse",
            self._on_converse,
            cancel_callback=self._on_converse_cancel,
            callback_group=waiting_group,
            goal_service_qos_profile=_qos.REQUESTS,
            result_service_qos_profile=_qos.REQUESTS,
            cancel_service_qos_profile=_qos.REQUESTS,
        )
        self._diagnostics = Diagnostics(self)
        self._io = IoLoop(self)
        self._emergency_stop = EmergencyStop(
            self,
            self._io,
            self._diagnostics,
            self._policy,
            lambda: self._engine,
            self._broadcast,
            state_file(self, "emergency_stop"),
            waiting_group,
        )
        self._history = History(self, self._io, waiting_group)

    def configure(self) -> None:
        config: DialogueConfig = self._config.value
        layout, reflexes = _layout(config)
        key = read_secret("llm_key_file", config.llm_key_file, "LLM_API_KEY")
        client = LlamaClient(config.llm_url, model=config.llm_model, timeout_s=config.llm_timeout_s, key=key)

        async def remembered(session_id: str) -> Sequence[RememberedTurn]:
            return await self._history.of(session_id, layout)

        self._engine = DialogueEngine(
            client,
            layout,
            reflexes=reflexes,
            policy=self._policy,
            scene=self._sight.context,
            remembered=remembered,
            limits=_limits(config),
            default_session=config.default_session,
        )
        self._engine.active = False
        self._backend = Backend(
            self, self._io, self._diagnostics, "llm backend", "the language model", client, self._warm_up
        )

    def activate(self) -> None:
        self._io.call_soon(self._engine.activate)  # after a deactivation that is still under way
        self._backend.begin()

    def deactivate(self) -> None:
        self._backend.rest()
        self._ending = self._io.submit(self._engine.deactivate())

    def cleanup(self) -> None:
        self._ending = self._backend.close(self._engine.deactivate())
        self._backend = self._engine = None

    def close(self) -> None:
        self._io.spin_until(self._ending.done, END_TURNS_S)
        self._io.close()
        self._emergency_stop.close()
        self._converse.destroy()

    def _reconfigure(self, config: DialogueConfig) -> None:
        self._policy.hold_floor_for(config.floor_max_s)
        if self._engine is not None:
            self._io.call_soon(setattr, self._engine, "limits", _limits(config))

    def _on_scene(self, scene: Scene) -> None:
        self._sight.on_scene(scene)
        if self._engine is not None:
            self._io.call_soon(self._engine.on_scene)

    async def _turn(self, heard: str, session_id: str, listener: TurnBroadcast, turn_id: str = "") -> TurnRecord:
        if self._engine is None:
            raise InactiveError("dialogue is not configured")
        return await self._engine.turn(heard, session_id, listener, turn_id=turn_id or None)

    def _on_utterance(self, utterance: Utterance) -> None:
        turn = self._turn(utterance.text, utterance.session_id, TurnBroadcast(self._broadcast))
        self._io.submit(turn).add_done_callback(self._log_refusal)

    def _on_speaking(self, speaking: Speaking) -> None:
        if speaking.interrupted:
            self._io.submit(self._cut_short(speaking))

    async def _cut_short(self, speaking: Speaking) -> None:
        if self._engine is not None:
            try:
                await self._engine.cut_short(speaking.turn_id, speaking.session_id, speaking.spoken)
            except BackendError as error:
                self.get_logger().info(f"the history keeps the whole of an answer that was cut short: {error}")

    def _log_refusal(self, done) -> None:
        if not done.cancelled() and done.exception() is not None:
            self._repeats.warning(f"utterance not taken: {done.exception()}")

    async def _on_chat(self, request: Chat.Request, response: Chat.Response) -> Chat.Response:
        listener = TurnBroadcast(self._broadcast)
        try:
            record = await self._io.awaitable(self._io.submit(self._turn(request.text, request.session_id, listener)))
        except SmolFusionError as error:
            response.message, response.refusal = str(error), refusal_of(error)
            return response
        except Exception as error:  # logged where it was raised; it must not end the node
            response.message, response.refusal = f"{type(error).__name__}: {error}", refusal_of(error)
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
        turn = self._turn(goal.request.text, goal.request.session_id, listener, _turn_id(goal))
        try:
            record = await self._io.awaitable(self._io.submit(turn))
        except SmolFusionError as error:
            result.message, result.refusal = str(error), refusal_of(error)
            goal.abort()
            return result
        _fill(result, record, listener)
        if not record.interrupted:
            goal.succeed()  # a cancel that comes after the last word cancels nothing
        elif goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.abort()
        return result

    def _on_converse_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        self._io.submit(self._interrupt(_turn_id(goal)))
        return CancelResponse.ACCEPT

    async def _interrupt(self, turn_id: str) -> None:
        # A coroutine, so that it comes after the turn that was submitted before it.
        if self._engine is not None:
            self._engine.interrupt(turn_id=turn_id)

    def _on_action_status(self, status: ActionStatus) -> None:
        state = status_word(status)
        if not state:
            self._repeats.warning(f"action_status of {status.command_id}: there is no state {status.state}")
            return
        self._io.submit(self._take_status(status.command_id, state, status.detail))

    async def _take_status(self, command_id: str, state: str, detail: str) -> None:
        if self._engine is None:
            self._policy.on_status(command_id, state)
        elif not self._engine.on_status(command_id, state, detail):
            self.get_logger().debug(f"status {state} of a command that is not known: {command_id}")

    def _on_session_cleared(self, session_id: String) -> None:
        if self._engine is not None:
            self._io.call_soon(self._engine.forget, session_id.data)

    async def _warm_up(self) -> None:
        engine, backend = self._engine, self._backend
        while engine is not None and backend is not None and backend.is_up:
            try:
                await engine.warm_up()
            except BackendError as error:
                self.get_logger().info(f"the language model is not warm yet: {error}")
                await asyncio.sleep(WARM_UP_RETRY_S)
            else:
                self.get_logger().info("ready")
                await engine.prefill.run()


def _layout(config: DialogueConfig) -> tuple[PromptLayout, Reflexes]:
    defaults = share_directory() / "config"
    actions_file = Path(config.actions_file or defaults / "actions.yaml")
    catalogue = Catalogue.load(actions_file)
    persona = Persona.load(Path(config.persona_file or defaults / "persona.yaml"), catalogue)
    reflexes = Reflexes.load(actions_file, catalogue, name=persona.name)
    if not config.prompt_examples:
        persona = persona.without_examples()
    return PromptLayout(persona, catalogue, config.chat_format), reflexes


def _limits(config: DialogueConfig) -> Limits:
    return Limits(
        max_turns=config.max_turns,
        max_history_tokens=config.max_history_tokens,
        max_answer_tokens=config.max_answer_tokens,
        max_commands=config.max_commands,
        max_waiting=config.max_waiting,
        concurrency=config.concurrency,
        deadline_s=config.deadline_s,
        fresh_scene_deadline_s=config.fresh_scene_deadline_s,
        prefill_tokens_per_minute=config.prefill_tokens_per_minute,
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
