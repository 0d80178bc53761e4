"""Every process of the stack may be killed in the middle of a conversation: it is back soon, and nothing goes wrong."""

from collections.abc import Iterator

import pytest

from system.kills import STOP, Visit, start
from system.runner import PROCESSES

# The first test's time is that of the whole round.
pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

BACK_S = 5.0


@pytest.fixture(scope="module")
def visit(tmp_path_factory) -> Iterator[Visit]:
    """A visit during which every process was killed once."""
    runner = start(tmp_path_factory.mktemp("kills"))
    try:
        runner.wait_until_ready()
        visit = Visit(runner)
        visit.kill_each()
        visit.visitor.close()
        yield visit
        runner.workplace.check_logs()
    finally:
        runner.close()


@pytest.mark.parametrize("name", PROCESSES)
def test_killed_process_is_back_soon_and_harms_no_other(visit: Visit, name: str) -> None:
    [recovery] = visit.recoveries[name]
    print(f"another {name} after {recovery.respawn_s:.1f} s; all as before {recovery.back_s:.1f} s later")
    assert recovery.back_s < BACK_S
    assert recovery.harmed == ()


def test_no_acknowledged_turn_is_lost(visit: Visit) -> None:
    said = visit.visitor.said()
    acknowledged = [each for each in said if each.acknowledged]
    print(f"{len(said)} utterances, {len(acknowledged)} acknowledged")
    assert {each.session_id.partition(",")[0] for each in acknowledged} >= {f"1: {name}" for name in PROCESSES}
    assert visit.lost_turns() == []


def test_no_command_is_given_twice_or_unasked(visit: Visit) -> None:
    commands = visit.commands()
    print(f"commands: {commands}")
    assert visit.wrong_commands() == []
    stops = [each for each in visit.visitor.said() if each.acknowledged and each.text == STOP]
    assert commands.count(STOP) >= len(stops) > 0
    assert set(commands) > {STOP}
