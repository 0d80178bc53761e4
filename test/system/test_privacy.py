"""What the stack must not keep or show: pictures, words in logs, open doors."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from smolfusion_ros.msg import Turn, Utterance
from smolfusion_ros.srv import Analyze, Chat

from smolfusion_ros.nodes import _qos
from system.stack import Stack, running

pytestmark = pytest.mark.system

SAID = ("my name is Bartholomew", "what is your name?", "please wave your right hand")
# verified.json: check sums of the models, so that they are not read again at every start
ALLOWED = (".sqlite3", ".sqlite3-wal", ".sqlite3-shm", ".sqlite3-journal", ".log", "profile.yaml", "verified.json")
# The constant part of the prompt as the server has evaluated it: no word of a conversation.
ALLOWED += (".slot", ".slot.new", ".taken", "served")
PICTURES = (b"\xff\xd8\xff", b"\x89PNG")
POLL_S = 0.02


class Watch:
    """All files ever seen under a directory, also those that are gone again."""

    def __init__(self, directory: Path) -> None:
        self.seen: set[Path] = set()
        self._directory = directory
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(POLL_S):
            self.seen.update(path for path in self._directory.rglob("*") if not path.is_dir())


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("privacy")) as started:
        yield started


@dataclass(frozen=True)
class Visit:
    """What was said, and every file there was meanwhile."""

    turns: list[Turn]
    files: set[Path]


@pytest.fixture(scope="module")
def visit(stack: Stack) -> Visit:
    watch, probe = Watch(stack.workplace.directory), stack.probe
    scenes, turns = probe.heard("scene"), probe.heard("turn")
    utterances = probe.publisher(Utterance, "utterance", _qos.UTTERANCE)
    camera = stack.camera()
    camera.show("nobody", 15)
    camera.begin("waving")
    scenes.wait_for(lambda scene: scene.persons)
    for text in SAID:
        assert probe.call(Chat, "chat", text=text, session_id="private").success
    assert probe.call(Analyze, "analyze", question="Is Bartholomew here?").success
    for text in ("Stop!", " \n", "Bartholomew " * 100):
        utterances.publish(Utterance(text=text, session_id="private"))
    turns.wait_for(lambda turn: turn.source == "reflex")
    camera.stop()
    watch.close()
    return Visit(turns.messages(), watch.seen)


def test_no_picture_is_written(visit: Visit) -> None:
    files = visit.files
    print(f"{len(visit.turns)} turns; files: {sorted(path.name for path in files)}")
    assert any(path.suffix == ".sqlite3" for path in files)
    assert [path for path in files if not path.name.endswith(ALLOWED)] == []
    for path in files:
        assert not path.is_file() or not path.read_bytes().startswith(PICTURES), path


def test_logs_hold_no_words_of_people_or_robot(stack: Stack, visit: Visit) -> None:
    logs = stack.workplace.logs()
    print({name: f"{len(text)} characters" for name, text in logs.items()})
    assert set(logs) >= {"dialogue.log", "memory.log", "perception.log", "motion_gate.log"}
    words = {*SAID, "Bartholomew", *(turn.said for turn in visit.turns if turn.source == "llm")}
    assert len(words) > len(SAID) + 1
    for name, text in logs.items():
        for phrase in words:
            assert phrase.lower() not in text.lower(), f"{name}: {phrase!r}"


def test_only_backends_and_gateway_listen_and_only_on_loopback(stack: Stack, visit: Visit) -> None:
    listening = {
        (name, *connection.laddr)
        for name, pid in stack.pids().items()
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    print(sorted(listening))
    workplace = stack.workplace
    assert listening == {
        ("llm_backend", "127.0.0.1", workplace.llm_port),
        ("vlm_backend", "127.0.0.1", workplace.vlm_port),
        ("gateway", "127.0.0.1", workplace.gateway_port),
    }
