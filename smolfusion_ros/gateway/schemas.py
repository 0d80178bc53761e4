"""Requests and answers of the HTTP interface, with examples for its description."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from smolfusion_ros.gateway.values import Command, Status, Turn, Value

# As the dialogue and perception bound them, so that a request is refused before it reaches the robot.
MAX_TEXT_CHARACTERS = 1000
MAX_QUESTION_CHARACTERS = 1000
MAX_SESSION_ID_CHARACTERS = 64
MAX_HISTORY = 1000


def _with_words(text: str) -> str:
    if not any(char.isprintable() and not char.isspace() for char in text):
        raise ValueError("holds no words")
    return text


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("holds characters that do not print")
    return name


Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS), AfterValidator(_with_words)]
SessionId = Annotated[
    str,
    Field(max_length=MAX_SESSION_ID_CHARACTERS, description="Any printable characters"),
    AfterValidator(_printable),
]
Question = Annotated[str, Field(max_length=MAX_QUESTION_CHARACTERS)]


class _Request(BaseModel):
    """What is not known is refused: a misspelt field would be passed over in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ChatRequest(_Request):
    """Something to say to the robot."""

    text: Text
    session_id: SessionId = Field("", description="The conversation; empty: the default one")
    stream: bool = Field(False, description="Answer with server-sent events, as `Accept: text/event-stream` does")

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"text": "please wave with your right hand", "session_id": "anna"}]},
    )


class AnalyzeRequest(_Request):
    """A question about what the camera sees now."""

    question: Question = Field("", description="Empty: `Describe the scene.`")

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"question": "How many people are there?"}]}
    )


class ChatAnswer(Value):
    """A whole turn. ``reply`` is what was said, also where it was cut short (``interrupted``) or ``canned``."""

    reply: str
    commands: tuple[Command, ...]
    rejected: tuple[str, ...] = Field(description="`<command>: <reason>` for what was not given to the robot")
    turn_id: str
    session_id: str
    source: str = Field(description="`llm`, `reflex`, or `canned` where the model is away")
    interrupted: bool
    error: str = Field("", description="Why the model gave no answer; empty: it did")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reply": "Waving my right hand.",
                    "commands": [Command.model_config["json_schema_extra"]["examples"][0]],  # type: ignore[index]
                    "rejected": [],
                    "turn_id": "1b4e28ba-2fa1-41d2-883f-0016d3cca427",
                    "session_id": "anna",
                    "source": "llm",
                    "interrupted": False,
                    "error": "",
                }
            ]
        }
    )


class Delta(Value):
    """The next piece of an answer's text."""

    text: str


class Analysis(Value):
    """What the vision model answered; ``stamp`` is the picture's, 0 for one that was sent."""

    answer: str
    latency_s: float
    stamp: float

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"answer": "Two people.", "latency_s": 0.52, "stamp": 1764000000.25}]}
    )


class Session(Value):
    """A conversation that is kept."""

    session_id: str
    turns: int
    last_used: float

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"session_id": "anna", "turns": 4, "last_used": 1764000001.1}]}
    )


class Sessions(Value):
    """All conversations that are kept, most recent first."""

    sessions: tuple[Session, ...]


class History(Value):
    """The turns of a conversation, newest last."""

    session_id: str
    turns: tuple[Turn, ...]


class Cleared(Value):
    """A conversation was forgotten; ``detail`` says if something is still to be done about it."""

    session_id: str
    detail: str = ""


class ActionArgument(Value):
    """One argument of an action. ``range`` is in ``unit``, inclusive."""

    name: str
    kind: Literal["choice", "target", "noun", "quantity"]
    optional: bool
    values: tuple[str, ...] = ()
    unit: str = ""
    range: tuple[float, float] | None = None


class Action(Value):
    """Something that the robot can be told to do. ``motion``: one session at a time may."""

    name: str
    description: str
    priority: int
    motion: bool
    needs_person: bool
    max_scene_age_s: float
    cooldown_s: float
    lifetime_s: float
    arguments: tuple[ActionArgument, ...]


class Actions(Value):
    """The catalogue."""

    actions: tuple[Action, ...]


class Health(Value):
    """How the robot fares: ``warning`` where a task warns; an error is answered with 503 and the same list."""

    status: Literal["ok", "warning", "error"]
    wrong: tuple[Status, ...] = Field(description="Tasks that are not well, the worst first")
    nodes: dict[str, Literal["alive", "silent", "unknown"]] = Field(description="By name; unknown: never heard of")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"status": "ok", "wrong": [], "nodes": {"dialogue": "alive", "perception": "alive"}}]
        }
    )


class FieldError(Value):
    """What is wrong with one field of a request."""

    field: str
    message: str


class Problem(Value):
    """A problem document (RFC 9457, application/problem+json). ``code`` is for programs, ``detail`` for people."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[FieldError, ...] | None = None
    health: Health | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "there is no session 'anna'",
                    "code": "unknown_session",
                }
            ]
        }
    )


def example(model: type[BaseModel]) -> Any:
    """The first example of a model."""
    extra = model.model_config.get("json_schema_extra")
    return extra["examples"][0] if isinstance(extra, dict) else None  # type: ignore[index]
