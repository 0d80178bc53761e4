"""The safety stage: what a valid command needs before it may go out."""

import pytest
from clock import Clock

from smolfusion_ros.dialogue.actions import Action, Catalogue, Command
from smolfusion_ros.dialogue.policy import CommandPolicy, Situation
from smolfusion_ros.errors import CommandError

SEEN = Situation(person_seen=True, scene_age_s=0.1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def policy(clock: Clock) -> CommandPolicy:
    return CommandPolicy(clock)


def command(name: str = "act", **fields: float) -> Command:
    return Command(Action(name, "", **fields), {})


def refused(policy: CommandPolicy, what: Command, situation: Situation = SEEN) -> str:
    with pytest.raises(CommandError) as refusal:
        policy.admit(what, situation)
    return str(refusal.value)


def test_action_without_preconditions_passes_even_blind(policy: CommandPolicy, clock: Clock):
    for _ in range(3):
        policy.admit(command(), Situation())


def test_action_that_needs_a_person_waits_for_one(policy: CommandPolicy):
    handshake = command(needs_person=True)
    assert refused(policy, handshake, Situation(person_seen=False, scene_age_s=0)) == "needs a person, nobody is seen"
    policy.admit(handshake, SEEN)


@pytest.mark.parametrize(("age_s", "passes"), [(0.0, True), (10.0, True), (10.01, False), (float("inf"), False)])
def test_scene_must_be_fresh_enough(policy: CommandPolicy, age_s: float, passes: bool):
    aged = command(max_scene_age_s=10.0)
    if passes:
        policy.admit(aged, Situation(True, age_s))
    else:
        assert refused(policy, aged, Situation(True, age_s)) == "the scene is older than 10 s"


def test_same_action_passes_again_only_after_its_cooldown(policy: CommandPolicy, clock: Clock):
    nod = command("nod", cooldown_s=1.0)
    policy.admit(nod, SEEN)
    clock.now_s += 0.99
    assert refused(policy, nod) == "again within 1 s"
    policy.admit(command("bow", cooldown_s=1.0), SEEN)
    clock.now_s += 0.02
    policy.admit(nod, SEEN)
    clock.now_s += 0.5
    assert refused(policy, nod) == "again within 1 s"


def test_refused_command_starts_no_cooldown(policy: CommandPolicy, clock: Clock):
    wave = command("wave", cooldown_s=5.0, needs_person=True)
    refused(policy, wave, Situation())
    policy.admit(wave, SEEN)


def test_refusal_does_not_prolong_a_cooldown(policy: CommandPolicy, clock: Clock):
    nod = command("nod", cooldown_s=1.0)
    policy.admit(nod, SEEN)
    clock.now_s += 0.9
    refused(policy, nod)
    clock.now_s += 0.2
    policy.admit(nod, SEEN)


def test_emergency_stop_lets_only_stop_pass_until_it_is_released(policy: CommandPolicy, catalogue: Catalogue):
    policy.emergency_stop = True
    for action in catalogue:
        if action.name != "stop":
            assert refused(policy, Command(action, {})) == "emergency stop is engaged"
    policy.admit(Command(catalogue["stop"], {}), Situation())
    policy.emergency_stop = False
    for action in catalogue:
        policy.admit(Command(action, {}), SEEN)
