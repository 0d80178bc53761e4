"""Who is alive, from what nodes say on /diagnostics."""

import pytest
from clock import Clock

from smolfusion_ros.metrics.presence import MAX_PID, Presence, node_of

PID = [("queue", "3"), ("pid", "4711")]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_node_is_known_by_name_and_process() -> None:
    assert node_of("smolfusion/memory: store", "/smolfusion", PID, "/smolfusion") == ("memory", 4711)
    assert node_of("a/b/memory: the store: size", "/a/b", PID, "/a/b") == ("memory", 4711)
    assert node_of("memory: store", "/", PID, "/") == ("memory", 4711)


@pytest.mark.parametrize(
    ("name", "hardware_id"),
    [
        ("smolfusion2/memory: store", "/smolfusion2"),
        ("smolfusion/arm/driver: motor", "/smolfusion/arm"),
        ("memory: store", "/"),
        ("smolfusion/memory: store", "battery"),
        ("smolfusion/memory", "/smolfusion"),
        ("smolfusion/: store", "/smolfusion"),
        ("", ""),
        (": ", "/smolfusion"),
    ],
)
def test_other_robots_and_strangers_are_not_ours(name: str, hardware_id: str) -> None:
    assert node_of(name, hardware_id, PID, "/smolfusion") is None


@pytest.mark.parametrize("pid", ["", "-1", "0", "1.5", "one", "٣", "²", "9" * 5000, str(MAX_PID + 1), " 7"])
def test_a_status_with_no_sensible_pid_is_not_ours(pid: str) -> None:
    assert node_of("smolfusion/memory: store", "/smolfusion", [("pid", pid)], "/smolfusion") is None


def test_a_node_on_another_machine_lives_but_its_pid_means_nothing_here(clock: Clock) -> None:
    values = [("pid", "4711"), ("host", "another-robot")]
    found = node_of("smolfusion/memory: store", "/smolfusion", values, "/smolfusion")
    assert found == ("memory", 0)
    presence = Presence(clock)
    presence.heard(*found)
    assert presence.silent_s("memory") == 0.0
    assert presence.pids() == {}


def test_a_status_without_pid_is_not_ours() -> None:
    assert node_of("smolfusion/memory: store", "/smolfusion", [], "/smolfusion") is None


def test_silence_grows_until_a_node_is_heard_again(clock: Clock) -> None:
    presence = Presence(clock)
    assert presence.silent_s("memory") is None
    presence.heard("memory", 10)
    clock.now_s += 4.0
    assert presence.silent_s("memory") == pytest.approx(4.0)
    presence.heard("memory", 11)
    assert presence.silent_s("memory") == 0.0
    assert presence.pids() == {"memory": 11}


def test_the_pid_of_a_node_long_silent_is_not_trusted(clock: Clock) -> None:
    presence = Presence(clock)
    presence.heard("memory", 10)
    clock.now_s += 61.0
    presence.heard("dialogue", 20)
    assert presence.pids() == {"dialogue": 20}
    assert presence.silent_s("memory") == pytest.approx(61.0)


def test_invented_nodes_do_not_grow_without_bound_nor_push_a_live_one_out(clock: Clock) -> None:
    presence = Presence(clock)
    for index in range(1000):
        presence.heard(f"invented{index}", index + 1)
        presence.heard("memory", 10)
    assert len(presence.pids()) == 64
    assert presence.silent_s("memory") == 0.0
    assert presence.silent_s("invented0") is None
