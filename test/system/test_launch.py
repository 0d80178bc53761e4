"""``ros2 launch`` starts the same stack; needs launch, launch_ros and ros2cli, which a ROS installation has."""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from smolfusion_ros.srv import Chat, ListSessions

from system.probe import Probe, until
from system.stack import END_S, Workplace, answers, assert_gone

# launch_ros brings launch, which cannot be looked for: the project's own launch/ bears its name.
MISSING = [name for name in ("launch_ros", "ros2cli") if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

NODES = {"motion_gate", "perception", "dialogue", "memory", "monitor", "gateway", "video_source"}
LAUNCH_FILE = ("smolfusion_ros", "smolfusion.launch.py")

# Two robots of a launch file of one's own: what one is told is not the other's, and the group's remapping is its own.
TWO_ROBOTS = """
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch_ros.actions import PushRosNamespace, SetRemap
from launch_ros.substitutions import FindPackageShare


def robot(name, **arguments):
    included = IncludeLaunchDescription(
        [FindPackageShare("smolfusion_ros"), "/launch/smolfusion.launch.py"],
        launch_arguments={
            "namespace": name, "nodes": "dialogue,memory", "start_backends": "false", **arguments
        }.items(),
    )
    heard = SetRemap("utterance", f"/{name}/speech/text")
    return GroupAction([PushRosNamespace("fleet"), heard, included], forwarding=False)


def generate_launch_description():
    return LaunchDescription([robot("robot1", remap="chat:=say"), robot("robot2")])
"""


def _ros2(workplace: Workplace, *words: str) -> subprocess.CompletedProcess[str]:
    """One ``ros2`` command, to its end."""
    return subprocess.run(
        [shutil.which("ros2"), *words],
        env=workplace.environment, cwd=workplace.directory, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("file", ["smolfusion.launch.py", "backends.launch.py"])
def test_every_argument_is_described(tmp_path: Path, file: str) -> None:
    shown = _ros2(Workplace(tmp_path / "arguments"), "launch", "smolfusion_ros", file, "--show-args").stdout
    assert shown.count("(default: ") == shown.count("':\n") >= 4
    assert "No description given" not in shown


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("profile:=toaster", "no profile 'toaster'"),
        ("llm_port:=soon", "llm_port 'soon' is not a whole number"),
        ("remap:=utterance", "remapping 'utterance' is not of the form from:=to"),
        ("nodes:=motor", "unknown node 'motor'"),
        ("params_file:=/nowhere.yaml", "no parameter file /nowhere.yaml"),
    ],
)
def test_argument_that_cannot_be_is_told_in_a_line_and_nothing_starts(
    tmp_path: Path, argument: str, reason: str
) -> None:
    launched = _ros2(Workplace(tmp_path / "wrong"), "launch", *LAUNCH_FILE, argument)
    assert launched.returncode != 0
    assert reason in launched.stdout + launched.stderr
    assert "process started" not in launched.stdout + launched.stderr
    assert "Traceback" not in launched.stdout + launched.stderr


def test_launch_file_runs_the_stack(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path / "launch")
    arguments = [
        f"profile:={workplace.profile}",
        "provider:=xllamacpp",
        "video:=rendered:visit",
        f"gateway_port:={workplace.gateway_port}",
        "remap:=chat:=/heard/chat",
    ]
    with _launched(workplace, *LAUNCH_FILE, *arguments) as (launch, probe):
        begun = time.monotonic()
        until(lambda: set(probe.node.get_node_names()) >= NODES, "all nodes", 60.0)
        until(lambda: answers(f"{workplace.llm_url}/v1/models"), "the language model", 60.0)
        probe.heard("scene").wait_for(lambda scene: scene.source == "vlm", 30.0)
        print(f"ready after {time.monotonic() - begun:.1f} s")
        # The first command starts the daemon that the others ask, and it needs a moment to find the nodes.
        listed = {f"/smolfusion/{name}" for name in NODES}
        until(lambda: set(_ros2(workplace, "node", "list").stdout.split()) >= listed, "all nodes in ros2 node list")
        _call_and_converse(workplace)
        _change_and_refuse_parameters(workplace)
        _rest_and_go_on(workplace)
        assert "smolfusion/" in _ros2(workplace, "topic", "echo", "--once", "/diagnostics").stdout
        family = _family(launch)
        assert len(family) >= len(NODES) + 2
        begun = time.monotonic()
        os.killpg(launch.pid, signal.SIGINT)
        assert launch.wait(2 * END_S) == 0, workplace.log("launch").read_text()
        print(f"{len(family)} processes ended after {time.monotonic() - begun:.1f} s")
        assert_gone(family)
        workplace.check_logs()


def _call_and_converse(workplace: Workplace) -> None:
    called = _ros2(workplace, "service", "call", "/heard/chat", "smolfusion_ros/srv/Chat", "{text: 'hello there'}")
    assert called.returncode == 0, called.stderr
    assert "success=True" in called.stdout
    goal = ["/smolfusion/converse", "smolfusion_ros/action/Converse", "{text: 'hello again'}", "--feedback"]
    streamed = _ros2(workplace, "action", "send_goal", *goal).stdout
    assert streamed.index("partial:") < streamed.index("Result:"), streamed
    assert "Goal finished with status: SUCCEEDED" in streamed


def _change_and_refuse_parameters(workplace: Workplace) -> None:
    def set_parameter(node: str, name: str, value: str) -> str:
        done = _ros2(workplace, "param", "set", f"/smolfusion/{node}", name, value)
        return done.stdout + done.stderr

    assert "successful" in set_parameter("motion_gate", "jpeg_quality", "90")
    assert "out of range" in set_parameter("motion_gate", "jpeg_quality", "900")
    assert "read-only" in set_parameter("motion_gate", "image_transport", "compressed")
    reason = "llm_url takes effect when the node is configured: deactivate and clean it up first"
    assert reason in set_parameter("dialogue", "llm_url", "http://127.0.0.1:1")


def _rest_and_go_on(workplace: Workplace) -> None:
    for transition, state in [("deactivate", "inactive [2]"), ("activate", "active [3]")]:
        changed = _ros2(workplace, "lifecycle", "set", "/smolfusion/dialogue", transition).stdout
        assert changed.strip() == "Transitioning successful"
        assert _ros2(workplace, "lifecycle", "get", "/smolfusion/dialogue").stdout.strip() == state


def test_two_robots_of_ones_own_launch_file_stay_apart(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path / "fleet")
    file = tmp_path / "fleet.launch.py"
    file.write_text(TWO_ROBOTS, encoding="utf-8")
    with _launched(workplace, str(file), namespace="/fleet/robot2") as (launch, probe):
        expected = {(node, f"/fleet/{robot}") for node in ("dialogue", "memory") for robot in ("robot1", "robot2")}
        until(lambda: set(probe.node.get_node_names_and_namespaces()) >= expected, "both robots", 60.0)
        told = probe.heard("action_command")
        # A reflex needs no language model.
        assert probe.call(Chat, "/fleet/robot1/say", text="stop", session_id="anna").reply == "Stopping."
        assert probe.call(Chat, "chat", text="stop", session_id="ben").reply == "Stopping."
        assert (told.wait_for().message.session_id, len(told)) == ("ben", 1)
        for robot, session in [("robot1", "anna"), ("robot2", "ben")]:
            _wait_for_sessions(probe, robot, [session])
            [hearer] = probe.node.get_subscriptions_info_by_topic(f"/{robot}/speech/text")
            assert (hearer.node_name, hearer.node_namespace) == ("dialogue", f"/fleet/{robot}")
        family = _family(launch)
        os.killpg(launch.pid, signal.SIGINT)
        assert launch.wait(2 * END_S) == 0, workplace.log("launch").read_text()
        assert_gone(family)
        workplace.check_logs()


def _wait_for_sessions(probe: Probe, robot: str, expected: list[str]) -> None:
    def kept() -> list[str]:
        return list(probe.call(ListSessions, f"/fleet/{robot}/list_sessions").session_ids)

    until(kept, f"a session of {robot}")
    assert kept() == expected


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv, which tells the processes of launch's end")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_launch(tmp_path: Path, number: signal.Signals) -> None:
    workplace = Workplace(tmp_path / "orphans")
    arguments = [f"profile:={workplace.profile}", "provider:=xllamacpp", "nodes:=memory"]
    with _launched(workplace, *LAUNCH_FILE, *arguments) as (launch, probe):
        until(lambda: "memory" in probe.node.get_node_names(), "memory", 60.0)
        until(lambda: answers(f"{workplace.llm_url}/v1/models"), "the language model", 60.0)
        family = _family(launch)
        assert len(family) >= 3
        launch.send_signal(number)
        launch.wait(END_S)
        until(lambda: not any(psutil.pid_exists(pid) for pid in family.values()), f"end of {sorted(family)}", END_S)


@contextmanager
def _launched(
    workplace: Workplace, *words: str, namespace: str = "/smolfusion"
) -> Iterator[tuple[subprocess.Popen[bytes], Probe]]:
    """``ros2 launch`` with these words, and a probe in that namespace; whatever happens, nothing is left of it."""
    launch = workplace.start("launch", [shutil.which("ros2"), "launch", *words])
    probe = Probe(workplace.domain_id, namespace)
    try:
        yield launch, probe
    finally:
        probe.close()
        with suppress(ProcessLookupError):
            os.killpg(launch.pid, signal.SIGKILL)  # what outlived launch is still of its group
        launch.wait(END_S)
        _ros2(workplace, "daemon", "stop")  # one that the commands started


def _family(launch: subprocess.Popen[bytes]) -> dict[str, int]:
    return {f"{each.name()} {each.pid}": each.pid for each in psutil.Process(launch.pid).children(recursive=True)}
