"""The mouth: speaks clauses one after another, says what has been heard of them, and is silent at once when told to."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from smolfusion_ros.speech.ahead import Ahead
from smolfusion_ros.speech.language import language_of
from smolfusion_ros.speech.loudspeaker import Sink
from smolfusion_ros.speech.mouth_events import Dropped, Ended, Event, Failed, Spoken, Started
from smolfusion_ros.speech.outlet import Outlet
from smolfusion_ros.speech.speakable import bounded, speakable
from smolfusion_ros.speech.synthesis import Voice
from smolfusion_ros.speech.turn_queue import MAX_TEXT, Clause, TurnQueue

_log = logging.getLogger(__name__)
# Of English at 165 words a minute, until a clause has been timed.
_SECONDS_PER_CHARACTER = 0.075


@dataclass(frozen=True)
class _Written:
    """A clause that the sink has whole: heard when the sink has come to ``end``."""

    clause: Clause
    end: int
    text: str


class Mouth:
    """Speaks what `say` is given; every method may be called from any thread, and none waits for sound.

    Args:
        voice: used, and closed, by this mouth alone.
        sink: likewise.
        on_event: gets every event in order, in a thread of the mouth's; may call back.
        default_language: of clauses in Latin letters that come without one (BCP 47).
        patience_s: a turn that is not finished and brings nothing for so long is ended when others wait behind it.
        rest_s: after so long a silence the sound device is given back until there is something to say.
    """

    def __init__(
        self,
        voice: Voice,
        sink: Sink,
        on_event: Callable[[Event], None],
        *,
        default_language: str = "en",
        patience_s: float = 3.0,
        rest_s: float = 10.0,
    ) -> None:
        self._voice = voice
        self._outlet = Outlet(sink, voice.sample_rate)
        self._on_event = on_event
        self._default_language = default_language
        self._patience_s = patience_s
        self._rest_s = rest_s
        self._changed = threading.Condition()
        self._queue = TurnQueue()
        self._clause: Clause | None = None  # being written to the sink
        self._written: deque[_Written] = deque()
        self._events: deque[Event] = deque()
        self._frames_per_character = _SECONDS_PER_CHARACTER * voice.sample_rate
        self._must_open = self._must_close = self._closing = False
        self._quiet_since_s = time.monotonic()
        self._ahead = Ahead(voice, self._changed, self._next_to_make)
        self._thread = threading.Thread(target=self._run, name="mouth", daemon=True)
        self._thread.start()

    @property
    def is_speaking(self) -> bool:
        """Whether a clause is audible, or about to be."""
        with self._changed:
            return self._clause is not None or bool(self._written)

    def say(self, turn_id: str, clause: str, language: str = "") -> None:
        """Speak a clause behind what waits. Nothing comes of a turn that has ended, nor of a clause without words.

        Args:
            clause: at most 2000 characters; what is beyond is told as dropped.
            language: BCP 47; empty: by the clause's script.
        """
        text, rest = bounded(clause.strip(), MAX_TEXT)
        speech = speakable(text)
        with self._changed:
            if speech:
                language = language or language_of(speech, self._default_language)
                self._events += self._queue.add(turn_id, text, speech, language, time.monotonic())
            if rest:
                self._events.append(Dropped(turn_id, rest, f"a clause has at most {MAX_TEXT} characters"))
            self._changed.notify_all()

    def finish(self, turn_id: str) -> None:
        """No more clauses of this turn will come; it ends when all have been heard."""
        with self._changed:
            if not self._queue.complete(turn_id):
                self._queue.remember(turn_id)
                self._events.append(Ended(turn_id, "", False))
            self._changed.notify_all()

    def stop(self, reason: str, turn_id: str | None = None) -> None:
        """Be silent now. What comes of the turns that this interrupts is not spoken.

        Args:
            reason: told with `Ended`.
            turn_id: only this one; None: all.
        """
        with self._changed:
            turns = self._queue.named(turn_id)
            if turn_id is not None:
                self._queue.remember(turn_id)
            cut: list[Clause] = []
            if self._clause and self._clause.turn in turns:
                cut.append(self._clause)
            written = [each for each in self._written if each.clause.turn in turns]
            if cut or written:
                self._listen()
                self._settle_at(self._outlet.heard, written, cut)
                if self._clause is None:  # else another turn is audible already
                    self._flush()
            for turn in turns:
                cut += turn.cut(reason)
                self._events.append(Ended(turn.turn_id, turn.text, True, reason))
            self._queue.end(turns)
            speech = self._ahead.speech_of(cut)
            self._changed.notify_all()
        if speech:
            speech.close()

    def close(self) -> None:
        """Be silent, end the threads, close voice and sink. Turns under way end interrupted."""
        self.stop("closed")
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._ahead.close()
        self._thread.join(2.0)
        self._voice.close()

    def _run(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                wait_s = self._step(time.monotonic())
                if wait_s != 0 and not self._events and not self._closing:
                    self._changed.wait(wait_s)
                events = list(self._events)
                self._events.clear()
                must_open, must_close = self._must_open, self._must_close
                self._must_open = self._must_close = False
                closing = self._closing
            for event in events:
                try:
                    self._on_event(event)
                except Exception:
                    _log.exception("%s could not be told", event)
            # A device may take long for these: they must not hold up a stop.
            if must_close or closing:
                self._outlet.close()
            elif must_open:
                self._open()

    def _step(self, now_s: float) -> float | None:
        """Do what there is to do now; seconds until there is more, 0: now, None: when something changes."""
        heard = self._tell_heard(now_s)
        self._end_turns(now_s)
        if self._clause is None:
            self._clause = self._queue.take()
            if self._clause:
                self._changed.notify_all()  # the voice may begin the one behind
        clause = self._clause
        until_heard_s = (self._written[0].end - heard) / self._voice.sample_rate if self._written else None
        if clause is None:
            return _soonest(until_heard_s, self._idle_s(now_s))
        if clause.pieces:
            return _soonest(self._feed(clause), until_heard_s)
        if clause.is_made:
            self._leave(clause, now_s)
            return 0
        return until_heard_s

    def _feed(self, clause: Clause) -> float:
        """Write a clause's next piece as soon as there is room for it; seconds until then, 0: it is written."""
        if not self._outlet.is_open:
            pause_s = self._outlet.pause_s()
            self._must_open = pause_s == 0
            return pause_s
        try:
            if (room_s := self._outlet.room_s()) > 0:
                return room_s
            position, audible_s = self._outlet.write(clause.pieces[0])
        except Exception as error:
            self._fail(clause, error)
            return 0
        clause.pieces.popleft()
        if clause.begin is None:
            clause.begin = position
        if not clause.turn.has_started:
            clause.turn.has_started = True
            self._events.append(Started(clause.turn.turn_id, audible_s))
        return 0

    def _leave(self, clause: Clause, now_s: float) -> None:
        """All there is of a clause is in the sink."""
        self._clause = None
        turn_id = clause.turn.turn_id
        text = clause.text
        if clause.error:
            self._events.append(Failed(turn_id, clause.error))
            text = clause.heard_at((clause.begin or 0) + clause.frames, self._frames_per_character)
        elif clause.frames:
            self._frames_per_character = clause.frames / len(clause.text)
        if clause.begin is None:
            self._queue.settle(clause, "", now_s)
        else:
            self._written.append(_Written(clause, clause.begin + clause.frames, text))

    def _tell_heard(self, now_s: float) -> int:
        """Tell which clauses have been heard by now; the position that is audible."""
        if self._written and (error := self._listen()):
            self._fail(self._clause or self._written[-1].clause, error)
        heard = self._outlet.heard
        while self._written and heard >= self._written[0].end:
            written = self._written.popleft()
            self._queue.settle(written.clause, written.text, now_s)
            self._events.append(Spoken(written.clause.turn.turn_id, written.clause.turn.text))
            self._outlet.has_worked()
            self._quiet_since_s = now_s
        return heard

    def _end_turns(self, now_s: float) -> None:
        blocking = self._queue.blocking()
        if blocking and now_s - blocking.quiet_since_s >= self._patience_s:
            blocking.cut(f"nothing more came of it for {self._patience_s:g} s")
        for turn in self._queue.done():
            self._queue.end([turn])
            self._events.append(Ended(turn.turn_id, turn.text, bool(turn.interruption), turn.interruption))

    def _idle_s(self, now_s: float) -> float | None:
        """Seconds until something is to be done though nothing comes."""
        blocking = self._queue.blocking()
        patience_s = blocking.quiet_since_s + self._patience_s - now_s if blocking else None
        if not self._outlet.is_open or self._written:
            return patience_s
        rest_s = self._quiet_since_s + self._rest_s - now_s
        self._must_close = rest_s <= 0
        return _soonest(max(0.0, rest_s), patience_s)

    def _next_to_make(self) -> Clause | None:
        clause = self._clause if self._clause and not self._clause.is_taken else self._queue.peek()
        return clause if clause and not clause.is_taken else None

    def _settle_at(self, heard: int, written: list[_Written], cut: list[Clause]) -> None:
        """End clauses of which the sink plays nothing beyond a position; what has been heard of each is its turn's."""
        now_s = self._quiet_since_s = time.monotonic()
        for each in written:
            self._written.remove(each)
            text = each.text if heard >= each.end else each.clause.heard_at(heard, self._frames_per_character)
            self._queue.settle(each.clause, text, now_s)
        for clause in cut:
            self._queue.settle(clause, clause.heard_at(heard, self._frames_per_character), now_s)
            clause.cancel()
            self._clause = None

    def _listen(self) -> Exception | None:
        try:
            self._outlet.listen()
        except Exception as error:
            return error
        return None

    def _flush(self) -> None:
        try:
            position = self._outlet.flush()
        except Exception:
            _log.exception("the sink could not be flushed")
            self._settle_at(self._outlet.heard, list(self._written), [])
            self._outlet.fail()
            self._must_close = True
            return
        # The end of a turn that goes on may have been among what was dropped.
        self._written = deque(_Written(each.clause, min(each.end, position), each.text) for each in self._written)

    def _fail(self, clause: Clause, error: Exception) -> None:
        """The sink failed: what it held is lost, the next clause opens it again."""
        _log.debug("the sink failed", exc_info=error)
        self._events.append(Failed(clause.turn.turn_id, str(error) or type(error).__name__))
        self._listen()
        self._settle_at(self._outlet.heard, list(self._written), [self._clause] if self._clause else [])
        self._outlet.fail()
        self._must_close = True

    def _open(self) -> None:
        try:
            self._outlet.open()
        except Exception as error:
            with self._changed:
                if self._clause:
                    self._fail(self._clause, error)
        with self._changed:
            self._quiet_since_s = time.monotonic()


def _soonest(*delays_s: float | None) -> float | None:
    known = [delay_s for delay_s in delays_s if delay_s is not None]
    return max(0.0, min(known)) if known else None
