"""The dialogue: turns of many sessions, put to one language model one after the other.

A new utterance of a session interrupts the one before it. A reflex needs no model and waits for nobody. Every turn
ends with a record, also when it was interrupted, the deadline passed or the backend is away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from time import monotonic

from smolfusion_ros.dialogue.actions import STATES, STOP, Command
from smolfusion_ros.dialogue.answer import AnswerWriter
from smolfusion_ros.dialogue.draft import CommandStage, Draft
from smolfusion_ros.dialogue.looking import Looks, View, is_fresh
from smolfusion_ros.dialogue.model import LanguageModel
from smolfusion_ros.dialogue.next_prompt import NextPrompt
from smolfusion_ros.dialogue.outcomes import Outcomes
from smolfusion_ros.dialogue.pins import Pins
from smolfusion_ros.dialogue.policy import CommandPolicy, Situation
from smolfusion_ros.dialogue.prefill import Ahead, Budget, Prefill
from smolfusion_ros.dialogue.prompt import PromptLayout, context_line
from smolfusion_ros.dialogue.recall import Conversations, RememberedTurn
from smolfusion_ros.dialogue.reflexes import Reflexes, stop_command
from smolfusion_ros.dialogue.turn import (
    IssuedCommand,
    Limits,
    SceneContext,
    TurnListener,
    TurnRecord,
    checked_session,
    checked_utterance,
    new_id,
)
from smolfusion_ros.errors import (
    BackendError,
    BusyError,
    CommandError,
    InactiveError,
    SessionError,
)

_log = logging.getLogger(__name__)

# How long the tokens of a finished turn may take to be known.
REMEMBER_S = 2.0
# How long deactivating waits for the turns that it interrupts.
DEACTIVATE_S = 2.0


class DialogueEngine:
    """Runs turns; all methods belong to one asyncio loop.

    Args:
        model: the language model's server.
        layout: prompt layout, with persona and catalogue.
        reflexes: utterances that need no model.
        policy: the safety stage; the robot's own, which outlives an engine.
        scene: what is seen now; asked when a turn's prompt is rendered.
        remembered: the newest turns of a session that this engine does not hold (any more); may fail.
        default_session: the session of utterances that name none.

    Attributes:
        active: takes turns; while it does not, the stop reflex and the emergency stop work all the same.
        prefill: evaluates the next prompt while nobody speaks; to be run.
    """

    def __init__(
        self,
        model: LanguageModel,
        layout: PromptLayout,
        *,
        reflexes: Reflexes,
        policy: CommandPolicy,
        scene: Callable[[], SceneContext] = SceneContext,
        remembered: Callable[[str], Awaitable[Sequence[RememberedTurn]]] | None = None,
        limits: Limits | None = None,
        default_session: str = "default",
    ) -> None:
        self.policy = policy
        self._limits = limits or Limits()
        self.active = True
        self._model = model
        self._layout = layout
        self._reflexes = reflexes
        self._view = View(scene)
        self._default_session = checked_session(default_session, default_session)
        self._stop = stop_command(layout.catalogue)
        self._writer = AnswerWriter(model, layout, max_answer_tokens=self.limits.max_answer_tokens)
        self._conversations = Conversations(self._writer, self.limits, remembered)
        self._outcomes = Outcomes(max_sessions=self.limits.max_sessions)
        self._backend = asyncio.Semaphore(self.limits.concurrency)
        self._drafts: dict[str, Draft] = {}  # all turns that are not finished, by id
        self._running: dict[str, Draft] = {}  # the one turn of each session that is under way
        self._looks = Looks(layout.persona.looks)
        self._pins = Pins()
        self._next = NextPrompt(
            model,
            self._writer,
            self._conversations,
            self._pins,
            line=lambda session_id: context_line(self._view.now().line, self._outcomes.news(session_id)),
            idle=lambda: self.active and not self._drafts,
            backend=self._backend,
            session_id=self._default_session,
        )
        budget = Budget(self.limits.prefill_tokens_per_minute, monotonic)
        self.prefill = Prefill(self._next.known, self._next.evaluate, budget)

    @property
    def limits(self) -> Limits:
        """Bounds; those of what is held already stay."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self.prefill.budget = Budget(limits.prefill_tokens_per_minute, monotonic)

    async def turn(
        self, heard: str, session_id: str, listener: TurnListener, *, turn_id: str | None = None
    ) -> TurnRecord:
        """One exchange, from the utterance to its record.

        Cancelling the awaiting task, or ``interrupt``, ends the generation in the backend; the record tells.

        Raises:
            UtteranceError, SessionError: the utterance or the session's name cannot be taken.
            BusyError: too many turns are waiting.
            InactiveError: the dialogue is not active, and this is no stop.
        """
        utterance = checked_utterance(heard, self.limits.max_utterance_characters)
        command = self._reflexes.match(utterance)
        if not self.active and (command is None or command.name != STOP):
            raise InactiveError("the dialogue is not active and takes only a stop: activate it first")
        if command is not None:
            return self._reflex(command, utterance, session_id, turn_id, listener)
        session = checked_session(session_id, self._default_session)
        draft = self._draft(turn_id, session, utterance, listener)
        if len(self._drafts) >= self.limits.max_waiting + self.limits.concurrency:
            raise BusyError(f"{len(self._drafts)} turns are waiting for the language model")
        self._drafts[draft.id] = draft
        self._next.session_id = session
        self._next.give_way()
        try:
            try:
                while (previous := self._running.get(session)) is not None:
                    previous.interrupt()
                    await previous.finished.wait()
                self._running[session] = draft
                await draft.run(self._answer(draft), self.limits.deadline_s)
            except asyncio.CancelledError:  # while it was waiting for the one before it
                draft.interrupted = True
            if draft.error and not draft.said and not draft.interrupted:
                draft.source = "canned"
                draft.speak(self._layout.persona.canned_unavailable)
            record = draft.finish()
            await self._remember(draft)
            return record
        finally:
            del self._drafts[draft.id]
            if self._running.get(session) is draft:
                del self._running[session]
            draft.finished.set()
            self.prefill.wake()

    def _reflex(
        self, command: Command, utterance: str, session_id: str, turn_id: str | None, listener: TurnListener
    ) -> TurnRecord:
        try:
            session = checked_session(session_id, self._default_session)
        except SessionError:
            session = self._default_session  # a stop is a stop, whoever says it
        draft = self._draft(turn_id, session, utterance, listener)
        draft.source = "reflex"
        draft.issue(command, Situation() if command.name == STOP else self._view.now().situation)
        self.interrupt()
        draft.speak(self._reflexes.reply(command))
        return draft.finish()

    def _draft(self, turn_id: str | None, session: str, utterance: str, listener: TurnListener) -> Draft:
        stage = CommandStage(self._layout.catalogue, self.policy, self._outcomes, self.limits.max_commands)
        return Draft(turn_id or new_id(), session, utterance, listener, stage)

    async def warm_up(self) -> None:
        """Have the backend evaluate the constant part of the prompt, unless a turn is using it.

        Raises:
            BackendError: the backend is away.
        """
        if not self._drafts:
            self.prefill.begin_anew()
            self.prefill.holds(await self._next.constant_part())

    def interrupt(self, *, turn_id: str | None = None) -> None:
        """End one turn, or all."""
        for draft in list(self._drafts.values()):
            if turn_id in (None, draft.id):
                draft.interrupt()

    async def cut_short(self, turn_id: str, session_id: str, heard: str) -> None:
        """The robot's voice was interrupted: the turn ends if it is under way, and all that the session's next prompt
        tells of its answer is what was heard of it. An older turn than the newest stays as it is: what follows it in
        the backend's cache would be lost."""
        draft = self._drafts.get(turn_id)
        if draft is not None:
            draft.interrupt()
            await draft.finished.wait()
        conversation = self._conversations.get(session_id or self._default_session)
        if conversation is None or not conversation.turns or conversation.turns[-1].turn_id != turn_id:
            return
        newest = conversation.turns[-1]
        retold = replace(await self._writer.retold(newest, heard), turn_id=turn_id)
        if conversation.turns and conversation.turns[-1] is newest:
            conversation.replace_newest(retold)
            self.prefill.wake()

    def forget(self, session_id: str) -> None:
        """Drop a session and what became of its commands; its next turn starts from what memory holds."""
        self._conversations.drop(session_id)
        self._outcomes.forget(session_id)
        self._pins.forget(session_id)
        self.prefill.wake()

    def on_scene(self) -> None:
        """The scene is another one."""
        self._view.changed()
        self.prefill.wake()

    def activate(self) -> None:
        """Take turns (again)."""
        self.active = True
        self.prefill.wake()

    async def deactivate(self) -> None:
        """Take no more turns, interrupt those under way and wait for their end, at most ``DEACTIVATE_S``."""
        self.active = False
        self.interrupt()
        ends = [draft.finished.wait() for draft in self._drafts.values()]
        try:
            await asyncio.wait_for(asyncio.gather(*ends), DEACTIVATE_S)
        except asyncio.TimeoutError:
            _log.warning("%d turns have not ended within %g s", len(self._drafts), DEACTIVATE_S)

    def on_status(self, command_id: str, state: str, detail: str = "") -> bool:
        """Hear from the robot's driver what became of a command; False where it is none of this engine's newest.

        Its session is told at its next turn. Nothing else follows: whether to try again is for the person to say.

        Raises:
            CommandError: ``state`` is not one of ``actions.STATES``.
        """
        if state not in STATES:
            raise CommandError(f"state {state!r} of command {command_id!r} is not one of {', '.join(STATES)}")
        self.policy.on_status(command_id, state)
        known = self._outcomes.on_status(command_id, state, detail)
        self.prefill.wake()
        return known

    def set_emergency_stop(self, engaged: bool) -> IssuedCommand | None:
        """Engage or release the emergency stop; engaging, also again, ends all turns and gives the stop command."""
        self.policy.emergency_stop = engaged
        if not engaged:
            return None
        self.interrupt()
        issued = IssuedCommand(new_id(), "", self._stop, "reflex")
        self._outcomes.issued(issued.session_id, issued.id, issued.command.name)
        return issued

    async def _answer(self, draft: Draft) -> None:
        # Memory may take its time, and a look too: others must not wait for them.
        await self._conversations.recall(draft.session_id, (await self._model.capabilities()).model_id)
        looks = self._looks.asked_for(draft.heard)
        if looks:
            await self._view.fresh(self.limits.fresh_scene_deadline_s)
            draft.mark("look")
        async with self._backend:
            draft.mark("queue")
            served = await self._model.capabilities()
            conversation = await self._conversations.of(draft.session_id, served.model_id)
            scene, news = self._view.now(), self._outcomes.news(draft.session_id)
            draft.scene = replace(scene, line=context_line(scene.line, news))
            with self._pins.taken(draft.session_id, served.slots) as slot:
                draft.answer = await self._writer.begin(conversation, draft.scene.line, draft.heard, slot)
                draft.mark("prompt")
                try:
                    async with aclosing(self._writer.write(draft.answer, conversation)) as updates:
                        async for update in updates:
                            draft.speak(update.say)
                            for written in update.commands:
                                draft.command(written, self._view.now().situation)
                finally:
                    if draft.answer.reply.say:  # the turn joins the history, and the news with it
                        self._outcomes.told(draft.session_id, news)
                    draft.mark("generation")
            if not draft.answer.reply.complete:
                draft.error = "the answer was cut off"
            elif looks and not is_fresh(scene):
                seconds = round(scene.situation.scene_age_s)
                draft.speak(f" {self._layout.persona.canned_stale_scene.format(seconds=seconds)}".rstrip())

    async def _remember(self, draft: Draft) -> None:
        """Put the turn into the prompt's history, then prune: the person has the answer already."""
        conversation = self._conversations.get(draft.session_id)
        if draft.answer is not None:
            self.prefill.holds(Ahead((*draft.answer.prompt_ids, *draft.answer.written_ids), draft.answer.slot))
        if draft.answer is None or conversation is None or not draft.answer.reply.say:
            return
        try:
            past_turn = self._writer.past_turn(draft.answer, draft.commands)
            conversation.append(replace(await asyncio.wait_for(past_turn, REMEMBER_S), turn_id=draft.id))
        except (BackendError, asyncio.TimeoutError) as error:
            _log.warning("session %s is taken from memory at its next turn: %s", draft.session_id, error)
            self._conversations.drop(draft.session_id)
            return
        dropped = conversation.prune()
        if dropped:
            _log.debug("the oldest %d turns of session %s left the prompt", dropped, draft.session_id)
