"""Routes that show: the scene, the camera's pictures, and questions about them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from smolfusion_ros.gateway.bodies import content_type, form_of, json_of
from smolfusion_ros.gateway.pictures import Picture, checked_picture
from smolfusion_ros.gateway.problems import ProblemError, heard, problem_responses
from smolfusion_ros.gateway.robot import Robot
from smolfusion_ros.gateway.schemas import MAX_QUESTION_CHARACTERS, Analysis, AnalyzeRequest, example
from smolfusion_ros.gateway.streaming import BOUNDARY, motion_jpeg, until_gone
from smolfusion_ros.gateway.values import Scene

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "properties": {
            "image": {"type": "string", "format": "binary", "description": "JPEG or PNG, at most 25 megapixels"},
            "question": {"type": "string", "maxLength": MAX_QUESTION_CHARACTERS},
        },
        "additionalProperties": False,
    }
}
_ANALYZE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": _FORM,
            "application/json": {
                "schema": {"$ref": "#/components/schemas/AnalyzeRequest"},
                "example": example(AnalyzeRequest),
            },
        },
    }
}


def sight_routes(robot: Robot) -> APIRouter:
    """Routes over one robot."""
    router = APIRouter(tags=["sight"])

    @router.post(
        "/analyze",
        operation_id="analyze",
        summary="Ask about a picture, or about what the camera sees",
        response_model=Analysis,
        openapi_extra=_ANALYZE,
        responses=problem_responses(400, 415, 422, 502, 504),
    )
    async def analyze(request: Request) -> Any:
        """The vision model's own words. A picture comes in the form's part `image`; without one the camera's newest
        keyframe is asked about. Pictures are never fetched from an address. An answer never issues a command.
        """
        kind, _ = content_type(request)
        if kind == "multipart/form-data":
            question, picture = await _from_form(request)
        else:
            question, picture = (await json_of(request, AnalyzeRequest)).question, None
        return await until_gone(request, robot.analyze(question.strip(), picture))

    @router.get("/scene", operation_id="getScene", summary="What the robot sees", responses=problem_responses(404))
    async def scene() -> Scene:
        return heard(robot.hub.newest("scene", Scene), "scene")

    @router.get(
        "/camera.jpg",
        operation_id="getPicture",
        summary="The camera's newest keyframe",
        response_class=Response,
        responses={
            200: {"description": "The picture; its age in `X-Timestamp`", "content": {"image/jpeg": _BINARY}},
            304: {"description": "Still the picture of `If-None-Match`"},
            **problem_responses(404),
        },
    )
    async def picture(request: Request) -> Response:
        frame = heard(robot.camera.newest, "keyframe")
        headers = {"ETag": frame.etag, "X-Timestamp": f"{frame.stamp:.6f}", "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == frame.etag:
            return Response(status_code=304, headers=headers)
        return Response(frame.data, media_type=frame.media_type, headers=headers)

    @router.get(
        "/camera.mjpg",
        operation_id="watchCamera",
        summary="The camera's keyframes as they come",
        response_class=Response,
        responses={
            200: {
                "description": "JPEG after JPEG; the newest one only",
                "content": {f"multipart/x-mixed-replace; boundary={BOUNDARY}": _BINARY},
            },
            **problem_responses(),
        },
    )
    async def video() -> Response:
        return motion_jpeg(robot.hub, robot.camera)

    return router


async def _from_form(request: Request) -> tuple[str, Picture | None]:
    parts = await form_of(request)
    image = parts.pop("image", b"")
    try:
        question = parts.pop("question", b"").decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProblemError(422, "bad_request", "question: is not UTF-8") from error
    if parts:
        raise ProblemError(422, "bad_request", f"{min(parts)[:80]}: is not known; there are image and question")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise ProblemError(422, "bad_request", f"question: has more than {MAX_QUESTION_CHARACTERS} characters")
    return question, checked_picture(image) if image else None
