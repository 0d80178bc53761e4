"""A person's parameter file: what ROS would pass over in silence is told before anything starts."""

from pathlib import Path

import pytest

from smolfusion_ros.bringup.paths import share_directory
from smolfusion_ros.bringup.stack import Options, plan
from smolfusion_ros.errors import ConfigurationError


def start(path: Path) -> None:
    plan("embedded", Options(params_file=str(path), start_backends=False))


def test_file_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"no parameter file /nowhere/robot\.yaml"):
        start(Path("/nowhere/robot.yaml"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("motion_gate: {jpeg_quality: 90}", "no ros__parameters in it"),
        ("a: [", "cannot be read"),
        ("- 1", "expected a mapping"),
        ("/**/memory: {ros__parameters: 5}", "ros__parameters of /\\*\\*/memory is 5, no mapping"),
        ("/**/memory: {ros__parameters: {max_turn: 5}}", "memory has no parameter 'max_turn'; is max_turns meant"),
        ("/**: {ros__parameters: {colour: red}}", r"\*\* has no parameter 'colour'$"),
        (
            "/smolfusion/dialogue: {ros__parameters: {deadline_s: soon}}",
            "'soon'; it takes a number with a decimal point",
        ),
        ("/**/dialogue: {ros__parameters: {deadline_s: 5}}", "5; it takes a number with a decimal point"),
        ("/**/dialogue: {ros__parameters: {max_waiting: 2.5}}", "2.5; it takes a whole number"),
        ("/**/dialogue: {ros__parameters: {autostart: 1}}", "1; it takes true or false"),
        ("/**/perception: {ros__parameters: {face_model: 7}}", "7; it takes text, in quotes"),
        ("/*/memory: {ros__parameters: {max_turns: many}}", "'many'; it takes a whole number"),
        ("memory: {ros__parameters: {max_turns: 5}}", "/memory is no node under /smolfusion; write"),
        ("/smolfusio/memory: {ros__parameters: {max_turns: 5}}", "/smolfusio/memory is no node under /smolfusion"),
        ("ros__parameters: {max_turns: 5}", "is no node under /smolfusion"),
    ],
)
def test_file_that_ros_would_not_take_as_it_was_meant_is_refused_with_its_name(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=rf"robot\.yaml.*{reason}"):
        start(path)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "/**/memory: {ros__parameters: {max_turns: 5}}",
        "/**: {memory: {ros__parameters: {max_turns: 5}}}",
        "smolfusion: {memory: {ros__parameters: {max_turns: 5}}}",
        "/**: {ros__parameters: {use_sim_time: true}}",
        "/**: {ros__parameters: {llm_url: 'http://10.0.0.2:8080'}}",
        "/**/motion_gate: {ros__parameters: {min_changed_fraction: 1e-3}}",
        "/**/motion_gate: {ros__parameters: {qos_overrides: {/image: {subscription: {reliability: reliable}}}}}",
        "{/**/memory: {ros__parameters: {max_turns: 5}}, /navigation/monitor: {ros__parameters: {rate: 5}}}",
        "{/**/memory: {ros__parameters: {max_turns: 5}}, /navigation/*: {ros__parameters: {colour: red}}}",
    ],
)
def test_file_that_ros_takes_is_taken(tmp_path: Path, text: str) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(text)
    start(path)


def test_the_package_s_own_file_is_taken() -> None:
    start(share_directory() / "config" / "smolfusion.yaml")
