"""A recogniser that does as it is told, for what a real one cannot be made to do at will."""

import threading
from collections.abc import Callable

import numpy as np

from smolfusion_ros.speech.recognition import Transcript


class ScriptedRecogniser:
    """Tells the number of samples it was fed as text.

    Args:
        streaming: as of ``Recogniser``.
        finishing: called in ``finish`` with the samples, before it answers; may raise or wait.

    Attributes:
        finished: the samples of each ``finish``.
        closed: set by ``close``.
    """

    def __init__(
        self, streaming: bool = False, finishing: Callable[[np.ndarray], None] = lambda _samples: None
    ) -> None:
        self.streaming = streaming
        self.finished: list[np.ndarray] = []
        self.closed = threading.Event()
        self._finishing = finishing
        self._pieces: list[np.ndarray] = []

    def begin(self) -> None:
        self._pieces = []

    def feed(self, samples: np.ndarray) -> None:
        self._pieces.append(samples)

    def partial(self) -> str:
        return f"about {sum(piece.size for piece in self._pieces) // 16000} s" if self.streaming else ""

    def finish(self) -> Transcript:
        samples = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.float32)
        self._finishing(samples)
        self.finished.append(samples)
        return Transcript(str(samples.size), "en", 0.9)

    def close(self) -> None:
        self.closed.set()
