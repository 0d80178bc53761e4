"""A robot that does what it is told to, for faults that a real one cannot be told to make; and its gateway, served."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from smolfusion_ros.errors import SessionError
from smolfusion_ros.gateway.app import make_app
from smolfusion_ros.gateway.camera import Camera
from smolfusion_ros.gateway.hub import Hub
from smolfusion_ros.gateway.pictures import Picture
from smolfusion_ros.gateway.robot import Piece
from smolfusion_ros.gateway.schemas import Action, Analysis, ChatAnswer, Cleared, Delta, Health, Session
from smolfusion_ros.gateway.server import Server, listen
from smolfusion_ros.gateway.settings import Settings
from smolfusion_ros.gateway.values import Command, EmergencyStop, Reply, Turn

WAVE = Command(
    id="c1",
    session_id="anna",
    turn_id="t1",
    name="wave",
    arguments={"hand": "right"},
    source="llm",
    priority=100,
    target_track_id=None,
    target_bearing_rad=None,
    lifetime_s=10.0,
    stamp=2.0,
)
ANSWER = ChatAnswer(
    reply="Waving my right hand.",
    commands=(WAVE,),
    rejected=(),
    turn_id="t1",
    session_id="anna",
    source="llm",
    interrupted=False,
)


def turn(number: int, session_id: str = "anna") -> Turn:
    """A turn of a conversation."""
    return Turn(
        id=f"t{number}",
        session_id=session_id,
        stamp=float(number),
        heard=f"heard {number}",
        said=f"said {number}",
        scene="",
        commands=(),
        rejected=(),
        source="llm",
        interrupted=False,
        error="",
        stages_s={"total": 0.5},
        prompt_tokens=10,
        evaluated_tokens=5,
        answer_tokens=4,
    )


def reply(number: int, delta: str = "word ") -> Reply:
    """A piece of an answer."""
    return Reply(
        session_id="anna",
        turn_id="t1",
        sequence=number,
        delta=delta,
        clause="",
        is_final=False,
        interrupted=False,
    )


class ScriptedRobot:
    """A robot of the gateway.

    Attributes:
        script: what an answer comes in; exceptions are raised, numbers waited for (seconds).
        ended: set when an answer was ended, by its last piece or by a client that went away.
        asked: what it was asked, as (name, arguments).
        fault: raised by everything else that it is asked.
    """

    def __init__(self, max_streams: int = 4) -> None:
        self.hub = Hub(max_streams)
        self.camera = Camera()
        self.actions = (
            Action(
                name="nod",
                description="nod the head",
                priority=100,
                motion=False,
                needs_person=False,
                max_scene_age_s=0.0,
                cooldown_s=1.0,
                lifetime_s=10.0,
                arguments=(),
            ),
        )
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was asked, and what it was told to do."""
        said = ("Waving my ", "right hand.")
        self.script: list[Piece | Exception | float] = [Delta(text=said[0]), WAVE, Delta(text=said[1]), ANSWER]
        self.ended = threading.Event()
        self.asked: list[tuple[Any, ...]] = []
        self.fault: Exception | None = None
        self.wellness = Health(status="ok", wrong=(), nodes={"dialogue": "alive"})
        self.kept = {"anna": [turn(1), turn(2), turn(3)]}

    async def converse(self, text: str, session_id: str) -> AsyncGenerator[Piece, None]:
        self.asked.append(("converse", text, session_id))
        try:
            for step in self.script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.ended.set()

    async def analyze(self, question: str, picture: Picture | None) -> Analysis:
        self._ask("analyze", question, picture)
        return Analysis(answer="Two people.", latency_s=0.5, stamp=0.0 if picture else 1.0)

    async def sessions(self) -> list[Session]:
        self._ask("sessions")
        return [Session(session_id=name, turns=len(turns), last_used=3.0) for name, turns in self.kept.items()]

    async def history(self, session_id: str, limit: int) -> list[Turn]:
        self._ask("history", session_id, limit)
        if session_id not in self.kept:
            raise SessionError(f"there is no session {session_id!r}")
        return self.kept[session_id][-limit:]

    async def clear(self, session_id: str) -> Cleared:
        self._ask("clear", session_id)
        if self.kept.pop(session_id, None) is None:
            raise SessionError(f"there is no session {session_id!r}")
        return Cleared(session_id=session_id)

    async def engage_emergency_stop(self) -> EmergencyStop:
        self._ask("engage")
        return EmergencyStop(engaged=True)

    async def reset_emergency_stop(self) -> EmergencyStop:
        self._ask("reset")
        return EmergencyStop(engaged=False, detail="released")

    def health(self) -> Health:
        return self.wellness

    def _ask(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.fault is not None:
            raise self.fault


class Gateway:
    """A served gateway: its robot, its address, and a way to its loop."""

    def __init__(self, robot: ScriptedRobot, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.robot = robot
        self.url = url
        self._loop = loop

    def do(self, work: Callable[[], Any]) -> Any:
        """Run a function on the loop, and wait for it."""

        async def run() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(5.0)


@contextmanager
def served(
    robot: ScriptedRobot | None = None, settings: Settings | None = None, max_connections: int = 64
) -> Iterator[Gateway]:
    """A gateway on a free port, on a loop in a thread of its own, as the node serves it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def begin() -> tuple[ScriptedRobot, Server]:
        ours = robot or ScriptedRobot()
        app = make_app(ours, settings or Settings(requests_per_minute=100000))
        return ours, Server(app, listen("127.0.0.1", 0), max_connections=max_connections)

    ours, server = asyncio.run_coroutine_threadsafe(begin(), loop).result(10.0)
    serving = asyncio.run_coroutine_threadsafe(server.serve(), loop)
    try:
        yield Gateway(ours, server.url, loop)
    finally:
        loop.call_soon_threadsafe(ours.hub.close)
        loop.call_soon_threadsafe(ours.camera.close)
        server.stop()
        serving.result(10.0)
        asyncio.run_coroutine_threadsafe(_end_tasks(), loop).result(5.0)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5.0)
        loop.close()


async def _end_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
