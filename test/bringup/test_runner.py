"""The runner: command lines, output, and what it says when the stack cannot be started."""

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from smolfusion_ros.bringup import runner
from smolfusion_ros.bringup.paths import share_directory
from smolfusion_ros.bringup.profile import load_profile
from smolfusion_ros.bringup.runner import PrefixedOutput, command, main
from smolfusion_ros.bringup.stack import NODES, SPEECH_NODES, Options, Process, describe
from smolfusion_ros.llama.manifest import PREPARE_COMMAND

START = [sys.executable, "-m"]


class Arbiter:
    """Takes the place of circus: keeps what it was told to run."""

    def __init__(self) -> None:
        self.watchers: list[dict[str, Any]] = []
        self.started = False

    def __call__(self, watchers: list[dict[str, Any]], **options: Any) -> "Arbiter":
        self.watchers = watchers
        return self

    def start(self) -> None:
        self.started = True


@pytest.fixture
def arbiter(monkeypatch: pytest.MonkeyPatch) -> Arbiter:
    arbiter = Arbiter()
    monkeypatch.setattr(runner, "get_arbiter", arbiter)
    return arbiter


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for variable in ("LLM_MODEL", "VLM_MODEL", "VLM_MMPROJ"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SMOLFUSION_MODELS", str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def values(line: list[str]) -> dict[str, Any]:
    """The parameters of a command line, read as ROS reads them."""
    given = [argument.split(":=", 1) for flag, argument in pairwise(line) if flag == "-p"]
    return {name: yaml.safe_load(text) for name, text in given}


def test_backend_is_run_as_it_is():
    process = Process("llm_backend", "backend", False, ("--role", "llm", "--profile", "embedded"))
    line = command(process, Options(log_level="debug"))
    assert line == [*START, "smolfusion_ros.bringup.backend", "--role", "llm", "--profile", "embedded"]


def test_node_gets_its_namespace_log_level_remappings_and_parameters():
    process = Process("gate", "gate", True, (), {"rate": 1.5}, (("image", "/camera/image"), ("a", "b")))
    assert command(process, Options(namespace="/robot1", log_level="warn")) == [
        *(*START, "smolfusion_ros.nodes.gate"),
        *("--ros-args", "-r", "__ns:=/robot1", "--log-level", "warn"),
        *("-r", "image:=/camera/image", "-r", "a:=b"),
        *("--params-file", str(share_directory() / "config" / "smolfusion.yaml")),
        *("-p", "rate:=1.5"),
    ]


@pytest.mark.parametrize(
    "value", [True, False, 0, 7, -1.5, "", "0", "true", "1e3", "null", "http://a:8080", 'a "b" \\c', "컵: #1", "[x]"]
)
def test_parameter_arrives_with_its_type(value: object):
    line = command(Process("gate", "gate", True, (), {"value": value}), Options())
    assert values(line) == {"value": value}
    assert type(values(line)["value"]) is type(value)


def test_parameter_file_comes_last_so_that_it_wins(tmp_path: Path):
    path = tmp_path / "robot.yaml"
    path.write_text("{}")
    line = command(Process("gate", "gate", True, (), {"rate": 1}), Options(params_file=str(path)))
    assert line[-2:] == ["--params-file", str(path)]


@pytest.mark.parametrize("name", ["embedded", "server"])
def test_every_process_of_a_profile_is_a_module_of_the_package(name: str):
    for process in describe(load_profile(name), name, Options(video="0")):
        module = command(process, Options())[2]
        file = Path(runner.__file__).parents[2] / f"{module.replace('.', '/')}.py"
        assert file.is_file(), module


def test_lines_are_printed_whole_behind_the_name(capsys: pytest.CaptureFixture[str]):
    output = PrefixedOutput("dialogue", 10)
    for piece in (b"one\ntw", b"o\n\nthr", b"ee"):
        output({"data": piece})
    assert capsys.readouterr().out == "dialogue   | one\ndialogue   | two\ndialogue   | \n"
    output.close()
    assert capsys.readouterr().out == "dialogue   | three\n"
    output.close()
    assert capsys.readouterr().out == ""


def test_letters_cut_in_two_are_printed_whole_and_nonsense_is_printed_somehow(capsys: pytest.CaptureFixture[str]):
    output = PrefixedOutput("a", 1)
    for byte in "안녕\n".encode():
        output({"data": bytes([byte])})
    output({"data": b"\xff\xfe!\n"})
    assert capsys.readouterr().out == "a | 안녕\na | \ufffd\ufffd!\n"


def test_missing_model_is_said_once_with_the_remedy_and_starts_nothing(
    no_models: Path, arbiter: Arbiter, capsys: pytest.CaptureFixture[str]
):
    assert main(["--profile", "embedded"]) == 2
    assert not arbiter.started
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("cannot start: model smollm2-135m-hri-q8_0: ")
    assert str(no_models / "nowhere") in line and str(no_models / "cache" / "smolfusion_ros" / "models") in line
    assert line.endswith(f" {PREPARE_COMMAND} smollm2-135m-hri-q8_0")


@pytest.mark.parametrize("arguments", [["--no-backends"], ["--profile", "server"]])
def test_models_are_not_missed_where_none_is_served(no_models: Path, arbiter: Arbiter, arguments: list[str]):
    assert main(arguments) == 0
    assert [watcher["name"] for watcher in arbiter.watchers] == [name for name in NODES if name not in SPEECH_NODES]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--profile", "nothing"], "no profile 'nothing'"),
        (["--nodes", "dialogue,motor"], "unknown node 'motor'"),
        (["--log-level", "loud"], "log level 'loud'"),
        (["--params-file", "nowhere.yaml"], f"no parameter file {Path('nowhere.yaml').absolute()}"),
    ],
)
def test_wrong_choice_is_a_message_and_exit_code_2(
    arbiter: Arbiter, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
):
    assert main(arguments) == 2
    assert not arbiter.started
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cannot start: ") and reason in line


def test_processes_are_kept_alive_with_the_environment_they_need(
    arbiter: Arbiter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    monkeypatch.setenv("ROBOT", "r2")
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    choices = ["--no-backends", "--nodes", "dialogue, memory", "--video", "rendered:still", "--namespace", "/r2"]
    assert main(choices) == 0
    assert arbiter.started
    assert [watcher["name"] for watcher in arbiter.watchers] == ["video_source", "dialogue", "memory"]
    for watcher in arbiter.watchers:
        assert watcher["respawn"] and watcher["max_retry"] == -1
        assert watcher["env"]["ROBOT"] == "r2"
        assert ("FASTDDS_DEFAULT_PROFILES_FILE" in watcher["env"]) == (watcher["name"] == "video_source")
        assert watcher["cmd"] == sys.executable
        assert "__ns:=/r2" in watcher["args"]
        watcher["stdout_stream"]["stream"]({"data": b"up\n"})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[0].strip() for line in lines] == ["video_source", "dialogue", "memory"]
    assert len({line.index("|") for line in lines}) == 1
