"""A log that tells each trouble at once and none of them thirty times a second."""

import threading

import pytest
from clock import Clock

from smolfusion_ros.nodes._log import MAX_TEXTS, PERIOD_S, Repeats


class Lines:
    """A stand-in for rclpy's logger."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def error(self, message: str) -> None:
        self.lines.append(("error", message))

    def warning(self, message: str) -> None:
        self.lines.append(("warning", message))

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.lines]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> Lines:
    return Lines()


@pytest.fixture
def repeats(log: Lines, clock: Clock) -> Repeats:
    return Repeats(log, clock)


def test_the_same_text_is_told_once_a_period_with_the_number_left_out(
    repeats: Repeats, log: Lines, clock: Clock
) -> None:
    for index in range(30 * 12):
        clock.now_s = 1000.0 + index / 30
        repeats.error("no data")
    assert log.texts == ["no data", "no data (149 more times before)", "no data (149 more times before)"]


def test_another_text_is_told_at_once(repeats: Repeats, log: Lines) -> None:
    repeats.error("no data")
    repeats.error("no data")
    repeats.warning("step is 3")
    assert log.lines == [("error", "no data"), ("warning", "step is 3")]


def test_what_was_left_out_is_told_even_if_the_text_never_comes_again(
    repeats: Repeats, log: Lines, clock: Clock
) -> None:
    for _ in range(4):
        repeats.error("no data")
    clock.now_s += PERIOD_S
    repeats.warning("step is 3")
    assert log.lines[1:] == [("error", "no data (3 more times before)"), ("warning", "step is 3")]


def test_texts_that_always_differ_do_not_flood(repeats: Repeats, log: Lines, clock: Clock) -> None:
    for index in range(300):
        repeats.error(f"JPEG of {index} bytes is truncated")
        clock.now_s += 1 / 30
    assert len(log.lines) <= 3 * (MAX_TEXTS + 1)
    assert any("left out" in text for text in log.texts)


def test_what_is_remembered_is_bounded(repeats: Repeats, clock: Clock) -> None:
    for index in range(1000):
        repeats.error(f"trouble {index}")
        clock.now_s += 0.5
    assert len(repeats._said) <= MAX_TEXTS


def test_threads_may_share_it(log: Lines) -> None:
    repeats = Repeats(log)
    threads = [threading.Thread(target=lambda: [repeats.error("no data") for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.texts == ["no data"]
    assert repeats._said["no data"].left_out == 3999


def test_rclpy_takes_both_severities(capfd: pytest.CaptureFixture[str]) -> None:
    from rclpy.logging import get_logger

    repeats = Repeats(get_logger("repeats"))
    for text in ("first", "second"):
        repeats.error(f"{text} error")
        repeats.warning(f"{text} warning")
    written = capfd.readouterr().err
    assert [word in written for word in ("first error", "second error", "first warning", "second warning")] == [
        True
    ] * 4
