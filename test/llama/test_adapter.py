"""A model's adapter: found and checked like its other files, handed to the server, left out with another model."""

from pathlib import Path

import pytest
import yaml

from smolfusion_ros.bringup.profile import load_profile
from smolfusion_ros.errors import ModelMissingError
from smolfusion_ros.llama.manifest import Manifest, ModelFiles, load_manifest
from smolfusion_ros.llama.providers import Provider, command_line
from smolfusion_ros.llama.serving import parse_options

GGUF = b"GGUF" + bytes(100)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    for name in ("model.gguf", "adapter.gguf", "other.gguf"):
        (tmp_path / name).write_bytes(GGUF)
    entry = dict.fromkeys(("description", "licence", "source"), "x")
    entry |= {"model": {"file": "model.gguf"}, "adapter": {"file": "adapter.gguf"}}
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump({"models": {"toy": entry}}))
    return load_manifest(path)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_adapter_is_found_beside_its_model(manifest: Manifest, environ: dict[str, str], tmp_path: Path):
    files = manifest.resolve("toy", "llm", environ)
    assert files.all == (tmp_path / "model.gguf", tmp_path / "adapter.gguf")


def test_missing_adapter_is_named(manifest: Manifest, environ: dict[str, str], tmp_path: Path):
    (tmp_path / "adapter.gguf").unlink()
    with pytest.raises(ModelMissingError, match=r"toy: adapter\.gguf is missing"):
        manifest.resolve("toy", "llm", environ)


def test_another_model_goes_without_the_adapter_of_the_one_it_replaces(
    manifest: Manifest, environ: dict[str, str], tmp_path: Path
):
    other = str(tmp_path / "other.gguf")
    assert manifest.resolve("toy", "llm", {**environ, "LLM_MODEL": other}).adapter is None
    both = manifest.resolve(
        "toy", "llm", {**environ, "LLM_MODEL": other, "LLM_ADAPTER": str(tmp_path / "adapter.gguf")}
    )
    assert both.adapter == tmp_path / "adapter.gguf"
    assert set(both.unverified) == {tmp_path / "other.gguf", tmp_path / "adapter.gguf"}


def test_own_adapter_takes_the_place_of_the_manifests(manifest: Manifest, environ: dict[str, str], tmp_path: Path):
    own = tmp_path / "other.gguf"
    files = manifest.resolve("toy", "llm", {**environ, "LLM_ADAPTER": str(own)})
    assert files.all == (tmp_path / "model.gguf", own)


def test_server_is_told_of_the_adapter():
    files = ModelFiles(Path("/m/model.gguf"), adapter=Path("/m/adapter.gguf"))
    line = command_line(Provider("xllamacpp", ("server",)), "llm", load_profile("embedded").llm, files)
    assert parse_options("server", line[1:]).lora == "/m/adapter.gguf"
    without = command_line(
        Provider("xllamacpp", ("server",)), "llm", load_profile("embedded").llm, ModelFiles(files.model)
    )
    assert "--lora" not in without
