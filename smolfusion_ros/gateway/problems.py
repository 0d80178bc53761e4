"""Every error as a problem document (RFC 9457): status, a code for programs, and a sentence for people."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from smolfusion_ros.errors import (
    BackendError,
    BackendUnavailableError,
    BusyError,
    FrameError,
    InactiveError,
    MemoryStoreError,
    SessionError,
    SmolFusionError,
    UtteranceError,
)
from smolfusion_ros.gateway.schemas import FieldError, Health, Problem

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = "1"
MAX_FIELD_ERRORS = 16
_MAX_DETAIL_CHARACTERS = 500
# Most special first.
_OF_ERRORS: tuple[tuple[type[Exception], int, str], ...] = (
    (UtteranceError, 422, "bad_text"),
    (FrameError, 422, "bad_picture"),
    (SessionError, 404, "unknown_session"),
    (BusyError, 503, "busy"),
    (InactiveError, 503, "inactive"),
    (MemoryStoreError, 503, "memory_unavailable"),
    (BackendUnavailableError, 503, "backend_unavailable"),
    (BackendError, 502, "backend_failed"),
    (TimeoutError, 504, "timeout"),
)
_CODES = {404: "not_found", 405: "method_not_allowed"}
MEANINGS = {
    400: "The body is not what its content type says.",
    401: "The token is missing or wrong.",
    403: "The request comes from another web site.",
    404: "There is no such thing.",
    405: "The path does not take this method.",
    408: "The body took too long to arrive.",
    413: "The body, or the picture in it, is too large.",
    415: "The content type is not taken.",
    421: "The Host header is not one of this robot's names.",
    422: "The request does not have the form it should have.",
    429: "Too many requests of this client.",
    500: "A defect of the gateway.",
    502: "A model's server answered nonsense.",
    503: "The robot cannot do this now.",
    504: "The robot did not answer in time.",
}
Heard = TypeVar("Heard")
_logger = logging.getLogger(__name__)


class ProblemError(HTTPException):
    """A problem that is known where it is found; FastAPI lets it pass wherever it is raised."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        health: Health | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.problem = Problem(
            title=HTTPStatus(status).phrase,
            status=status,
            detail=detail[:_MAX_DETAIL_CHARACTERS],
            code=code,
            errors=tuple(errors[:MAX_FIELD_ERRORS]) or None,
            health=health,
        )

    def response(self) -> Response:
        """The document as an answer."""
        content = self.problem.model_dump_json(exclude_none=True)
        return Response(content, self.problem.status, self.headers, MEDIA_TYPE)


def problem_of(error: Exception) -> ProblemError:
    """The problem that an exception is; what nobody foresaw is logged, and told without its insides."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, RequestValidationError):
        return shape_problem(error.errors())
    if isinstance(error, HTTPException):
        code = _CODES.get(error.status_code, "error")
        return ProblemError(error.status_code, code, str(error.detail), headers=dict(error.headers or {}))
    for kind, status, code in _OF_ERRORS:
        if isinstance(error, kind):
            headers = {"Retry-After": RETRY_AFTER_S} if status == 503 else None
            return ProblemError(status, code, str(error) or kind.__name__, headers=headers)
    if not isinstance(error, SmolFusionError):
        _logger.error("a request failed", exc_info=error)
        return ProblemError(500, "internal", f"{type(error).__name__} in the gateway; its log tells more")
    return ProblemError(503, "unavailable", str(error))


def heard(newest: Heard | None, what: str) -> Heard:
    """What has been heard from the robot; 404 where that is nothing yet."""
    if newest is None:
        raise ProblemError(404, "nothing_yet", f"no {what} has been heard yet")
    return newest


def shape_problem(found: Sequence[Any]) -> ProblemError:
    """422 out of pydantic's errors; what was sent is not repeated."""
    errors = [
        FieldError(field=".".join(str(part) for part in each["loc"] if part != "body")[:200], message=each["msg"][:200])
        for each in found
    ]
    first = errors[0]
    detail = f"{first.field}: {first.message}" if first.field else first.message
    return ProblemError(422, "bad_request", detail, errors=errors)


def add_handlers(app: FastAPI) -> None:
    """Let an app answer all its errors with problem documents."""

    async def handle(_request: Request, error: Exception) -> Response:
        return problem_of(error).response()

    for kind in (HTTPException, RequestValidationError, SmolFusionError, TimeoutError):
        app.add_exception_handler(kind, handle)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The description of an operation's errors: the given ones, and those that any request may get."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": MEANINGS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({*statuses, 401, 403, 408, 413, 421, 429, 500, 503})
    }
