"""Recognition in a thread of its own: utterances wait in a bounded queue while sound goes on coming."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from smolfusion_ros.speech.hearing import EarEvent, Heard, OnEvent, Partial, Unheard, Woken
from smolfusion_ros.speech.recognition import Recogniser, Transcript
from smolfusion_ros.speech.sound import Samples
from smolfusion_ros.speech.wake import Wake

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

CAPACITY = 4
"""Utterances that may wait beside the one being recognised."""


class Utterance:
    """One that grows; its samples are added by the ear and read by the recognition."""

    def __init__(self, start_s: float) -> None:
        self.start_s = start_s
        self.end_s = start_s
        self.pieces: list[Samples] = []
        self.paused = self.ended = self.dropped = False


class Listening:
    """The thread, its queue, and what is told of it. Every method but ``overdue`` and ``close`` only takes notes."""

    def __init__(
        self,
        recogniser: Recogniser,
        on_event: OnEvent,
        wake: Wake | None,
        deadline_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._recogniser, self._on_event, self._wake = recogniser, on_event, wake
        self._deadline_s, self._clock = deadline_s, clock
        self._changed = threading.Condition()
        self._queue: deque[Utterance] = deque()
        self._closed = False
        self._busy_since_s: float | None = None
        self._reported = False
        self._thread = threading.Thread(target=self._work, name="recognition", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        with self._changed:
            return not self._queue

    def begin(self, utterance: Utterance) -> list[EarEvent]:
        """Queue an utterance that begins; the oldest that waits makes room, which is told."""
        lost: list[EarEvent] = []
        with self._changed:
            if len(self._queue) > CAPACITY:
                self._queue[1].dropped = True
                del self._queue[1]
                lost.append(Unheard(f"too much to recognise: {CAPACITY} utterances wait, the oldest is dropped"))
                self._reported = False
            self._queue.append(utterance)
            self._changed.notify_all()
        return lost

    def add(self, utterance: Utterance, samples: Samples) -> None:
        with self._changed:
            utterance.pieces.append(samples)
            self._changed.notify_all()

    def pause(self, utterance: Utterance) -> None:
        """It may be over: time to begin with what takes long."""
        with self._changed:
            utterance.paused = True
            self._changed.notify_all()

    def resume(self, utterance: Utterance) -> None:
        with self._changed:
            utterance.paused = False

    def end(self, utterance: Utterance, end_s: float) -> None:
        with self._changed:
            utterance.ended, utterance.end_s = True, end_s
            self._changed.notify_all()

    def discard(self, utterance: Utterance) -> None:
        with self._changed:
            utterance.dropped = True
            self._changed.notify_all()

    def overdue(self) -> list[EarEvent]:
        """Tell, once, of a call of the engine that takes longer than the deadline."""
        with self._changed:
            since_s = self._busy_since_s
            if since_s is None or self._reported or self._clock() - since_s < self._deadline_s:
                return []
            self._reported = True
        return [Unheard(f"the recogniser has not answered for {self._clock() - since_s:.0f} s")]

    def close(self, timeout_s: float) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while (utterance := self._next()) is not None:
            try:
                self._recognise(utterance)
            except Exception as error:  # whatever an engine raises, the next utterance is heard
                _log.debug("recognition fails", exc_info=True)
                self._tell(Unheard(f"the recogniser fails: {error or type(error).__name__}"))
            finally:
                with self._changed:
                    self._busy_since_s, self._reported = None, False
                    self._queue.remove(utterance)
        self._recogniser.close()

    def _next(self) -> Utterance | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            return None if self._closed else self._queue[0]

    def _recognise(self, utterance: Utterance) -> None:
        """Follow an utterance to its end.

        An engine that does its work at the end begins at the first pause; if speech goes on, that was for nothing.
        """
        self._timed(self._recogniser.begin)
        fed = 0
        guess: tuple[Transcript, float] | None = None
        told = ""
        while True:
            with self._changed:
                guessing = guess is None and not self._recogniser.streaming
                self._changed.wait_for(lambda: self._has_news(utterance, fed, guessing))  # noqa: B023
                if self._closed or utterance.dropped:
                    return
                pieces, paused, ended = utterance.pieces[fed:], utterance.paused, utterance.ended
            if pieces and guess is not None:
                self._timed(self._recogniser.begin)
                pieces, guess = utterance.pieces[: fed + len(pieces)], None
                fed = 0
            for piece in pieces:
                self._timed(lambda: self._recogniser.feed(piece))  # noqa: B023
            fed += len(pieces)
            if ended:
                self._conclude(utterance, *(guess or self._finish()))
                return
            if paused and not self._recogniser.streaming:
                guess = guess or self._finish()
            elif not paused and self._may_tell_partials(utterance):
                text = self._timed(self._recogniser.partial)
                if text and text != told:
                    told = text
                    self._tell(Partial(text))

    def _has_news(self, utterance: Utterance, fed: int, guessing: bool) -> bool:
        more = len(utterance.pieces) > fed or utterance.ended or utterance.dropped
        return self._closed or more or (utterance.paused and guessing)

    def _may_tell_partials(self, utterance: Utterance) -> bool:
        with self._changed:
            if len(self._queue) > 1 or utterance.ended:
                return False
        return self._wake is None or self._wake.is_awake(utterance.start_s)

    def _finish(self) -> tuple[Transcript, float]:
        begun_s = self._clock()
        return self._timed(self._recogniser.finish), self._clock() - begun_s

    def _conclude(self, utterance: Utterance, transcript: Transcript, engine_s: float) -> None:
        text: str | None = transcript.text
        if not text:
            self._tell(Unheard("nothing was understood"))
            return
        if self._wake is not None:
            text = self._wake.take(text, utterance.start_s, utterance.end_s)
        if text is None:
            self._tell(Unheard("not addressed: no wake word"))
        elif not text:
            self._tell(Woken(utterance.end_s))
        else:
            heard = Transcript(text, transcript.language, transcript.confidence)
            self._tell(Heard(heard, utterance.start_s, utterance.end_s, engine_s))

    def _timed(self, call: Callable[[], _T]) -> _T:
        with self._changed:
            self._busy_since_s = self._clock()
        result = call()
        with self._changed:
            self._busy_since_s, self._reported = None, False
        return result

    def _tell(self, event: EarEvent) -> None:
        if self._closed:
            return
        try:
            self._on_event(event)
        except Exception:
            _log.exception("an event of the ear is lost: %s", type(event).__name__)
