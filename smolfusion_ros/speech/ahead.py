"""Makes the sound of the next clause while one is audible, so that no pause of the voice is heard between them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from smolfusion_ros.speech.synthesis import BYTES_PER_FRAME, Speech, Voice
from smolfusion_ros.speech.turn_queue import Clause

_log = logging.getLogger(__name__)
MADE_AHEAD_S = 20.0


class Ahead:
    """One thread that has the voice speak into a clause's pieces.

    Args:
        voice: used by this thread only, but for closing what it says.
        changed: guards the clauses; notified when there is sound where there was none, and when a clause is made.
        next_clause: what to make next, None: nothing; called with `changed` held.
    """

    def __init__(self, voice: Voice, changed: threading.Condition, next_clause: Callable[[], Clause | None]) -> None:
        self._voice = voice
        self._changed = changed
        self._next_clause = next_clause
        self._limit_bytes = int(MADE_AHEAD_S * voice.sample_rate) * BYTES_PER_FRAME
        self._clause: Clause | None = None
        self._speech: Speech | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="voice", daemon=True)
        self._thread.start()

    def speech_of(self, clauses: list[Clause]) -> Speech | None:
        """What the voice is saying, if it is one of these clauses; with `changed` held, to be closed without."""
        return self._speech if self._clause in clauses else None

    def close(self) -> None:
        """End the thread; a voice that does not come back within 2 s is left behind."""
        with self._changed:
            self._closing = True
            if self._clause:
                self._clause.cancel()
            speech = self._speech
            self._changed.notify_all()
        if speech:
            speech.close()
        self._thread.join(2.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                while (clause := None if self._closing else self._next_clause()) is None:
                    if self._closing:
                        return
                    self._changed.wait()
                clause.is_taken = True
                self._clause = clause
            error = ""
            try:
                self._make(clause)
            except Exception as failure:
                error = str(failure) or type(failure).__name__
                _log.debug("the voice failed", exc_info=True)
            with self._changed:
                clause.error, clause.is_made = error, True
                self._clause = self._speech = None
                self._changed.notify_all()

    def _make(self, clause: Clause) -> None:
        speech = self._voice.speak(clause.speech, clause.language)
        try:
            with self._changed:
                self._speech = speech
                if clause.is_cancelled:
                    return
            for piece in speech:
                with self._changed:
                    while not clause.is_cancelled and len(clause.pieces) * len(piece) > self._limit_bytes:
                        self._changed.wait(1.0)  # nobody tells of each piece that is played
                    if clause.is_cancelled:
                        return
                    clause.pieces.append(piece)
                    clause.frames += len(piece) // BYTES_PER_FRAME
                    if len(clause.pieces) == 1:
                        self._changed.notify_all()
        finally:
            speech.close()
