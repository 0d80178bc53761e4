import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from smolfusion_ros.bringup.profile import BackendProfile, load_profile
from smolfusion_ros.errors import ProviderError
from smolfusion_ros.llama import providers
from smolfusion_ros.llama.manifest import ModelFiles
from smolfusion_ros.llama.providers import Provider, choose, command_line
from smolfusion_ros.llama.serving import parse_options

FILES = ModelFiles(Path("/m/model.gguf"), Path("/m/mmproj.gguf"))


@pytest.fixture
def llama_server(tmp_path: Path) -> Path:
    path = tmp_path / "bin" / "llama-server"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The Python packages that can be found; a test changes the set."""
    names = {"xllamacpp", *providers.SERVERS["llama-cpp-python"][1]}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in names else None)
    return names


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_native_binary_comes_first_then_xllamacpp_then_llama_cpp_python(llama_server: Path, installed: set[str]):
    nowhere = {"PATH": "/nonexistent"}
    assert choose("auto", {"PATH": str(llama_server.parent)}).command == (str(llama_server),)
    assert choose("auto", {"LLAMA_SERVER": str(llama_server)} | nowhere).command == (str(llama_server),)
    assert choose("auto", nowhere).name == "xllamacpp"
    installed.remove("xllamacpp")
    assert choose("auto", nowhere).name == "llama-cpp-python"
    installed.clear()
    with pytest.raises(ProviderError, match="pip install xllamacpp"):
        choose("auto", nowhere)


def test_llama_cpp_python_without_its_server_part_does_not_count(installed: set[str]):
    installed.remove("sse_starlette")
    with pytest.raises(ProviderError, match=r"llama-cpp-python\[server\]"):
        choose("llama-cpp-python", {})


def test_requested_provider_is_not_replaced_by_another(installed: set[str]):
    with pytest.raises(ProviderError, match="llama-server"):
        choose("llama-server", {"PATH": "/nonexistent"})
    assert choose("llama-cpp-python", {}).command[0] == sys.executable


def test_llama_server_variable_naming_no_program_is_an_error(installed: set[str]):
    with pytest.raises(ProviderError, match="LLAMA_SERVER = '/nowhere/llama-server'"):
        choose("auto", {"LLAMA_SERVER": "/nowhere/llama-server"})


@pytest.mark.parametrize("name", ["remote", "ollama"])
def test_what_cannot_be_started_here_is_refused(name: str):
    with pytest.raises(ProviderError, match=name):
        choose(name, os.environ)


def test_command_line_carries_the_profile():
    backend = BackendProfile(
        model="toy", port=18080, context_tokens=1024, slots=2, threads=3, batch_tokens=128, ubatch_tokens=32,
        gpu_layers=20, cache_ram_mib=64, flash_attention="on",
    )  # fmt: skip
    command = command_line(Provider("llama-server", ("/bin/llama-server",)), "llm", backend, FILES)
    assert command[0] == "/bin/llama-server"
    expected = {
        "--model": "/m/model.gguf", "--alias": "toy", "--host": "127.0.0.1", "--port": "18080",
        "--ctx-size": "2048", "--parallel": "2", "--threads": "3", "--threads-batch": "3", "--batch-size": "128",
        "--ubatch-size": "32", "--n-gpu-layers": "20", "--flash-attn": "on", "--cache-ram": "64",
    }  # fmt: skip
    assert {name: option(command, name) for name in expected} == expected
    assert "--mmproj" not in command


def test_prompts_are_saved_by_the_one_slot_of_a_language_model_alone():
    provider, directory = Provider("llama-server", ("llama-server",)), Path("/slots")
    embedded = load_profile("embedded")
    assert option(command_line(provider, "llm", embedded.llm, FILES, directory), "--slot-save-path") == "/slots"
    several = replace(embedded.llm, slots=2)
    for role, backend, where in (
        ("llm", embedded.llm, None), ("llm", several, directory), ("vlm", embedded.vlm, directory),
    ):  # fmt: skip
        assert "--slot-save-path" not in command_line(provider, role, backend, FILES, where)


def test_vision_gets_its_projector_and_a_bound_on_image_tokens_only_where_one_is_set():
    provider = Provider("llama-server", ("llama-server",))
    orin = command_line(provider, "vlm", load_profile("orin_nx").vlm, FILES)
    assert option(orin, "--mmproj") == "/m/mmproj.gguf"
    assert option(orin, "--image-min-tokens") == option(orin, "--image-max-tokens") == "64"
    embedded = command_line(provider, "vlm", load_profile("embedded").vlm, FILES)
    assert "--image-max-tokens" not in embedded


@pytest.mark.parametrize("role", ["llm", "vlm"])
@pytest.mark.parametrize("profile", ["embedded", "orin_nx", "agx_orin"])
def test_own_servers_take_every_option_of_every_profile(profile: str, role: str):
    backend = load_profile(profile).backend(role)
    provider = Provider("xllamacpp", (sys.executable, "-m", "module"))
    options = parse_options("server", command_line(provider, role, backend, FILES)[3:])
    assert (options.port, options.threads_batch) == (backend.port, backend.threads)
    assert options.image_max_tokens == (backend.image_max_tokens if role == "vlm" else 0)


def test_server_without_a_host_listens_on_loopback():
    assert parse_options("server", ["--model", "m.gguf"]).host == "127.0.0.1"
