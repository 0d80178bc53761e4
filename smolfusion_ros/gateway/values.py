"""What the robot tells, as it goes out in answers and events. Stamps are seconds since 1970 by the robot's clock."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Level = Literal["ok", "warning", "error", "stale"]


class Value(BaseModel):
    """Base of what is sent: cannot be changed, since every reader gets the same one."""

    model_config = ConfigDict(frozen=True)


class Region(Value):
    """A rectangle, pixels of the keyframe; in ``Motion`` of the full frame, which may be larger."""

    x: int
    y: int
    width: int
    height: int


class Person(Value):
    """A person in a scene. ``bearing_rad`` is positive to the robot's left, null where it is not known."""

    position: str
    bearing_rad: float | None
    expression: str
    gesture: str
    clothing: str
    engaged: bool
    confidence: float
    track_id: int | None
    roi: Region | None


class SceneObject(Value):
    """A thing in a scene."""

    label: str
    colour: str
    position: str
    confidence: float
    roi: Region | None


class Scene(Value):
    """What the robot sees. ``summary`` is the vision model's own words, ``compact`` what the language model is told."""

    stamp: float
    summary: str
    compact: str
    persons: tuple[Person, ...]
    objects: tuple[SceneObject, ...]
    source: str
    vlm_latency_s: float

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "stamp": 1764000000.25,
                    "summary": "A person in a red shirt smiles and waves.",
                    "compact": "person left smiling waving red shirt",
                    "persons": [
                        {
                            "position": "left",
                            "bearing_rad": 0.31,
                            "expression": "smiling",
                            "gesture": "waving",
                            "clothing": "red shirt",
                            "engaged": True,
                            "confidence": 0.9,
                            "track_id": 3,
                            "roi": {"x": 120, "y": 80, "width": 60, "height": 60},
                        }
                    ],
                    "objects": [],
                    "source": "vlm",
                    "vlm_latency_s": 0.41,
                }
            ]
        }
    )


class Motion(Value):
    """The motion gate's view of the newest frame."""

    stamp: float
    width: int
    height: int
    score: float
    changed_fraction: float
    active: bool
    camera_moving: bool
    frames_seen: int
    frames_forwarded: int
    roi: Region | None


class Keyframe(Value):
    """A picture has arrived that ``/camera.jpg`` now serves."""

    stamp: float
    size_bytes: int


class Command(Value):
    """A command for the robot's body, as published. ``arguments`` are in SI units and degrees."""

    id: str
    session_id: str
    turn_id: str
    name: str
    arguments: dict[str, Any]
    source: str
    priority: int
    target_track_id: int | None
    target_bearing_rad: float | None
    lifetime_s: float
    stamp: float

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "5f0c6f5e-8f2e-4f7e-9d3b-0d4a2f1f9a10",
                    "session_id": "default",
                    "turn_id": "1b4e28ba-2fa1-41d2-883f-0016d3cca427",
                    "name": "wave",
                    "arguments": {"hand": "right"},
                    "source": "llm",
                    "priority": 100,
                    "target_track_id": None,
                    "target_bearing_rad": None,
                    "lifetime_s": 10.0,
                    "stamp": 1764000001.1,
                }
            ]
        }
    )


class CommandStatus(Value):
    """What became of a command, by the robot's driver."""

    command_id: str
    state: str
    detail: str
    stamp: float


class GivenCommand(Value):
    """A command and the newest that was told of it; null: nothing was since it was given."""

    command: Command
    status: CommandStatus | None = None


class Reply(Value):
    """A piece of an answer that is being written."""

    session_id: str
    turn_id: str
    sequence: int
    delta: str
    clause: str
    is_final: bool
    interrupted: bool


class Utterance(Value):
    """Something a person said to the robot."""

    session_id: str
    text: str
    language: str
    confidence: float | None
    stamp: float


class Turn(Value):
    """One exchange. ``source`` is ``llm``, ``reflex`` or ``canned``; ``error`` says why the model gave no answer."""

    id: str
    session_id: str
    stamp: float
    heard: str
    said: str
    scene: str
    commands: tuple[Command, ...]
    rejected: tuple[str, ...]
    source: str
    interrupted: bool
    error: str
    stages_s: dict[str, float]
    prompt_tokens: int
    evaluated_tokens: int
    answer_tokens: int


class Stage(Value):
    """How long a stage takes, over the monitor's window."""

    name: str
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Process(Value):
    """What a process costs; ``cpu_percent`` of one core."""

    name: str
    pid: int
    cpu_percent: float
    memory_bytes: int
    threads: int
    open_files: int


class Performance(Value):
    """What the stack costs and how fast it is. GPU figures are null where there is none."""

    stamp: float
    stages: tuple[Stage, ...]
    processes: tuple[Process, ...]
    gpu_percent: float | None
    gpu_memory_bytes: int | None
    gate_skipped_fraction: float
    temperatures_c: dict[str, float] = Field(default_factory=dict)
    powers_w: dict[str, float] = Field(default_factory=dict)


class Status(Value):
    """One diagnostic task of a node. ``stale``: not heard of for longer than three seconds."""

    node: str
    task: str
    level: Level
    message: str
    values: dict[str, str] = Field(default_factory=dict)


class Diagnostics(Value):
    """All diagnostic tasks of the robot, as last heard."""

    statuses: tuple[Status, ...]


class EmergencyStop(Value):
    """Whether the emergency stop holds commands back. It is software and no safety-rated stop."""

    engaged: bool
    detail: str = ""

    model_config = ConfigDict(json_schema_extra={"examples": [{"engaged": True, "detail": ""}]})
