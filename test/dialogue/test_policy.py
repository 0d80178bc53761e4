"""The safety stage: what a valid command needs before it may go out."""

from random import Random
from typing import Any

import pytest
from clock import Clock

from smolfusion_ros.dialogue.actions import FINAL_STATES, PRIORITIES, STATES, Action, Catalogue, Command
from smolfusion_ros.dialogue.policy import FLOOR_MAX_S, CommandPolicy, Situation
from smolfusion_ros.dialogue.turn import new_id
from smolfusion_ros.errors import CommandError, ConfigurationError

SEEN = Situation(person_seen=True, scene_age_s=0.1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def policy(clock: Clock) -> CommandPolicy:
    return CommandPolicy(clock)


def command(name: str = "act", **fields: Any) -> Command:
    return Command(Action(name, "", **fields), {})


def admit(
    policy: CommandPolicy, what: Command, situation: Situation = SEEN, *, session: str = "s", command_id: str = ""
) -> str:
    """Let a command pass; its id."""
    command_id = command_id or new_id()
    policy.admit(what, situation, session_id=session, command_id=command_id)
    return command_id


def refused(policy: CommandPolicy, what: Command, situation: Situation = SEEN, *, session: str = "s") -> str:
    with pytest.raises(CommandError) as refusal:
        admit(policy, what, situation, session=session)
    return str(refusal.value)


def test_action_without_preconditions_passes_even_blind(policy: CommandPolicy, clock: Clock):
    for _ in range(3):
        admit(policy, command(), Situation())


def test_action_that_needs_a_person_waits_for_one(policy: CommandPolicy):
    handshake = command(needs_person=True)
    assert refused(policy, handshake, Situation(person_seen=False, scene_age_s=0)) == "needs a person, nobody is seen"
    admit(policy, handshake, SEEN)


@pytest.mark.parametrize(("age_s", "passes"), [(0.0, True), (10.0, True), (10.01, False), (float("inf"), False)])
def test_scene_must_be_fresh_enough(policy: CommandPolicy, age_s: float, passes: bool):
    aged = command(max_scene_age_s=10.0)
    if passes:
        admit(policy, aged, Situation(True, age_s))
    else:
        assert refused(policy, aged, Situation(True, age_s)) == "the scene is older than 10 s"


def test_same_action_passes_again_only_after_its_cooldown(policy: CommandPolicy, clock: Clock):
    nod = command("nod", cooldown_s=1.0)
    admit(policy, nod, SEEN)
    clock.now_s += 0.99
    assert refused(policy, nod) == "again within 1 s"
    admit(policy, command("bow", cooldown_s=1.0), SEEN)
    clock.now_s += 0.02
    admit(policy, nod, SEEN)
    clock.now_s += 0.5
    assert refused(policy, nod) == "again within 1 s"


def test_refused_command_starts_no_cooldown(policy: CommandPolicy, clock: Clock):
    wave = command("wave", cooldown_s=5.0, needs_person=True)
    refused(policy, wave, Situation())
    admit(policy, wave, SEEN)


def test_refusal_does_not_prolong_a_cooldown(policy: CommandPolicy, clock: Clock):
    nod = command("nod", cooldown_s=1.0)
    admit(policy, nod, SEEN)
    clock.now_s += 0.9
    refused(policy, nod)
    clock.now_s += 0.2
    admit(policy, nod, SEEN)


def test_emergency_stop_lets_only_stop_pass_until_it_is_released(policy: CommandPolicy, catalogue: Catalogue):
    policy.emergency_stop = True
    for action in catalogue:
        if action.name != "stop":
            assert refused(policy, Command(action, {})) == "emergency stop is engaged"
    admit(policy, Command(catalogue["stop"], {}), Situation())
    policy.emergency_stop = False
    for action in catalogue:
        admit(policy, Command(action, {}), SEEN)


def test_motion_of_one_session_keeps_out_motions_of_others_and_nothing_else(policy: CommandPolicy):
    walk, turn, look = command("walk", motion=True), command("turn", motion=True), command("look_at", priority=0)
    admit(policy, walk, session="a")
    assert policy.moving_session == "a"
    assert refused(policy, turn, session="b") == "session 'a' is moving the robot"
    admit(policy, look, session="b")
    admit(policy, command("wave"), session="b")
    admit(policy, look, session="a")
    admit(policy, turn, session="a")


@pytest.mark.parametrize("priority", sorted(PRIORITIES.values()))
def test_priority_does_not_win_the_floor_from_another_session(policy: CommandPolicy, priority: int):
    admit(policy, command("walk", motion=True, priority=0), session="a")
    assert "is moving" in refused(policy, command("run", motion=True, priority=priority), session="b")


def test_command_that_is_refused_takes_no_floor(policy: CommandPolicy):
    admit(policy, command("dance", cooldown_s=5.0), session="b")
    refused(policy, command("dance", cooldown_s=5.0, motion=True), session="a")
    refused(policy, command("handshake", needs_person=True, motion=True), Situation(), session="a")
    assert policy.moving_session is None


def test_motion_that_is_kept_out_starts_no_cooldown(policy: CommandPolicy):
    walk, dance = command("walk", motion=True), command("dance", motion=True, cooldown_s=5.0)
    walking = admit(policy, walk, session="a")
    refused(policy, dance, session="b")
    policy.on_status(walking, "succeeded")
    admit(policy, dance, session="b")


@pytest.mark.parametrize("session", ["a", "b"])
def test_stop_of_any_session_passes_and_frees_the_floor(policy: CommandPolicy, catalogue: Catalogue, session: str):
    walking = admit(policy, command("walk", motion=True), session="a")
    policy.on_status(walking, "running")
    admit(policy, Command(catalogue["stop"], {}), Situation(), session=session)
    assert policy.moving_session is None
    policy.on_status(walking, "running")  # sent before the driver had heard the stop
    assert policy.moving_session is None


def test_emergency_stop_frees_the_floor(policy: CommandPolicy):
    walk = command("walk", motion=True)
    admit(policy, walk, session="a")
    policy.emergency_stop = True
    policy.emergency_stop = False
    admit(policy, walk, session="b")


def test_patience_with_the_driver_can_be_changed(policy: CommandPolicy, clock: Clock):
    policy.hold_floor_for(5.0)
    command_id = admit(policy, command("walk", motion=True), session="a")
    policy.on_status(command_id, "running")
    clock.now_s += 4.0
    assert policy.moving_session == "a"
    clock.now_s += 1.0
    assert policy.moving_session is None


def test_floor_that_nobody_could_hold_is_refused(clock: Clock):
    with pytest.raises(ConfigurationError, match="more than 0"):
        CommandPolicy(clock, floor_max_s=0.0)


def test_whatever_happens_stop_passes_and_two_sessions_never_move_the_robot_at_once(
    policy: CommandPolicy, clock: Clock, catalogue: Catalogue
):
    random = Random(4)
    motions = [action for action in catalogue if action.motion]
    holds: dict[str, tuple[str, float, float]] = {}  # command id: session, end of its hold, latest end it may have
    given: list[str] = []
    admitted = kept_out = 0
    for _ in range(20_000):
        clock.now_s += random.expovariate(1.0)
        session, event = random.choice("abc"), random.random()
        if event < 0.02:
            admit(policy, Command(catalogue["stop"], {}), Situation(), session=session)
            holds.clear()
        elif event < 0.5 and given:
            command_id, state = random.choice(given[-4:]), random.choice(STATES)
            policy.on_status(command_id, state)
            if state in FINAL_STATES:
                holds.pop(command_id, None)
            elif state == "running" and command_id in holds:
                by, end, _ = holds[command_id]
                latest = clock.now_s + FLOOR_MAX_S
                holds[command_id] = (by, latest if clock.now_s < end else end, latest)
        else:
            action = random.choice(motions)
            moving = {by for by, end, _ in holds.values() if clock.now_s < end} - {session}
            perhaps = {by for by, _, latest in holds.values() if clock.now_s < latest} - {session}
            try:
                command_id = admit(policy, Command(action, {}), session=session)
            except CommandError as refusal:
                if "is moving" in str(refusal):
                    assert perhaps, "kept out by nobody"
                    kept_out += 1
            else:
                assert not moving, f"{session} moves the robot while {moving} does"
                admitted += 1
                holds = {key: hold for key, hold in holds.items() if hold[0] == session}
                holds[command_id] = (session, clock.now_s + action.lifetime_s, clock.now_s + FLOOR_MAX_S)
                given.append(command_id)
    assert admitted > 1000 and kept_out > 1000
