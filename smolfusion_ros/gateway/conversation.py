"""Routes that talk: ``/chat`` and the sessions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from sse_starlette.event import ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from smolfusion_ros.gateway.bodies import json_of
from smolfusion_ros.gateway.problems import problem_of, problem_responses
from smolfusion_ros.gateway.robot import Piece, Robot
from smolfusion_ros.gateway.schemas import (
    MAX_HISTORY,
    ChatAnswer,
    ChatRequest,
    Cleared,
    History,
    SessionId,
    Sessions,
    example,
)
from smolfusion_ros.gateway.streaming import Streamed, event_stream, events_schema, first_of, last_of, sent, until_gone
from smolfusion_ros.gateway.values import Command

EVENT_STREAM = "text/event-stream"
_STREAMED = """event: delta
data: {"text":"Waving my "}

event: command
data: {"id":"5f0c…","session_id":"anna","name":"wave","arguments":{"hand":"right"}, …}

event: delta
data: {"text":"right hand."}

event: done
data: {"reply":"Waving my right hand.","commands":[…],"turn_id":"1b4e…","source":"llm","interrupted":false, …}
"""
_EVENTS = events_schema("delta", "command", "done", "error")
_CHAT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/ChatRequest"},
                "example": example(ChatRequest),
            }
        },
    }
}
Session = Annotated[SessionId, Path(min_length=1, examples=["anna"])]


def conversation_routes(robot: Robot) -> APIRouter:
    """Routes over one robot."""
    router = APIRouter(tags=["conversation"])

    @router.post(
        "/chat",
        operation_id="chat",
        summary="Say something to the robot",
        response_model=ChatAnswer,
        openapi_extra=_CHAT,
        responses={
            200: {
                "description": "The whole answer, or the answer in pieces",
                "content": {EVENT_STREAM: {"schema": _EVENTS, "example": _STREAMED}},
            },
            **problem_responses(400, 415, 422, 502, 504),
        },
    )
    async def chat(request: Request) -> Any:
        """One turn of a conversation. An unknown session is created; a turn of the session that is still being
        answered is interrupted. With `stream` or `Accept: text/event-stream` the answer comes in the events `delta`,
        `command` and last `done`, or `error` with a problem document. Hanging up ends the generation.
        """
        asked = await json_of(request, ChatRequest)
        pieces = robot.converse(asked.text, asked.session_id)
        if asked.stream or EVENT_STREAM in request.headers.get("accept", ""):
            return Streamed(robot.hub, lambda: _streamed(request, pieces))
        return await until_gone(request, last_of(pieces))

    @router.get(
        "/sessions",
        operation_id="listSessions",
        summary="The conversations that are kept",
        responses=problem_responses(504),
    )
    async def sessions() -> Sessions:
        return Sessions(sessions=tuple(await robot.sessions()))

    @router.get(
        "/sessions/{session_id:path}",
        operation_id="getSession",
        summary="The turns of a conversation, newest last",
        responses=problem_responses(404, 422, 504),
    )
    async def history(session_id: Session, limit: Annotated[int, Query(ge=1, le=MAX_HISTORY)] = 20) -> History:
        return History(session_id=session_id, turns=tuple(await robot.history(session_id, limit)))

    @router.delete(
        "/sessions/{session_id:path}",
        operation_id="forgetSession",
        summary="Forget a conversation",
        responses=problem_responses(404, 422, 504),
    )
    async def forget(session_id: Session) -> Cleared:
        return await robot.clear(session_id)

    return router


@asynccontextmanager
async def _streamed(request: Request, pieces: AsyncGenerator[Piece, None]) -> AsyncIterator[Response]:
    async with aclosing(pieces):
        # What goes wrong before anything was said has a status of its own.
        first = await until_gone(request, first_of(pieces))
        yield event_stream(_events(first, pieces))


async def _events(first: Piece, pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[ServerSentEvent, None]:
    yield _event(first)
    try:
        async for piece in pieces:
            yield _event(piece)
    except Exception as error:  # told in the stream, whose status has long been sent
        yield sent("error", problem_of(error).problem.model_dump_json(exclude_none=True))


def _event(piece: Piece) -> ServerSentEvent:
    name = "done" if isinstance(piece, ChatAnswer) else "command" if isinstance(piece, Command) else "delta"
    return sent(name, piece.model_dump_json())
