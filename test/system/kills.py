"""SIGKILL to each process of a running stack while somebody talks to it: how long it is missed, and what it costs.

A process is back when a person notices nothing any more: the model begins to answer in the chat, a question about the
picture is answered, scenes and motion come, the history is told, performance is reported.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from smolfusion_ros.msg import ActionCommand
from smolfusion_ros.srv import Analyze, Chat, GetHistory

from system.probe import Heard, until
from system.runner import PROCESSES, Runner

STOP = "stop"
# What is said in turn, and the command that it asks for.
SAID: tuple[tuple[str, tuple[str, Mapping[str, Any]] | None], ...] = (
    ("please wave back with your right hand", ("wave", {"hand": "right"})),
    ("how are you today?", None),
    (STOP, ("stop", {})),
    ("hello there", None),
    ("nod please", ("nod", {})),
    ("thank you very much", None),
)
PAUSE_S = 0.3
# Longer than any answer takes: what is not answered by then was lost with the process.
ANSWER_S = 20.0
RESPAWN_S = 10.0
BACK_S = 60.0
CALL_S = 0.5
POLL_S = 0.01


# Bounds that drop no turn of a visit.
PARAMETERS = """/**/memory:
  ros__parameters: {max_turns: 10000, max_tokens: 1000000, max_sessions: 100000}
"""


@dataclass(frozen=True)
class Said:
    """One utterance and its answer, None where there is none. Times are of the clock of the stamps, nanoseconds."""

    text: str
    asked_for: tuple[str, Mapping[str, Any]] | None
    session_id: str
    begun_ns: int
    ended_ns: int
    answer: Any

    @property
    def acknowledged(self) -> bool:
        return self.answer is not None and self.answer.success


@dataclass(frozen=True)
class Recovery:
    """What one SIGKILL cost: seconds until another process was there, and from then on until all was as before.

    Attributes:
        harmed: processes whose pid changed although they were not killed.
    """

    respawn_s: float
    back_s: float
    harmed: tuple[str, ...] = ()


class Visitor:
    """Says one thing after the other to the dialogue, in a thread, and keeps what was answered.

    What was not answered by the model is said again, as a person does.

    Attributes:
        session_id: conversation of what is said from now on.
    """

    def __init__(self, runner: Runner) -> None:
        self.session_id = "before"
        self._probe = runner.probe
        self._chat = runner.probe.node.create_client(Chat, "chat")
        self._said: list[Said] = []
        self._gone: set[bytes] = set()
        self._lost, self._over = threading.Event(), threading.Event()
        self._waits_since_s: float | None = None
        self._thread = threading.Thread(target=self._talk, name="visitor", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(ANSWER_S + PAUSE_S)

    def said(self) -> list[Said]:
        return list(self._said)

    def is_waiting_for(self, seconds: float) -> bool:
        """An answer is under way for so long."""
        since_s = self._waits_since_s
        return since_s is not None and time.monotonic() - since_s >= seconds

    def lose(self) -> None:
        """The dialogue was killed: wait for no answer of its, and speak to another."""
        self._gone |= self._servers()
        self._lost.set()

    def _servers(self) -> set[bytes]:
        """Readers of chat requests; one that was killed stays among them until its lease is over."""
        topic = f"rq{self._probe.node.get_namespace()}/chatRequest"
        found = self._probe.node.get_subscriptions_info_by_topic(topic, no_mangle=True)
        return {bytes(each.endpoint_gid) for each in found}

    def _talk(self) -> None:
        utterances = itertools.cycle(SAID)
        text, asked_for = next(utterances)
        while not self._over.wait(PAUSE_S):
            while not self._servers() - self._gone:
                if self._over.wait(POLL_S):
                    return
            self._lost.clear()
            self._said.append(self._say(text, asked_for))
            if self._said[-1].acknowledged:
                text, asked_for = next(utterances)

    def _say(self, text: str, asked_for: tuple[str, Mapping[str, Any]] | None) -> Said:
        session_id, begun_ns = self.session_id, time.time_ns()
        if asked_for is not None and text != STOP:
            # The small model repeats a command that stands in its history.
            session_id += f", {len(self._said)}"
        self._waits_since_s = time.monotonic()
        future = self._chat.call_async(Chat.Request(text=text, session_id=session_id))
        while not (future.done() or self._lost.is_set() or self.is_waiting_for(ANSWER_S)):
            time.sleep(POLL_S)
        self._waits_since_s = None
        if not future.done():
            self._chat.remove_pending_request(future)
        answer = future.result() if future.done() else None
        return Said(text, asked_for, session_id, begun_ns, time.time_ns(), answer)


def start(directory: Path) -> Runner:
    """A stack with a memory that forgets nothing, ready to be visited."""
    file = directory / "parameters.yaml"
    file.write_text(PARAMETERS, encoding="utf-8")
    return Runner(directory / "stack", "--params-file", str(file))


class Visit:
    """A stack that is visited: kills its processes, and tells what went wrong over all of them.

    Attributes:
        recoveries: of each process, by name, in order.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.recoveries: dict[str, list[Recovery]] = {}
        self.visitor = Visitor(runner)
        self._commands, self._replies = runner.probe.heard("action_command"), runner.probe.heard("reply")
        self._called_s: list[float] = []
        self._rounds = itertools.count(1)
        # When all was well, by process; on the clock of ``perf_counter``.
        self._signs_s: dict[str, Callable[[], list[float]]] = {
            "llm_backend": self._begun_answers_s,
            "vlm_backend": self._answered_questions_s,
            "video_source": lambda: _heard_s(runner.probe.heard("motion")),
            "motion_gate": lambda: _heard_s(runner.probe.heard("motion")),
            "perception": lambda: _heard_s(runner.probe.heard("scene"), lambda scene: scene.source == "vlm"),
            "dialogue": self._begun_answers_s,
            "memory": self._told_histories_s,
            "monitor": lambda: _heard_s(runner.probe.heard("performance")),
            "gateway": lambda: _heard_s(runner.probe.heard("/diagnostics"), _tells_of_the_gateway),
        }
        until(lambda: all(signs_s() for signs_s in self._signs_s.values()), "a stack at work", BACK_S)

    def kill_each(self, names: Sequence[str] = PROCESSES) -> None:
        """SIGKILL to every process in turn, each in the middle of an answer, when the one before is back."""
        number = next(self._rounds)
        for name in names:
            self.visitor.session_id = f"{number}: {name}"
            known = len(self.visitor.said())
            until(lambda known=known: len(self.visitor.said()) > known + 1, "an answer in this session", BACK_S)
            until(lambda: self.visitor.is_waiting_for(0.2), "an answer under way", BACK_S, POLL_S)
            self.recoveries.setdefault(name, []).append(self._kill(name))

    def lost_turns(self) -> list[str]:
        """Acknowledged turns that are not where they belong in their session's history."""
        sessions: dict[str, list[str]] = {}
        for said in self.visitor.said():
            if said.acknowledged:
                sessions.setdefault(said.answer.session_id, []).append(said.answer.turn_id)
        lost = []
        for session_id, acknowledged in sessions.items():
            kept = [turn.id for turn in self.runner.probe.history(session_id, len(acknowledged), tries=3)]
            if [turn_id for turn_id in kept if turn_id in acknowledged] != acknowledged:
                lost.append(f"session {session_id!r}: acknowledged {acknowledged}, kept {kept}")
        return lost

    def wrong_commands(self) -> list[str]:
        """Commands that came twice, or that nobody had asked for at that moment."""
        wrong, seen, answered = [], set(), set()
        for command in self._commands.messages():
            causes = [said for said in self.visitor.said() if _is_asked_for(command, said)]
            if command.id in seen:
                wrong.append(f"twice: {command}")
            elif not causes or causes[0].begun_ns in answered:
                wrong.append(f"not asked for: {command}")
            seen.add(command.id)
            answered |= {said.begun_ns for said in causes[:1]}
        return wrong

    def commands(self) -> list[str]:
        """Names of the commands that came."""
        return [command.name for command in self._commands.messages()]

    def _kill(self, name: str) -> Recovery:
        before, signs_s = self.runner.pids(), self._signs_s[name]
        killed_s = time.perf_counter()
        os.kill(before[name], signal.SIGKILL)
        if name == "dialogue":
            self.visitor.lose()
        others = set(before.values())
        until(lambda: {each.pid for each in self.runner.children()} - others, f"another {name}", RESPAWN_S, POLL_S)
        there_s = time.perf_counter()
        until(lambda: any(at_s > there_s for at_s in signs_s()), f"{name} is back", BACK_S, POLL_S)
        back_s = min(at_s for at_s in signs_s() if at_s > there_s) - there_s
        after = self.runner.pids()
        harmed = tuple(other for other, pid in before.items() if other != name and after.get(other) != pid)
        return Recovery(there_s - killed_s, back_s, harmed)

    def _begun_answers_s(self) -> list[float]:
        """First words of the answers that the model gave."""
        begun_s: dict[str, float] = {}
        for arrival in self._replies.arrivals():
            begun_s.setdefault(arrival.message.turn_id, arrival.at_s)
        answers = [said for said in self.visitor.said() if said.acknowledged and said.text != STOP]
        return [begun_s[said.answer.turn_id] for said in answers if said.answer.turn_id in begun_s]

    def _told_histories_s(self) -> list[float]:
        return self._called(GetHistory, "get_history", session_id=self.visitor.session_id)

    def _answered_questions_s(self) -> list[float]:
        return self._called(Analyze, "analyze")

    def _called(self, kind: type, name: str, **fields: str) -> list[float]:
        """Call a service, which may be away, once; when such calls were answered well."""
        with suppress(TimeoutError):
            if self.runner.probe.call(kind, name, timeout_s=CALL_S, **fields).success:
                self._called_s.append(time.perf_counter())
        return self._called_s


def _heard_s(heard: Heard, wanted: Callable[[Any], object] = lambda _: True) -> list[float]:
    return [arrival.at_s for arrival in heard.arrivals() if wanted(arrival.message)]


def _tells_of_the_gateway(array: DiagnosticArray) -> bool:
    return any(status.name.endswith("/gateway: http") for status in array.status)


def _is_asked_for(command: ActionCommand, said: Said) -> bool:
    """The command is what this utterance asked for, and was issued while it was being answered."""
    issued_ns = command.header.stamp.sec * 1_000_000_000 + command.header.stamp.nanosec
    return (
        command.session_id == said.session_id
        and said.begun_ns <= issued_ns <= said.ended_ns
        and said.asked_for == (command.name, json.loads(command.arguments_json))
    )
