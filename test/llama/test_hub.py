"""Models of the Hugging Face Hub: the real huggingface_hub against a server that answers as the Hub does.

In processes of their own, since huggingface_hub reads its environment when it is imported.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from file_server import COMMIT, FileServer, Hub

CONTENT = b"GGUF" + bytes(range(256)) * 8000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REPOSITORY = "some-org/Toy-GGUF"
NAME = f"hub:{REPOSITORY}@main/toy.gguf"


class Place:
    """A Hub, a manifest with a model of it, and a directory for models."""

    def __init__(self, root: Path, hub: Hub, store: FileServer) -> None:
        self.root = root
        self.hub = hub
        self.store = store
        self.file: dict[str, object] = {"file": "toy.gguf", "hub": REPOSITORY, "size": len(CONTENT), "sha256": SHA256}
        self.models = root / "models"
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and not k.lower().endswith("_proxy")}
        self.environ: Mapping[str, str] = {
            **clean,
            "SMOLFUSION_MODELS": str(self.models),
            "XDG_CACHE_HOME": str(root / "cache"),
            "HF_HOME": str(root / "hf"),
            "HF_ENDPOINT": hub.url,
            # With it huggingface_hub asks the Hub for a list of coding agents, too.
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    @property
    def model(self) -> Path:
        return self.models / "toy.gguf"

    @property
    def partial(self) -> Path:
        return self.models / ".partial" / "toy.gguf"

    def start(self, **environ: str) -> subprocess.Popen[str]:
        entry = {"description": "d", "licence": "MIT", "source": "s", "model": self.file}
        manifest = self.root / "manifest.yaml"
        manifest.write_text(yaml.safe_dump({"models": {"toy": entry}}))
        command = [sys.executable, "-m", "smolfusion_ros.bringup.fetch_models", "toy", "--manifest", str(manifest)]
        return subprocess.Popen(
            command, env={**self.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def fetch(self, **environ: str) -> tuple[int, str]:
        """Exit code and everything said."""
        out, err = (process := self.start(**environ)).communicate(timeout=60)
        assert "Traceback" not in err, err
        return process.returncode, out + err

    def fails(self, **environ: str) -> str:
        """What a call says that must fail and leave nothing behind."""
        code, said = self.fetch(**environ)
        assert code == 2, said
        assert not self.model.exists() and not self.partial.exists()
        return said


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with FileServer({"/toy.gguf": CONTENT}) as store, Hub(REPOSITORY, store) as hub:
        yield Place(tmp_path, hub, store)


def test_file_comes_from_the_hub_once_pinned_to_its_commit(place: Place):
    code, said = place.fetch()
    assert code == 0, said
    assert place.model.read_bytes() == CONTENT and not place.partial.exists()
    assert [(asked.method, asked.path) for asked in place.hub.asked] == [
        ("HEAD", f"/{REPOSITORY}/resolve/main/toy.gguf"),
        ("GET", f"/{REPOSITORY}/resolve/{COMMIT}/toy.gguf"),
    ]
    lines = said.splitlines()
    assert f"downloading {NAME}" in lines[1] and "all 2.0 MiB came" in lines[2] and lines[3] == f"toy: {place.model}"
    assert place.fetch(HF_HUB_OFFLINE="1")[0] == 0
    assert len(place.hub.asked) == 2


def test_killed_download_is_taken_up_at_the_next_call(place: Place):
    place.store.behaviour.hold = threading.Event()
    process = place.start()
    data = place.partial / "data"
    deadline = time.monotonic() + 30
    while not data.exists() or data.stat().st_size < len(CONTENT) // 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not place.model.exists()
    came = data.stat().st_size
    place.store.behaviour.hold.set()
    code, said = place.fetch()
    assert code == 0, said
    assert place.store.ranges == [None, f"bytes={came}-"]
    assert place.model.read_bytes() == CONTENT


def test_file_that_changed_on_the_hub_meanwhile_is_begun_anew(place: Place):
    place.file |= {"size": None, "sha256": None}
    place.partial.mkdir(parents=True)
    (place.partial / "data").write_bytes(b"GGUF of the day before")
    note = {"origin": f"{REPOSITORY}/toy.gguf {'0' * 64}", "validator": None, "total": len(CONTENT)}
    (place.partial / "origin.json").write_text(json.dumps(note))
    assert place.fetch()[0] == 0
    assert place.store.ranges == [None] and place.model.read_bytes() == CONTENT


def test_sha256_of_the_hub_is_checked_where_the_manifest_has_none(place: Place):
    place.file |= {"size": None, "sha256": None}
    said = place.fetch()[1]
    assert f"{NAME}: SHA-256 {SHA256}, as the Hub says" in said and "unverified" in said
    place.model.unlink()
    place.hub.told["/toy.gguf"] = CONTENT[:-1] + b"!"
    said = place.fails()
    assert f"{NAME} gave another file" in said and f"has SHA-256 {SHA256}, expected" in said


def test_another_file_on_the_hub_is_told_before_it_is_downloaded(place: Place):
    place.file["sha256"] = "0" * 64
    said = place.fails()
    assert f"SHA-256 {SHA256}, expected {'0' * 64}" in said and "correct its entry" in said
    assert place.store.asked == []


def test_revision_and_path_in_the_repository_may_be_given(place: Place):
    place.store.files["/q8/other-name.gguf"] = CONTENT
    place.file |= {"revision": COMMIT, "member": "q8/other-name.gguf"}
    assert place.fetch()[0] == 0
    assert place.model.read_bytes() == CONTENT
    assert {asked.path for asked in place.hub.asked} == {f"/{REPOSITORY}/resolve/{COMMIT}/q8/other-name.gguf"}


def test_token_goes_to_the_hub_and_nowhere_else(place: Place):
    place.hub.token = "secret"
    said = place.fails()
    assert f"{NAME} is gated: accept its terms on {place.hub.url}/{REPOSITORY}" in said and "HF_TOKEN" in said
    assert place.fetch(HF_TOKEN="secret")[0] == 0
    assert all("authorization" not in asked.headers for asked in place.store.asked)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "absent.gguf"}, "the repository has no such file"),
        ({"hub": "some-org/absent"}, "there is no such re"),
        ({"revision": "absent"}, "there is no such revision"),
    ],
)
def test_what_is_not_there_is_named(place: Place, change: dict[str, object], message: str):
    place.file |= change
    assert message in place.fails()


def test_hub_that_fails_is_named(place: Place):
    place.hub.behaviour.status = 403
    assert f"{place.hub.url} answers 403" in place.fails()


def test_offline_is_said_with_the_way_out(place: Place):
    assert "HF_HUB_OFFLINE is set" in place.fails(HF_HUB_OFFLINE="1")
    assert place.hub.asked == []
    said = place.fails(HF_ENDPOINT="http://127.0.0.1:1")
    assert f"{NAME} cannot be downloaded (ConnectError" in said and "Is there internet?" in said
    assert f"By hand: put the file at {place.model}" in said


def test_login_page_of_a_network_is_not_taken_for_the_hub(place: Place):
    with FileServer({f"/{REPOSITORY}/resolve/main/toy.gguf": b"<!DOCTYPE html> log in first"}) as page:
        assert "does not answer as the Hub does" in place.fails(HF_ENDPOINT=page.url)


def test_proxy_of_the_environment_is_asked(place: Place):
    with FileServer({}) as proxy:
        proxy.behaviour.status = 407
        said = place.fails(HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=proxy.url)
        assert "answers 407" in said
        assert proxy.asked[0].path == f"http://hub.invalid/{REPOSITORY}/resolve/main/toy.gguf"


def test_huggingface_hub_is_not_imported_for_files_that_are_there(place: Place):
    assert place.fetch()[0] == 0
    manifest = place.root / "manifest.yaml"
    code = (
        "import sys; from smolfusion_ros.bringup import fetch_models; "
        f"fetch_models.main(['toy', '--manifest', {str(manifest)!r}]); "
        "sys.exit('huggingface_hub' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=place.environ, timeout=60, check=False).returncode == 0
