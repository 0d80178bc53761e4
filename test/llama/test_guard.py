"""The circuit breaker: who is let through, and when."""

import asyncio

import pytest
from clock import Clock

from smolfusion_ros.errors import BackendUnavailableError
from smolfusion_ros.llama.guard import Guard, State, watch


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guard(clock: Clock) -> Guard:
    return Guard(clock=clock)


def passes(guard: Guard) -> bool:
    try:
        guard.check()
    except BackendUnavailableError:
        return False
    return True


def test_server_that_was_not_asked_yet_may_be_asked(guard: Guard):
    assert guard.state is State.UNKNOWN
    assert passes(guard)


@pytest.mark.parametrize("found", [State.DOWN, State.LOADING])
def test_nobody_waits_for_a_server_that_is_away_or_loading(guard: Guard, found: State):
    guard.probed(found, "connection refused")
    assert not passes(guard)
    guard.probed(State.UP)
    assert passes(guard)


def test_refusal_tells_since_when_and_why(guard: Guard, clock: Clock):
    guard.probed(State.DOWN, "connection refused")
    clock.now_s += 12
    with pytest.raises(BackendUnavailableError, match="away for 12 s: connection refused"):
        guard.check()


def test_single_failures_do_not_matter(guard: Guard):
    for _ in range(10):
        guard.failed("reset")
        guard.failed("reset")
        guard.succeeded()
    assert guard.state is State.UP


def test_struggling_server_rests_longer_each_time_it_fails_again(guard: Guard, clock: Clock):
    for _ in range(3):
        guard.failed("no answer")
    rests_s = []
    for _ in range(7):
        rest_s = 0
        while not passes(guard):
            clock.now_s += 0.5
            rest_s += 0.5
        rests_s.append(rest_s)
        guard.failed("no answer")
    assert rests_s == [1, 2, 4, 8, 16, 30, 30]
    clock.now_s += 30
    guard.succeeded()
    assert guard.state is State.UP
    for _ in range(3):
        guard.failed("no answer")
    clock.now_s += 1
    assert passes(guard), "after a success the first rest is short again"


def test_good_health_does_not_end_the_rest_of_a_server_that_fails_requests(guard: Guard):
    for _ in range(3):
        guard.failed("no answer")
    guard.probed(State.UP)
    assert guard.state is State.STRUGGLING
    assert not passes(guard)


def test_restarted_server_starts_afresh(guard: Guard):
    for _ in range(3):
        guard.failed("no answer")
    guard.probed(State.DOWN, "connection refused")
    guard.probed(State.UP)
    guard.failed("no answer")
    assert guard.state is State.UP


def test_probe_that_a_busy_machine_leaves_unanswered_ends_nothing(guard: Guard, clock: Clock):
    guard.probed(State.UP)
    guard.probed(State.UNKNOWN, "no answer within 0.8 s")
    assert guard.state is State.UP
    guard.alive()
    guard.probed(State.UNKNOWN)
    guard.probed(State.UNKNOWN)
    assert guard.state is State.UP, "a request is getting on"
    clock.now_s += 3
    guard.probed(State.UNKNOWN, "no answer within 0.8 s")
    assert guard.state is State.DOWN


def test_watch_tells_every_change_once(guard: Guard, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("smolfusion_ros.llama.guard.PROBE_INTERVAL_S", 0.0)
    found = [State.UP, State.UP, State.DOWN, State.DOWN, State.LOADING, State.UP]
    told: list[State] = []

    async def probe() -> None:
        if not found:
            raise asyncio.CancelledError
        guard.probed(found.pop(0))

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watch(probe, guard, told.append))
    assert told == [State.UP, State.DOWN, State.LOADING, State.UP]
