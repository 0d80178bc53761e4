"""The backend executable as a process: what it says, what it becomes, what it leaves behind."""

import base64
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import psutil
import pytest

from smolfusion_ros.bringup.backend import without_ros_arguments
from smolfusion_ros.bringup.paths import manifest_path, share_directory
from smolfusion_ros.errors import ModelMissingError
from smolfusion_ros.llama.manifest import load_manifest

SOURCE = Path(__file__).parents[2]
PACKAGES = {"xllamacpp": "xllamacpp", "llama-cpp-python": "llama_cpp"}
START_S = 60.0
# One tile, the overview and the question at 64 tokens each; a bound of 256 makes 395 of the same picture.
TWO_PICTURES_OF_64 = 145


class Backend:
    """A started backend executable; its process group ends with the test."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-m", "smolfusion_ros.bringup.backend", *arguments]
        environ = {key: value for key, value in os.environ.items() if not key.endswith(("LLM_MODEL", "_MMPROJ"))}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=SOURCE,
            env=environ | environment, start_new_session=True,
        )  # fmt: skip

    def finish(self, timeout_s: float = 30.0) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, out, err

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def wait_for(self, url: str) -> dict[str, Any]:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                pytest.fail(f"the backend ended: {self.finish()}")
            try:
                answer = httpx.get(f"{url}/v1/models", timeout=2)
                if answer.status_code == 200:
                    return answer.json()
            except httpx.HTTPError:
                pass
            time.sleep(0.02)
        pytest.fail(f"nothing answers at {url}")


@pytest.fixture
def start() -> Iterator[Any]:
    started: list[Backend] = []

    def start(*arguments: str, **environment: str) -> Backend:
        started.append(Backend(*arguments, **environment))
        return started[-1]

    yield start
    for backend in started:
        backend.kill()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def needs(provider: str, role: str = "vlm") -> None:
    if importlib.util.find_spec(PACKAGES[provider]) is None:
        pytest.skip(f"{provider} is not installed")
    if role == "llm":
        try:
            load_manifest(manifest_path()).resolve("smollm2-135m-hri-q8_0")
        except ModelMissingError as error:
            pytest.skip(str(error))


def ask(url: str, content: object) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": content}], "max_tokens": 24, "temperature": 0}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body | {"repeat_penalty": 1.0}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def picture_question() -> list[dict[str, Any]]:
    picture = np.full((480, 640, 3), 180, np.uint8)
    cv2.circle(picture, (320, 200), 70, (190, 220, 255), -1)
    cv2.rectangle(picture, (220, 270), (420, 480), (40, 40, 200), -1)
    encoded = base64.b64encode(cv2.imencode(".jpg", picture)[1].tobytes()).decode()
    return [
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{encoded}"}},
        {"type": "text", "text": "Describe the scene."},
    ]


def write_profile(path: Path, **vlm: object) -> str:
    models = {"llm": {"model": "tiny-smolvlm"}, "vlm": {"model": "tiny-smolvlm"} | vlm}
    path.write_text(json.dumps(models))
    return str(path)


@pytest.mark.system
@pytest.mark.parametrize("provider", PACKAGES)
@pytest.mark.parametrize("role", ["llm", "vlm"])
def test_backend_serves_its_model_and_ends_on_a_signal_leaving_nothing(start: Any, port: int, provider: str, role: str):
    needs(provider, role)
    backend = start("--role", role, "--provider", provider, "--port", str(port), "--ros-args", "-r", "__node:=x")
    url = f"http://127.0.0.1:{port}"
    model = {"llm": "smollm2-135m-hri-q8_0", "vlm": "tiny-smolvlm"}[role]
    assert backend.wait_for(url)["data"][0]["id"] == model
    answer = ask(url, "Say hello." if role == "llm" else picture_question())
    assert answer["choices"][0]["message"]["content"].strip()
    # The server is this very process, so whoever started it can end it.
    assert psutil.Process(backend.process.pid).children(recursive=True) == []
    backend.process.send_signal(signal.SIGTERM if role == "llm" else signal.SIGINT)
    code, out, err = backend.finish(timeout_s=5)
    assert code == 0, err
    assert out.startswith(f"{role}: {model} ")
    assert "Traceback" not in err
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


@pytest.mark.system
@pytest.mark.parametrize("provider", PACKAGES)
def test_bound_on_image_tokens_holds(start: Any, port: int, tmp_path: Path, provider: str):
    needs(provider)
    used = {}
    for bound in (64, 256):
        profile = write_profile(tmp_path / "p.yaml", image_max_tokens=bound, context_tokens=1024)
        backend = start("--role", "vlm", "--profile", profile, "--provider", provider, "--port", str(port))
        backend.wait_for(f"http://127.0.0.1:{port}")
        used[bound] = ask(f"http://127.0.0.1:{port}", picture_question())["usage"]["prompt_tokens"]
        backend.kill()
    assert used[64] <= TWO_PICTURES_OF_64 < used[256]


@pytest.mark.system
@pytest.mark.parametrize("provider", PACKAGES)
def test_another_web_site_in_a_browser_cannot_read_answers(start: Any, port: int, provider: str):
    needs(provider)
    backend = start("--role", "vlm", "--provider", provider, "--port", str(port))
    backend.wait_for(f"http://127.0.0.1:{port}")
    answer = httpx.get(f"http://127.0.0.1:{port}/v1/models", headers={"Origin": "http://evil.example"})
    assert answer.headers.get("access-control-allow-origin") not in ("*", "http://evil.example")


@pytest.mark.system
def test_native_server_shows_its_slots_and_no_page(start: Any, port: int):
    needs("xllamacpp")
    start("--role", "vlm", "--provider", "xllamacpp", "--port", str(port)).wait_for(f"http://127.0.0.1:{port}")
    assert len(httpx.get(f"http://127.0.0.1:{port}/slots").json()) == 1
    assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 404


@pytest.mark.system
@pytest.mark.parametrize("provider", PACKAGES)
def test_signal_while_loading_ends_the_process_at_once(start: Any, port: int, provider: str):
    needs(provider)
    backend = start("--role", "vlm", "--provider", provider, "--port", str(port))
    assert backend.process.stdout.readline().startswith("vlm: ")
    backend.process.terminate()
    code, _, err = backend.finish(timeout_s=5)
    assert code in (0, -signal.SIGTERM)
    assert "Traceback" not in err


@pytest.mark.system
@pytest.mark.parametrize("provider", PACKAGES)
def test_projector_that_does_not_fit_ends_the_server_at_the_start(start: Any, port: int, provider: str):
    needs(provider)
    wrong = str(share_directory() / "models" / "tiny_smolvlm-text-f16.gguf")
    backend = start("--role", "vlm", "--provider", provider, "--port", str(port), VLM_MMPROJ=wrong)
    code, _, err = backend.finish()
    assert code == 1
    assert "cannot serve" in err and "Traceback" not in err


@pytest.mark.system
@pytest.mark.parametrize("environment", [{"VLM_MODEL": "/nowhere.gguf"}, {"VLM_MMPROJ": __file__}])
def test_missing_or_damaged_file_is_a_message_and_exit_code_2(start: Any, port: int, environment: dict[str, str]):
    needs("xllamacpp")
    code, out, err = start("--role", "vlm", "--port", str(port), **environment).finish()
    assert (code, out) == (2, "")
    assert err.startswith("backend: ") and len(err.splitlines()) == 1
    assert next(iter(environment.values())) in err


@pytest.mark.system
def test_model_not_prepared_is_a_message_with_the_command_that_gets_it(start: Any, port: int, tmp_path: Path):
    needs("xllamacpp")
    code, _, err = start("--role", "llm", "--port", str(port), XDG_CACHE_HOME=str(tmp_path)).finish()
    assert code == 2
    assert "python3 -m smolfusion_ros.bringup.fetch_models smollm2-135m-hri-q8_0" in err


@pytest.mark.system
def test_port_in_use_is_said_before_anything_loads(start: Any):
    needs("xllamacpp")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        code, out, err = start("--role", "vlm", "--port", taken).finish()
    assert (code, out) == (2, "")
    assert f"port {taken} on 127.0.0.1 cannot be used: Address already in use" in err


@pytest.mark.system
def test_remote_profile_starts_nothing(start: Any):
    code, _, err = start("--role", "llm", "--profile", "server").finish()
    assert code == 2
    assert "nothing to start" in err


@pytest.mark.system
def test_named_llama_server_binary_becomes_the_process_with_bounded_spinning(start: Any, port: int, tmp_path: Path):
    binary = tmp_path / "llama-server"
    binary.write_text('#!/bin/sh\necho "$$ $@"\necho "$GOMP_SPINCOUNT"\n')
    binary.chmod(0o755)
    backend = start("--role", "vlm", "--port", str(port), LLAMA_SERVER=str(binary))
    code, out, err = backend.finish()
    assert code == 0, err
    pid, *arguments = out.splitlines()[1].split()
    assert int(pid) == backend.process.pid
    assert arguments[arguments.index("--port") + 1] == str(port)
    assert out.splitlines()[2] == "1000"
    assert arguments[arguments.index("--mmproj") + 1].endswith("tiny_smolvlm-mmproj-f16.gguf")


@pytest.mark.system
def test_host_open_to_others_is_taken_only_when_said_and_warned_about(start: Any, port: int, tmp_path: Path):
    binary = tmp_path / "llama-server"
    binary.write_text('#!/bin/sh\necho "$@"\n')
    binary.chmod(0o755)
    arguments = ("--role", "vlm", "--port", str(port))
    _, default, _ = start(*arguments, LLAMA_SERVER=str(binary)).finish()
    assert "--host 127.0.0.1" in default and "no password" not in default
    _, opened, _ = start(*arguments, "--host", "0.0.0.0", LLAMA_SERVER=str(binary)).finish()
    assert "--host 0.0.0.0" in opened and "no password" in opened


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["--role", "llm"], ["--role", "llm"]),
        (["--role", "llm", "--ros-args", "-r", "__ns:=/a", "-p", "port:=1"], ["--role", "llm"]),
        (["--ros-args", "-p", "x:=1", "--", "--role", "vlm"], ["--role", "vlm"]),
        (["--ros-args"], []),
    ],
)
def test_arguments_of_ros_are_left_out(given: list[str], kept: list[str]):
    assert without_ros_arguments(given) == kept
