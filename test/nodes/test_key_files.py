"""Nodes that ask a remote engine bear its key, and tell of a wrong one without telling it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from scripted_server import ScriptedServer

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.nodes._lifecycle import ManagedNode
from smolfusion_ros.nodes.dialogue import DialogueNode
from smolfusion_ros.nodes.perception import PerceptionNode

KEY, DOMAIN_ID, WAIT_S = "sk-0123456789abcdef", 85, 20.0
NODES = [(DialogueNode, "llm"), (PerceptionNode, "vlm")]


@pytest.fixture(autouse=True)
def _own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for role in ("LLM", "VLM"):
        monkeypatch.delenv(f"{role}_API_KEY", raising=False)


@contextmanager
def made(kind: type[ManagedNode], *parameters: str) -> Iterator[ManagedNode]:
    """A node that is not spun yet."""
    rclpy.init(args=["--ros-args", *(word for each in parameters for word in ("-p", each))], domain_id=DOMAIN_ID)
    node = kind()
    try:
        yield node
    finally:
        node.stop()
        node.close()
        node.destroy_node()
        rclpy.shutdown()


@contextmanager
def spun(node: ManagedNode, told: list[str]) -> Iterator[None]:
    """The node at work; what it tells in /diagnostics."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    node.create_subscription(DiagnosticArray, "/diagnostics", lambda array: told.append(str(array)), 10)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    try:
        yield
    finally:
        executor.shutdown()
        spinning.join()


@pytest.mark.parametrize(("kind", "role"), NODES)
def test_node_whose_key_others_may_read_does_not_start(kind: type[ManagedNode], role: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o644)
    with made(kind, f"{role}_key_file:={file}") as node:
        with pytest.raises(ConfigurationError, match=f"{role}_key_file {file} can be read by others"):
            node.start()
        file.chmod(0o600)
        node.start()
        assert node.active


@pytest.mark.parametrize("given", ["file", "variable"])
@pytest.mark.parametrize(("kind", "role"), NODES)
def test_engine_gets_the_key(
    kind: type[ManagedNode], role: str, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = []
    if given == "file":
        (tmp_path / "key").write_text(KEY)
        (tmp_path / "key").chmod(0o600)
        parameters = [f"{role}_key_file:={tmp_path / 'key'}"]
    else:
        monkeypatch.setenv(f"{role.upper()}_API_KEY", KEY)

    async def scenario() -> None:
        async with ScriptedServer.native() as server:
            with made(kind, f"{role}_url:={server.url}", *parameters) as node, spun(node, []):
                node.start()
                await until(lambda: server.asked)
            assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"

    asyncio.run(scenario())


def test_refused_key_is_an_error_in_the_diagnostics_that_names_its_place(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLM_API_KEY", KEY)
    told: list[str] = []

    async def scenario() -> None:
        async with ScriptedServer.native() as server:
            server.key = "another"
            with made(DialogueNode, f"llm_url:={server.url}") as node, spun(node, told):
                node.start()
                await until(lambda: [each for each in told if "the key of LLM_API_KEY is refused: HTTP 401" in each])

    asyncio.run(scenario())
    logged = "".join(capfd.readouterr())
    assert "the key of LLM_API_KEY is refused" in logged
    assert "<secret>" in logged, "the server repeated it"
    assert KEY not in logged + "".join(told)


async def until(true) -> None:
    end = asyncio.get_running_loop().time() + WAIT_S
    while not true():
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.02)
