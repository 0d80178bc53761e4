"""Routes that tell how the robot is, and stop it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from smolfusion_ros.gateway.hub import CONVERSATION, SNAPSHOT, STATE
from smolfusion_ros.gateway.measures import CONTENT_TYPE, Measures
from smolfusion_ros.gateway.problems import ProblemError, heard, problem_responses
from smolfusion_ros.gateway.robot import Robot
from smolfusion_ros.gateway.schemas import Actions, Health
from smolfusion_ros.gateway.streaming import events_schema, everything
from smolfusion_ros.gateway.values import EmergencyStop, Performance

_TEXT = {"schema": {"type": "string"}}
_EVENTS = events_schema(SNAPSHOT, *STATE, *CONVERSATION)


def state_routes(robot: Robot, measures: Measures) -> APIRouter:
    """Routes over one robot."""
    router = APIRouter(tags=["state"])

    @router.get("/actions", operation_id="listActions", summary="What the robot can do", responses=problem_responses())
    async def actions() -> Actions:
        return Actions(actions=tuple(robot.actions))

    @router.get(
        "/performance",
        operation_id="getPerformance",
        summary="What everything costs and how fast it is",
        responses=problem_responses(404),
    )
    async def performance() -> Performance:
        return heard(robot.hub.newest("performance", Performance), "report of the monitor")

    @router.get("/health", operation_id="getHealth", summary="Whether all is well", responses=problem_responses())
    async def health() -> Health:
        """200 while every node is heard and no diagnostic task tells of an error; else 503, with what is wrong in
        the problem's `health`.
        """
        found = robot.health()
        if found.status == "error":
            said = "; ".join(f"{each.node}: {each.task}: {each.message}" for each in found.wrong)
            raise ProblemError(503, "unhealthy", said, health=found)
        return found

    @router.get(
        "/metrics",
        operation_id="getMetrics",
        summary="Figures for Prometheus",
        response_class=Response,
        responses={200: {"description": "Text format", "content": {"text/plain": _TEXT}}, **problem_responses()},
    )
    async def metrics() -> Response:
        return Response(measures.text(), headers={"Content-Type": CONTENT_TYPE})

    @router.get(
        "/stream",
        operation_id="watchEverything",
        summary="What happens, as server-sent events",
        response_class=Response,
        responses={
            200: {
                "description": "First `snapshot`, then events",
                "content": {"text/event-stream": {"schema": _EVENTS}},
            },
            **problem_responses(),
        },
    )
    async def stream() -> Any:
        """`snapshot`, then `scene`, `motion` (5 a second at most), `keyframe`, `performance`, `diagnostics`,
        `emergency_stop`, of which a slow reader gets the newest only, and `utterance`, `reply`, `turn`, `command`,
        `status`, of which it gets all: a reader that lets 256 of these wait is closed.
        """
        return everything(robot.hub)

    @router.post(
        "/emergency_stop",
        operation_id="engageEmergencyStop",
        summary="Stop, and hold commands back",
        responses=problem_responses(504),
    )
    async def engage() -> EmergencyStop:
        """Answers when the robot has confirmed it. Not counted against the rate limit. No safety-rated stop."""
        return await robot.engage_emergency_stop()

    @router.post(
        "/emergency_stop/reset",
        operation_id="resetEmergencyStop",
        summary="Let commands pass again",
        responses=problem_responses(504),
    )
    async def reset() -> EmergencyStop:
        return await robot.reset_emergency_stop()

    return router
