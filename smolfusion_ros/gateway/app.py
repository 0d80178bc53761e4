"""Puts the HTTP interface together."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.middleware.cors import CORSMiddleware

from smolfusion_ros.gateway.assets import load_page, page_routes
from smolfusion_ros.gateway.bodies import BodyLimit
from smolfusion_ros.gateway.conversation import conversation_routes
from smolfusion_ros.gateway.guard import Guard
from smolfusion_ros.gateway.measures import Measures
from smolfusion_ros.gateway.outermost import Outermost
from smolfusion_ros.gateway.problems import add_handlers
from smolfusion_ros.gateway.robot import Robot
from smolfusion_ros.gateway.schemas import AnalyzeRequest, ChatRequest, Problem
from smolfusion_ros.gateway.settings import Settings
from smolfusion_ros.gateway.sight import sight_routes
from smolfusion_ros.gateway.state import state_routes

TITLE = "smolfusion_ros gateway"
_DESCRIPTION = (
    "A robot that sees, talks and acts, over HTTP. Errors are problem documents (RFC 9457). Where the gateway has a "
    "token, every request bears it: `Authorization: Bearer <token>`."
)
# Described by hand, since these bodies are not FastAPI's to read.
_MODELS: tuple[type[BaseModel], ...] = (ChatRequest, AnalyzeRequest, Problem)


def make_app(robot: Robot, settings: Settings) -> FastAPI:
    """The interface to one robot.

    Raises:
        ConfigurationError: the web page cannot be read.
    """
    # No interactive description: its scripts would come from elsewhere.
    app = FastAPI(title=TITLE, version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    measures = Measures(robot.hub, robot.health)
    assets = load_page(settings.page)
    for routes in (
        conversation_routes(robot),
        sight_routes(robot),
        state_routes(robot, measures),
        page_routes(assets),
    ):
        app.include_router(routes)
    add_handlers(app)
    # The one added last is asked first.
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(Guard, settings=settings, public=assets.keys())
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    app.add_middleware(Outermost, measures=measures)
    app.openapi = lambda: _description(app, with_token=bool(settings.token))  # type: ignore[method-assign]
    return app


def _description(app: FastAPI, *, with_token: bool) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
        components = schema.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        for model in _MODELS:
            described = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= described.pop("$defs", {}) | {model.__name__: described}
        if with_token:
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            schema["security"] = [{"token": []}]
        app.openapi_schema = schema
    return app.openapi_schema
