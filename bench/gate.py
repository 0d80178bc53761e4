"""What opens a keyframe and what does not, the motion gate beside plainer ways: python -m bench.gate.

Drawn visits, the same visitor pasted into stills of real footage, that footage itself, and pans, each as several
cameras show it. All ways see the same frames in one run; cost is one thread's processor time for a 640x480 BGR frame.
Prints tables; never fails.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

import cv2
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import _json
from bench._clips import (
    CAMERAS,
    PAN_CAMERAS,
    Camera,
    Clip,
    Frame,
    footage_clip,
    framed,
    pan_clip,
    seen,
    visit_clip,
    wide_room,
    widened,
)
from bench._footage import WHEEL, footage
from bench._gate_figures import WITHIN_S, Figures, Watched, delay_s, figures, pans_of, within
from bench._gates import GATES

# Of the street in ``bikes.mp4``, sharp and full of edges.
STREET_FRAME = 180


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2, help="visits, each in a room of its own, and rooms to pan over")
    parser.add_argument("--gates", nargs="+", choices=tuple(GATES), default=tuple(GATES), help="compare these alone")
    parser.add_argument("--cameras", nargs="+", choices=[each.name for each in CAMERAS], help="these alone")
    parser.add_argument("--no-footage", action="store_true", help=f"without the clips of {WHEEL}")
    _json.add_option(parser)
    arguments = parser.parse_args()
    console = Console(width=150)
    cv2.setNumThreads(1)
    shown = _shown(arguments.seeds, {} if arguments.no_footage else footage(), console)
    shown = [(clip, camera) for clip, camera in shown if not arguments.cameras or camera.name in arguments.cameras]
    watched: list[Watched] = []
    try:
        for clip, camera in track(shown, description="clips", console=console):
            watched += watch(clip, camera, arguments.gates)
    except KeyboardInterrupt:
        console.print("interrupted: the figures are those of the clips shown until then")
    if not watched:
        return
    by_gate = {name: [each for each in watched if each.gate == name] for name in arguments.gates}
    console.print(_summary(by_gate))
    title = "clips without pans: events in time, % / still frames forwarded, %"
    console.print(_by_camera(by_gate, title, lambda clip: not clip.pans, _events_and_still))
    title = "pans: told of, % / keyframes while it turns / when it rests"
    console.print(_by_camera(by_gate, title, lambda clip: clip.pans, _pans))
    _json.write(arguments.json, _document(by_gate, watched))


def _shown(seeds: int, real: dict[str, list[Frame]], console: Console) -> list[tuple[Clip, Camera]]:
    """Every clip with every camera that shows it."""
    clips = [visit_clip(seed) for seed in range(seeds)]
    stills = {f"room {seed}": wide_room(seed) for seed in range(seeds)}
    if not real:
        console.print(f"real footage is left out: {WHEEL} could not be downloaded, or was not wanted")
    for name, frames in real.items():
        street = frames[STREET_FRAME] if len(frames) > STREET_FRAME else frames[0]
        clips.append(visit_clip(len(clips), f"visit in {name}", framed(street)))
        clips.append(footage_clip(name, [framed(frame) for frame in frames]))
        stills[name] = widened(street)
    pans = [pan_clip(f"pan over {name}", still) for name, still in stills.items()]
    return [(clip, camera) for clip in clips for camera in CAMERAS] + [
        (clip, camera) for clip in pans for camera in PAN_CAMERAS
    ]


def watch(clip: Clip, camera: Camera, gates: Sequence[str]) -> list[Watched]:
    """Show a clip to several gates at once."""
    watching = [(GATES[name](), Watched(name, camera.name, clip)) for name in gates]
    for time_s, frame in seen(clip, camera):
        for gate, watched in watching:
            begun_ns = time.thread_time_ns()
            judged = gate.judge(frame, time_s)
            watched.costs_ms.append((time.thread_time_ns() - begun_ns) * 1e-6)
            if judged.forward:
                watched.forwarded_s.append(time_s)
            if judged.camera_moving:
                watched.turning_s.append(time_s)
    return [watched for _, watched in watching]


def _summary(by_gate: dict[str, list[Watched]]) -> Table:
    sums = {name: figures(watched) for name, watched in by_gate.items()}
    events = dict.fromkeys(name for each in sums.values() for name in each.opened_by_event)
    played = dict.fromkeys(name for each in sums.values() for name in each.playing_seconds_with_keyframe)
    rows: dict[str, Callable[[Figures], str]] = {
        f"events with a keyframe within {1000 * WITHIN_S:.0f} ms, %": lambda each: _percent(each.opened),
        **{f"  {name}, %": lambda each, name=name: _percent(each.opened_by_event[name]) for name in events},
        "  keyframe after the event, median, ms": lambda each: _number(each.delay_median_ms, 0),
        "  95 %, ms": lambda each: _number(each.delay_p95_ms, 0),
        "still frames forwarded, %": lambda each: _percent(each.still_forwarded, 2),
        "pans told of, %": lambda each: _percent(each.pans_flagged),
        "  keyframes while it turns": lambda each: _number(each.keyframes_during_pan),
        "  keyframes when it rests": lambda each: _number(each.keyframes_after_pan),
        "  exactly one when it rests, %": lambda each: _percent(each.pans_with_one_after),
        "said to turn without a pan, % of frames": lambda each: _percent(each.turning_without_pan, 2),
        **{
            f"seconds of {name} with a keyframe, %": lambda each, name=name: _percent(
                each.playing_seconds_with_keyframe[name]
            )
            for name in played
        },
        "cost of a frame, median, ms": lambda each: _number(each.cost_median_ms),
    }
    table = _table("all clips and cameras", "", *by_gate)
    for label, tell in rows.items():
        table.add_row(label, *(tell(each) for each in sums.values()))
    return table


def _by_camera(
    by_gate: dict[str, list[Watched]], title: str, chosen: Callable[[Clip], object], tell: Callable[[Figures], str]
) -> Table:
    table = _table(title, "camera", *by_gate)
    for camera in CAMERAS:
        groups = [
            [each for each in watched if each.camera == camera.name and chosen(each.clip)]
            for watched in by_gate.values()
        ]
        if any(groups):
            table.add_row(camera.name, *(tell(figures(group)) for group in groups))
    return table


def _events_and_still(sums: Figures) -> str:
    return f"{_percent(sums.opened)} / {_percent(sums.still_forwarded, 2)}"


def _pans(sums: Figures) -> str:
    counts = _number(sums.keyframes_during_pan), _number(sums.keyframes_after_pan)
    return " / ".join((_percent(sums.pans_flagged), *counts))


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


def _percent(share: float | None, digits: int = 0) -> str:
    return "" if share is None else f"{100 * share:.{digits}f}"


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _document(by_gate: dict[str, list[Watched]], watched: Sequence[Watched]) -> dict[str, object]:
    return {
        "figures": {name: asdict(figures(each)) for name, each in by_gate.items()},
        "clips": [
            {
                "gate": each.gate,
                "camera": each.camera,
                "clip": each.clip.name,
                "forwarded_s": each.forwarded_s,
                "delays_s": {event.name: delay_s(event, each.forwarded_s) for event in each.clip.events},
                "pans": [asdict(pan) for pan in pans_of(each)],
                "still_frames_forwarded": sum(within(each.forwarded_s, span) for span in each.clip.still),
            }
            for each in watched
        ],
    }


if __name__ == "__main__":
    main()
