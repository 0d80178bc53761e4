"""A steady clock that a test sets."""


class Clock:
    """``now_s``: the time, seconds."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s
