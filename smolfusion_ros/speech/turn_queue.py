"""What waits to be spoken: clauses of turns, turn by turn, bounded. No thread, no sound."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from smolfusion_ros.speech.mouth_events import Dropped
from smolfusion_ros.speech.speakable import heard_words

MAX_CLAUSES = 32
MAX_TEXT = 2000
_REMEMBERED_TURNS = 64


@dataclass(eq=False)
class Clause:
    """A clause and its sound.

    Attributes:
        text: as the dialogue wrote it; ``speech``: as it is spoken.
        pieces: sound that is made and not played; ``frames``: of all that was made.
        is_taken: it is, or has been, in work by the voice; ``is_made``: nothing more will come of it.
        is_cancelled: nobody will hear it.
        error: why the voice failed on it.
        begin: position in the sink where it begins, None before.
    """

    turn: Turn
    text: str
    speech: str
    language: str
    pieces: deque[bytes] = field(default_factory=deque)
    frames: int = 0
    is_taken: bool = False
    is_made: bool = False
    is_cancelled: bool = False
    error: str = ""
    begin: int | None = None

    def heard_at(self, position: int, frames_per_character: float) -> str:
        """The words of it that have been heard when the sink has come to a position.

        Args:
            frames_per_character: about how long it will be, as long as it is not made whole.
        """
        if self.begin is None:
            return ""
        whole = self.is_made and not self.error
        frames = self.frames if whole else max(self.frames, round(frames_per_character * len(self.text)))
        return heard_words(self.text, max(0.0, (position - self.begin) / max(1, frames)))

    def cancel(self) -> None:
        self.is_cancelled = True
        self.pieces.clear()


@dataclass(eq=False)
class Turn:
    """One answer.

    Attributes:
        waiting: clauses that have not begun; ``under_way``: how many have begun and not been heard.
        heard: texts that have been heard.
        is_complete: no clause will be added.
        interruption: why the rest of it is not spoken; empty: it is.
        quiet_since_s: steady time since when there is nothing to speak of it.
    """

    turn_id: str
    quiet_since_s: float
    waiting: deque[Clause] = field(default_factory=deque)
    under_way: int = 0
    heard: list[str] = field(default_factory=list)
    is_complete: bool = False
    has_started: bool = False
    interruption: str = ""

    @property
    def text(self) -> str:
        return " ".join(self.heard)

    @property
    def is_quiet(self) -> bool:
        return not self.waiting and not self.under_way

    def cut(self, reason: str) -> list[Clause]:
        """Take away what has not begun; returned is what that was."""
        self.is_complete, self.interruption = True, reason
        cut = list(self.waiting)
        self.waiting.clear()
        for clause in cut:
            clause.cancel()
        return cut


class TurnQueue:
    """Turns in the order of their first clauses; one is spoken to its end before the next begins."""

    def __init__(self, max_clauses: int = MAX_CLAUSES) -> None:
        self._turns: dict[str, Turn] = {}
        self._max_clauses = max_clauses
        self._over: dict[str, None] = {}  # turns that have ended; what comes of them late is not spoken

    def add(self, turn_id: str, text: str, speech: str, language: str, now_s: float) -> list[Dropped]:
        """Add a clause; what has to make room for it.

        The oldest turn goes first. A turn that fills the queue alone loses what comes, so that its beginning is whole.
        """
        if turn_id in self._over:
            return []
        turn = self._turns.get(turn_id)
        if turn is not None and turn.is_complete:
            return []
        dropped: list[Dropped] = []
        if sum(len(each.waiting) for each in self._turns.values()) >= self._max_clauses:
            reason = f"{self._max_clauses} clauses wait already"
            oldest = next((each for each in self._turns.values() if each.waiting and each is not turn), None)
            if oldest is None:
                return [Dropped(turn_id, text, reason)]
            texts = [clause.text for clause in oldest.cut(reason)]
            dropped.append(Dropped(oldest.turn_id, " ".join(texts), reason))
        if turn is None:
            turn = self._turns[turn_id] = Turn(turn_id, now_s)
        turn.waiting.append(Clause(turn, text, speech, language))
        return dropped

    def complete(self, turn_id: str) -> bool:
        """No clause of this turn will be added. False: it has none and is over with this."""
        if turn := self._turns.get(turn_id):
            turn.is_complete = True
            return True
        return turn_id in self._over

    def peek(self) -> Clause | None:
        """The clause to be spoken next; None: nothing waits, or more of the turn that is being spoken may come."""
        for turn in self._turns.values():
            if turn.waiting:
                return turn.waiting[0]
            if not turn.is_complete:
                return None
        return None

    def take(self) -> Clause | None:
        """Begin the clause to be spoken next."""
        clause = self.peek()
        if clause:
            clause.turn.waiting.popleft()
            clause.turn.under_way += 1
        return clause

    def settle(self, clause: Clause, heard: str, now_s: float) -> None:
        """A clause that had begun is over; what has been heard of it."""
        turn = clause.turn
        turn.under_way -= 1
        turn.quiet_since_s = now_s
        if heard:
            turn.heard.append(heard)

    def blocking(self) -> Turn | None:
        """The turn of which nothing comes while others wait behind it."""
        turns = list(self._turns.values())
        if len(turns) > 1 and turns[0].is_quiet and not turns[0].is_complete:
            return turns[0]
        return None

    def end(self, turns: Iterable[Turn]) -> None:
        """Forget turns but for their names."""
        for turn in list(turns):
            self._turns.pop(turn.turn_id, None)
            self.remember(turn.turn_id)

    def remember(self, turn_id: str) -> None:
        """What comes of this turn is not spoken."""
        self._over[turn_id] = None
        while len(self._over) > _REMEMBERED_TURNS:
            del self._over[next(iter(self._over))]

    def done(self) -> list[Turn]:
        """Turns that are complete and have been spoken."""
        return [turn for turn in self._turns.values() if turn.is_complete and turn.is_quiet]

    def named(self, turn_id: str | None) -> list[Turn]:
        """The turn of this name, all for None; none where there is no such."""
        return [turn for turn in self._turns.values() if turn_id in (None, turn.turn_id)]
