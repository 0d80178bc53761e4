"""Where an utterance begins and ends, told from each window's probability of speech. A pure state machine."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.sound import SAMPLE_RATE
from smolfusion_ros.speech.voice_activity import WINDOW

_START_OF, _START_IN = 3, 4  # speech begins when 3 of the last 4 windows have it
_CUT_WITHIN_S = 3.0  # too long an utterance is cut at the quietest window of its last seconds


def _windows(seconds: float) -> int:
    return max(1, round(seconds * SAMPLE_RATE / WINDOW))


@dataclass(frozen=True)
class EndpointConfig:
    """When speech begins and ends.

    Args:
        start_threshold: probability (0 to 1) from which a window counts towards a beginning.
        end_threshold: probability below which a window counts as silence; at most ``start_threshold``.
        endpoint_silence_s: silence that ends an utterance, 0.1 to 5.
        min_speech_s: speech shorter than this is no utterance, 0 to 2.
        pre_roll_s: kept from before the beginning, 0 to 2: the first consonant is quiet.
        max_utterance_s: a longer one is cut, 5 to 28 (Whisper hears 30 s).
        pause_s: silence after which the utterance may be over already; that much of it belongs to the utterance.

    Raises:
        SpeechError: a value lies outside its range.
    """

    start_threshold: float = 0.5
    end_threshold: float = 0.35
    endpoint_silence_s: float = 0.6
    min_speech_s: float = 0.15
    pre_roll_s: float = 0.3
    max_utterance_s: float = 20.0
    pause_s: float = 0.25

    def __post_init__(self) -> None:
        for name, low, high in (
            ("start_threshold", 0.01, 1.0),
            ("end_threshold", 0.0, self.start_threshold),
            ("endpoint_silence_s", 0.1, 5.0),
            ("min_speech_s", 0.0, 2.0),
            ("pre_roll_s", 0.0, 2.0),
            ("max_utterance_s", 5.0, 28.0),
            ("pause_s", 0.1, 5.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise SpeechError(f"{name} is {value}: use {low} to {high}")


@dataclass(frozen=True)
class Began:
    """Speech began; ``start`` is its first sample, pre-roll included, ``speech`` the first one of the speech itself."""

    start: int
    speech: int


@dataclass(frozen=True)
class Paused:
    """It has been quiet for ``pause_s``; the utterance would end before sample ``end``."""

    end: int


@dataclass(frozen=True)
class Resumed:
    """Speech goes on after a pause."""


@dataclass(frozen=True)
class Ended:
    """The utterance is the samples from ``start`` up to ``end``; ``speech_end`` is the end of the speech in it.

    With ``cut`` it was too long, and goes on at ``end`` without a ``Began``.
    """

    start: int
    end: int
    speech_end: int
    cut: bool = False


@dataclass(frozen=True)
class Discarded:
    """What began was too short to be speech; ``speech_s`` of it was."""

    start: int
    speech_s: float


EndpointEvent = Began | Paused | Resumed | Ended | Discarded


class Endpointer:
    """Positions count samples from the first window on."""

    def __init__(self, config: EndpointConfig | None = None) -> None:
        self.config = config or EndpointConfig()
        self._silence = _windows(self.config.endpoint_silence_s)
        self._pause = min(_windows(self.config.pause_s), self._silence)
        self._cut_within = _windows(_CUT_WITHIN_S)
        self._longest = _windows(self.config.max_utterance_s)
        self._pre_roll = round(self.config.pre_roll_s * SAMPLE_RATE)
        self._tail: deque[tuple[float, bool]] = deque(maxlen=self._cut_within)  # level, speech or not
        self._recent: deque[bool] = deque(maxlen=_START_IN)
        self.position = 0
        self._start: int | None = None
        self._floor = 0  # before it samples belong to an utterance that has ended
        self._speech_end = 0
        self._speech_windows = 0
        self._continues = False

    @property
    def speaking(self) -> bool:
        """Whether an utterance is under way, the silence at its end included."""
        return self._start is not None

    @property
    def settled(self) -> int:
        """Samples before this one belong, from ``start`` on, to the utterance under way, however it ends."""
        if self._start is None:
            return self.position
        quiet = self._speech_end + self._pause * WINDOW
        return max(self._start, min(self.position, quiet, self._start + (self._longest - self._cut_within) * WINDOW))

    @property
    def needed(self) -> int:
        """Samples before this one will never be asked for again."""
        if self._start is not None:
            return self.settled
        return max(self._floor, self.position - self._pre_roll - _START_IN * WINDOW)

    def update(self, probability: float, level_dbfs: float) -> list[EndpointEvent]:
        """Take the next window of ``WINDOW`` samples."""
        was_silent = self._silent_windows()
        self.position += WINDOW
        self._tail.append((level_dbfs, probability >= self.config.end_threshold))
        if self._start is None:
            return self._listen(probability)
        events: list[EndpointEvent] = []
        if probability >= self.config.end_threshold:
            self._speech_end = self.position
            self._speech_windows += 1
            if was_silent >= self._pause:
                events.append(Resumed())
        elif was_silent + 1 == self._pause:
            events.append(Paused(self.settled))
        if self._silent_windows() >= self._silence:
            return [*events, *self._end()]
        if self.position - self._start >= self._longest * WINDOW:
            events.append(self._cut(self._start))
        return events

    def flush(self) -> list[EndpointEvent]:
        """The sound ends here: end the utterance under way, if there is one; what comes next has no past."""
        events = self._end()
        self._floor = self.position
        self._recent.clear()
        return events

    def _end(self) -> list[EndpointEvent]:
        if self._start is None:
            return []
        start, speech_s = self._start, self._speech_windows * WINDOW / SAMPLE_RATE
        end = max(start, min(self.position, self._speech_end + self._pause * WINDOW))
        self._start, self._floor = None, end
        self._recent.clear()
        if not speech_s or (speech_s < self.config.min_speech_s and not self._continues):
            return [Discarded(start, speech_s)]
        return [Ended(start, end, self._speech_end)]

    def _silent_windows(self) -> int:
        return (self.position - self._speech_end) // WINDOW

    def _listen(self, probability: float) -> list[EndpointEvent]:
        self._recent.append(probability >= self.config.start_threshold)
        if sum(self._recent) < _START_OF:
            return []
        first = len(self._recent) - list(self._recent).index(True)
        speech = self.position - first * WINDOW
        self._start = max(self._floor, speech - self._pre_roll)
        self._speech_end = self.position
        self._speech_windows = sum(self._recent)
        self._continues = False
        return [Began(self._start, speech)]

    def _cut(self, start: int) -> Ended:
        levels = [level for level, _ in self._tail]
        back = len(levels) - levels.index(min(levels))  # the quietest is the back-th window from the end
        end = self.position - back * WINDOW + WINDOW // 2
        self._start, self._continues = end, True
        self._speech_windows = sum(speech for _, speech in list(self._tail)[-back:])
        return Ended(start, end, min(self._speech_end, end), cut=True)
