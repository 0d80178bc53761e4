"""What a robot tells the gateway on an ordinary day, for pages that show it."""

from __future__ import annotations

import io
import time
from typing import Any

from PIL import Image, ImageDraw
from scripted_robot import Gateway

from smolfusion_ros.gateway.values import (
    Command,
    CommandStatus,
    Diagnostics,
    EmergencyStop,
    Keyframe,
    Motion,
    Performance,
    Person,
    Process,
    Region,
    Reply,
    Scene,
    SceneObject,
    Stage,
    Status,
    Turn,
)

PERSON = Person(
    position="left",
    bearing_rad=0.31,
    expression="smiling",
    gesture="waving",
    clothing="red shirt",
    engaged=True,
    confidence=0.9,
    track_id=3,
    roi=Region(x=120, y=80, width=100, height=120),
)
CUP = SceneObject(
    label="cup", colour="red", position="right", confidence=0.8, roi=Region(x=480, y=300, width=60, height=70)
)


def picture(colour: tuple[int, int, int] = (60, 90, 120), size: tuple[int, int] = (640, 480)) -> bytes:
    """A JPEG with a face-like disc."""
    image = Image.new("RGB", size, colour)
    ImageDraw.Draw(image).ellipse((130, 85, 210, 195), fill=(230, 190, 160))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def scene(**fields: Any) -> Scene:
    return Scene(
        **{
            "stamp": time.time(),
            "summary": "A person in a red shirt smiles and waves.",
            "compact": "person left smiling waving red shirt; cup red right",
            "persons": (PERSON,),
            "objects": (CUP,),
            "source": "vlm",
            "vlm_latency_s": 0.41,
            **fields,
        }
    )


def motion(**fields: Any) -> Motion:
    return Motion(
        **{
            "stamp": time.time(),
            "width": 640,
            "height": 480,
            "score": 4.0,
            "changed_fraction": 0.05,
            "active": True,
            "camera_moving": False,
            "frames_seen": 300,
            "frames_forwarded": 30,
            "roi": Region(x=200, y=120, width=200, height=160),
            **fields,
        }
    )


def command(number: int = 1, **fields: Any) -> Command:
    return Command(
        **{
            "id": f"c{number}",
            "session_id": "anna",
            "turn_id": "t1",
            "name": "turn",
            "arguments": {"direction": "left", "angle_deg": 45.0},
            "source": "llm",
            "priority": 100,
            "target_track_id": None,
            "target_bearing_rad": None,
            "lifetime_s": 10.0,
            "stamp": time.time(),
            **fields,
        }
    )


def status(state: str, number: int = 1, detail: str = "") -> CommandStatus:
    return CommandStatus(command_id=f"c{number}", state=state, detail=detail, stamp=time.time())


def turn(number: int, **fields: Any) -> Turn:
    return Turn(
        **{
            "id": f"t{number}",
            "session_id": "anna",
            "stamp": time.time(),
            "heard": f"please turn left {number}",
            "said": "Turning left.",
            "scene": "",
            "commands": (),
            "rejected": (),
            "source": "llm",
            "interrupted": False,
            "error": "",
            "stages_s": {"first_token": 0.2, "total": 0.8},
            "prompt_tokens": 900,
            "evaluated_tokens": 20,
            "answer_tokens": 14,
            **fields,
        }
    )


def reply(turn_id: str, sequence: int, delta: str, **fields: Any) -> Reply:
    return Reply(
        **{
            "session_id": "anna",
            "turn_id": turn_id,
            "sequence": sequence,
            "delta": delta,
            "clause": "",
            "is_final": False,
            "interrupted": False,
            **fields,
        }
    )


def performance(first_token_ms: float = 210.0) -> Performance:
    stages = {
        "dialogue.first_token": (first_token_ms, 2.1 * first_token_ms),
        "dialogue.queue": (0.4, 2.0),
        "dialogue.total": (900.0, 1900.0),
        "perception.vlm": (1400.0, 2600.0),
    }
    names = ("dialogue", "gateway", "llm_backend", "memory", "monitor", "motion_gate", "perception", "vlm_backend")
    return Performance(
        stamp=time.time(),
        stages=tuple(Stage(name=name, count=40, p50_ms=a, p95_ms=b, p99_ms=2 * b) for name, (a, b) in stages.items()),
        processes=tuple(
            Process(
                name=name, pid=100 + at, cpu_percent=4.0 * at, memory_bytes=(60 + at) << 20, threads=6, open_files=20
            )
            for at, name in enumerate(names)
        ),
        gpu_percent=None,
        gpu_memory_bytes=None,
        gate_skipped_fraction=0.9,
    )


def diagnostics(**levels: str) -> Diagnostics:
    """All is well but for the tasks whose level is given, ``llm_backend="error"``."""
    tasks = {
        ("dialogue", "emergency stop"): "released",
        ("dialogue", "llm backend"): "up",
        ("memory", "store"): "4 sessions",
        ("monitor", "nodes"): "5 nodes alive",
        ("motion_gate", "camera"): "30.0 fps 640x480 rgb8",
        ("perception", "vlm backend"): "up",
    }
    return Diagnostics(
        statuses=tuple(
            Status(
                node=node,
                task=task,
                level=levels.get(task.replace(" ", "_"), "ok"),
                message=message,
                values={},
            )
            for (node, task), message in tasks.items()
        )
    )


def tell(gateway: Gateway, name: str, value: Any) -> None:
    """Publish an event as the node does."""
    gateway.do(lambda: gateway.robot.hub.publish(name, value))


def show(gateway: Gateway, data: bytes, stamp: float | None = None) -> float:
    """A new picture of the camera; its stamp."""
    stamp = time.time() if stamp is None else stamp

    def publish() -> None:
        gateway.robot.camera.show(data, "image/jpeg", stamp)
        gateway.robot.hub.publish("keyframe", Keyframe(stamp=stamp, size_bytes=len(data)))

    gateway.do(publish)
    return stamp


def tell_all(gateway: Gateway) -> None:
    """One of everything."""
    show(gateway, picture())
    tell(gateway, "scene", scene())
    tell(gateway, "motion", motion())
    tell(gateway, "performance", performance())
    tell(gateway, "diagnostics", diagnostics())
    tell(gateway, "emergency_stop", EmergencyStop(engaged=False))
    tell(gateway, "turn", turn(1, commands=(command(1),)))
    tell(gateway, "turn", turn(2, heard="멈춰", said="Stopping.", source="reflex"))
    tell(gateway, "command", command(2, name="wave", arguments={"hand": "right"}))
    tell(gateway, "status", status("running", 2))
