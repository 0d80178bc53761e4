"""The scripted visitor: says a line when its cue comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

# What the visitor waits for, judged by the compact scene line.
Cue = Callable[[str], bool]


def somebody(scene: str) -> bool:
    return "person" in scene


def waving(scene: str) -> bool:
    return "waving" in scene


def at_once(_scene: str) -> bool:
    return True


@dataclass(frozen=True)
class Line:
    """One thing to say. ``cue`` is waited for at most ``patience_s``; ``interrupts`` does not wait for the answer."""

    text: str
    cue: Cue = at_once
    patience_s: float = 20.0
    interrupts: bool = False


VISIT: Sequence[Line] = (
    Line("nod please", somebody),
    Line("please wave back with your right hand", waving),
    Line("turn left 45 degrees"),
    Line("how are you today?"),
    Line("walk forward one meter"),
    Line("stop!", interrupts=True),
)


class Visitor:
    """Goes through the lines, one after the other.

    Args:
        say: speaks a line.
        clock: a steady clock in seconds.
    """

    def __init__(self, lines: Sequence[Line], say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._lines = list(lines)
        self._say = say
        self._clock = clock
        self._since = clock()
        self._unanswered = 0

    @property
    def done(self) -> bool:
        """All lines are said and answered."""
        return not self._lines and self._unanswered == 0

    def on_answer(self) -> None:
        """The robot has finished a turn."""
        self._unanswered = max(0, self._unanswered - 1)
        self._since = self._clock()

    def on_scene(self, scene: str) -> None:
        """Speak if the cue has come; call it often."""
        if not self._lines or (self._unanswered and not self._lines[0].interrupts):
            return
        line = self._lines[0]
        if line.cue(scene) or self._clock() - self._since > line.patience_s:
            del self._lines[0]
            self._unanswered += 1
            self._say(line.text)


def spoken_during(
    lines: Sequence[Line], scene_at: Callable[[float], str], duration_s: float, answer_s: float = 3.0
) -> list[tuple[float, str]]:
    """What the visitor says where no robot answers, and when: (second, text) in order.

    Args:
        scene_at: the compact scene at a second; the visitor's cue is taken from it a look later.
        duration_s: nothing is said later.
        answer_s: how long an answer is taken to last.
    """
    look_s, now_s = 1.0, 0.0
    said: list[tuple[float, str]] = []
    visitor = Visitor(lines, lambda text: said.append((now_s, text)), lambda: now_s)
    answered = 0
    while now_s < duration_s and not visitor.done:
        while answered < len(said) and said[answered][0] + answer_s <= now_s:
            visitor.on_answer()
            answered += 1
        visitor.on_scene(scene_at(max(0.0, now_s - look_s)))
        now_s += look_s
    return said
