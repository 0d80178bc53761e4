"""What a gate made of labelled clips, as figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, median

from bench._clips import FPS, Clip, Event, Span

# A keyframe is in time when it comes so long after an event can be seen.
WITHIN_S = 0.2
_SLACK_S = 1e-6


@dataclass(frozen=True)
class Watched:
    """What one gate made of one clip: when it forwarded, when it said the camera turns (seconds), what it cost."""

    gate: str
    camera: str
    clip: Clip
    forwarded_s: list[float] = field(default_factory=list)
    turning_s: list[float] = field(default_factory=list)
    costs_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Pan:
    """One pan: the share of its frames in which the camera was said to turn, keyframes meanwhile and after it."""

    flagged: float
    during: int
    after: int


@dataclass(frozen=True)
class Figures:
    """What a gate is worth over several clips; shares are from 0 to 1, and None where there was nothing to count."""

    events: int
    opened: float | None
    opened_by_event: dict[str, float]
    delay_median_ms: float | None
    delay_p95_ms: float | None
    still_frames: int
    still_forwarded: float | None
    pans: int
    pans_flagged: float | None
    keyframes_during_pan: float | None
    keyframes_after_pan: float | None
    pans_with_one_after: float | None
    playing_seconds_with_keyframe: dict[str, float]
    turning_without_pan: float
    cost_median_ms: float


def figures(watched: Sequence[Watched]) -> Figures:
    """Sum up what one gate made of several clips."""
    delays: dict[str, list[float | None]] = {}
    for each in watched:
        for event in each.clip.events:
            delays.setdefault(event.name, []).append(delay_s(event, each.forwarded_s))
    every = [delay for group in delays.values() for delay in group]
    known_ms = sorted(1000 * delay for delay in every if delay is not None)
    pans = [pan for each in watched for pan in pans_of(each)]
    still = [(each, span) for each in watched for span in each.clip.still]
    still_frames = sum(round(FPS * (span.ends_s - span.begins_s)) for _, span in still)
    playing: dict[str, list[int]] = {}
    for each in watched:
        for span in each.clip.playing:
            playing.setdefault(each.clip.name, []).extend(_seconds(each, span))
    turning = [each for each in watched if not (each.clip.pans or each.clip.playing)]
    return Figures(
        events=len(every),
        opened=_share(every, _in_time),
        opened_by_event={name: _share(group, _in_time) or 0.0 for name, group in delays.items()},
        delay_median_ms=median(known_ms) if known_ms else None,
        delay_p95_ms=known_ms[int(0.95 * (len(known_ms) - 1))] if known_ms else None,
        still_frames=still_frames,
        still_forwarded=sum(within(each.forwarded_s, span) for each, span in still) / still_frames
        if still_frames
        else None,
        pans=len(pans),
        pans_flagged=_share(pans, lambda pan: pan.flagged >= 0.5),
        keyframes_during_pan=fmean(pan.during for pan in pans) if pans else None,
        keyframes_after_pan=fmean(pan.after for pan in pans) if pans else None,
        pans_with_one_after=_share(pans, lambda pan: pan.after == 1),
        playing_seconds_with_keyframe={name: _share(counts, bool) or 0.0 for name, counts in playing.items()},
        turning_without_pan=sum(len(each.turning_s) for each in turning)
        / max(1, sum(len(each.costs_ms) for each in turning)),
        cost_median_ms=median(cost for each in watched for cost in each.costs_ms),
    )


def delay_s(event: Event, forwarded_s: Iterable[float]) -> float | None:
    """From when an event can be seen to its keyframe; 0 where it came before, None where none comes within a second."""
    for at_s in forwarded_s:
        if event.begins_s - _SLACK_S <= at_s <= event.visible_s + 1.0:
            return max(0.0, at_s - event.visible_s)
    return None


def pans_of(watched: Watched) -> list[Pan]:
    """What became of a clip's pans; the rest after each is its settling."""
    end = Span(watched.clip.duration_s, watched.clip.duration_s)
    return [
        Pan(
            within(watched.turning_s, pan) / (FPS * (pan.ends_s - pan.begins_s)),
            within(watched.forwarded_s, pan),
            within(watched.forwarded_s, Span(pan.ends_s, later.begins_s)),
        )
        for pan, later in pairwise((*watched.clip.pans, end))
    ]


def _in_time(delay: float | None) -> bool:
    return delay is not None and delay <= WITHIN_S + _SLACK_S


def _seconds(watched: Watched, playing: Span) -> list[int]:
    """Keyframes in each whole second of moving footage."""
    return [
        within(watched.forwarded_s, Span(playing.begins_s + second, playing.begins_s + second + 1))
        for second in range(int(playing.ends_s - playing.begins_s))
    ]


def within(times_s: Iterable[float], span: Span) -> int:
    """How many of some times lie in a span."""
    return sum(at_s in span for at_s in times_s)


def _share(values: Sequence, is_so: Callable[..., bool]) -> float | None:
    return sum(map(is_so, values)) / len(values) if values else None
