"""From sound to utterances: voice activity in the caller's thread, recognition in one of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.echo import Echo
from smolfusion_ros.speech.endpointer import Began, Discarded, Ended, Endpointer, EndpointEvent, Paused, Resumed
from smolfusion_ros.speech.hearing import EarEvent, Heard, OnEvent, Partial, SpeechStarted, Unheard, Woken
from smolfusion_ros.speech.listening import Listening, Utterance
from smolfusion_ros.speech.recognition import Recogniser
from smolfusion_ros.speech.sound import SAMPLE_RATE, Samples, level_dbfs
from smolfusion_ros.speech.voice_activity import WINDOW, VoiceActivity
from smolfusion_ros.speech.wake import Wake

__all__ = ["Ear", "EarEvent", "Heard", "Partial", "SpeechStarted", "Unheard", "Woken"]


class Ear:
    """Hears sound in pieces of any size and tells, event by event, what was said.

    Args:
        vad, endpointer, recogniser: used by this alone from now on; ``close`` closes the recogniser.
        on_event: called in the thread that calls ``hear`` (``SpeechStarted``, some ``Unheard``) and in the
            recognition's own (all else).
        echo: takes the robot's voice out first.
        wake: what is not addressed to the robot is not told.
        deadline_s: an engine that takes longer over one call is reported, and again when its queue overflows.
        clock: steady seconds, for the deadline and ``engine_s``.
    """

    def __init__(
        self,
        vad: VoiceActivity,
        endpointer: Endpointer,
        recogniser: Recogniser,
        on_event: OnEvent,
        *,
        echo: Echo | None = None,
        wake: Wake | None = None,
        deadline_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vad, self._endpointer, self._echo = vad, endpointer, echo
        self._tell = on_event
        self._listening = Listening(recogniser, on_event, wake, deadline_s, clock)
        self._lock = threading.Lock()
        self._samples: Samples = np.zeros(0, np.float32)
        self._first = self._pushed = 0  # positions of the first sample kept, and of the first not handed on yet
        self._end_time_s = 0.0
        self._utterance: Utterance | None = None

    @property
    def speaking(self) -> bool:
        """Whether somebody speaks now, as far as is heard."""
        return self._endpointer.speaking

    @property
    def idle(self) -> bool:
        """Whether nobody speaks and nothing waits to be recognised."""
        return not self.speaking and self._listening.idle

    def hear(self, samples: Samples, end_time_s: float) -> None:
        """Take the next sound, 16 kHz mono; waits for no recognition.

        Args:
            end_time_s: when the last sample was heard, on any clock; events tell times on the same.

        Raises:
            SpeechError: the echo canceller fails.
        """
        events: list[EarEvent] = []
        with self._lock:
            if self._echo is not None:
                samples = self._echo.near(samples)
                end_time_s -= self._echo.held_back / SAMPLE_RATE
            self._samples = np.concatenate([self._samples, samples])
            self._end_time_s = end_time_s
            while self._first + self._samples.size - self._endpointer.position >= WINDOW:
                events += self._hear_window()
            self._forget()
        events += self._listening.overdue()
        for event in events:
            self._tell(event)

    def flush(self) -> None:
        """The sound ends here: the utterance under way is taken as it is, and what comes next is new."""
        with self._lock:
            events = self._follow(self._endpointer.flush())
            self._vad.reset()
            self._first, self._samples = self._endpointer.position, np.zeros(0, np.float32)
        for event in events:
            self._tell(event)

    def close(self, timeout_s: float = 2.0) -> None:
        """End the recognition; what waits is dropped. An engine that hangs is left behind after ``timeout_s``."""
        self._listening.close(timeout_s)

    def _hear_window(self) -> list[EarEvent]:
        begin = self._endpointer.position - self._first
        window = self._samples[begin : begin + WINDOW]
        level = level_dbfs(window)
        try:
            probability = self._vad.probability(window)
        except SpeechError as error:  # the next window is another
            self._vad.reset()
            return [*self._follow(self._endpointer.update(0.0, level)), Unheard(str(error))]
        if self._echo is not None and not self._endpointer.speaking and not self._echo.allows(level):
            probability = 0.0
        return self._follow(self._endpointer.update(probability, level))

    def _follow(self, happened: list[EndpointEvent]) -> list[EarEvent]:
        events: list[EarEvent] = []
        for each in happened:
            utterance = self._utterance
            if isinstance(each, Began):
                events += self._begin(each.start)
                events.append(SpeechStarted(self._time_s(each.speech)))
            elif utterance is None:
                continue
            elif isinstance(each, Paused):
                self._push(utterance, each.end)
                self._listening.pause(utterance)
            elif isinstance(each, Resumed):
                self._listening.resume(utterance)
            elif isinstance(each, Discarded):
                self._listening.discard(utterance)
                self._utterance = None
                events.append(Unheard(f"too short: {each.speech_s:.2f} s of speech"))
            elif isinstance(each, Ended):
                self._push(utterance, each.end)
                self._listening.end(utterance, self._time_s(each.speech_end))
                self._utterance = None
                if each.cut:
                    events += self._begin(each.end)
        if self._utterance is not None:
            self._push(self._utterance, self._endpointer.settled)
        return events

    def _begin(self, start: int) -> list[EarEvent]:
        self._utterance = Utterance(self._time_s(start))
        self._pushed = start
        return list(self._listening.begin(self._utterance))

    def _push(self, utterance: Utterance, end: int) -> None:
        """Hand on what certainly belongs to the utterance."""
        if end > self._pushed:
            self._listening.add(utterance, self._samples[self._pushed - self._first : end - self._first].copy())
            self._pushed = end

    def _forget(self) -> None:
        drop = self._endpointer.needed - self._first
        if drop > 0:
            self._samples = self._samples[drop:]
            self._first += drop

    def _time_s(self, position: int) -> float:
        return self._end_time_s - (self._first + self._samples.size - position) / SAMPLE_RATE
