import hashlib
import os
from pathlib import Path

import pytest
import yaml

from smolfusion_ros.bringup.paths import manifest_path
from smolfusion_ros.errors import ConfigurationError, ModelDamagedError, ModelMissingError
from smolfusion_ros.llama.manifest import Manifest, load_manifest
from smolfusion_ros.llama.verify import CACHE_FILE

CONTENT = b"GGUF" + b"weights" * 100


class Place:
    """A manifest with one model of two files, and three directories the files can lie in."""

    def __init__(self, root: Path) -> None:
        self.share = root / "share"
        self.own = root / "own"
        self.cache = root / "cache" / "smolfusion_ros" / "models"
        for directory in (self.share, self.own, self.cache):
            directory.mkdir(parents=True)
        self.environ = {"SMOLFUSION_MODELS": str(self.own), "XDG_CACHE_HOME": str(root / "cache")}
        self.entry = {
            "description": "d",
            "licence": "MIT",
            "source": "s",
            "model": {
                "file": "m.gguf",
                "size": len(CONTENT),
                "sha256": hashlib.sha256(CONTENT).hexdigest(),
                "url": "http://localhost/m.gguf",
            },
        }

    def manifest(self) -> Manifest:
        path = self.share / "manifest.yaml"
        path.write_text(yaml.safe_dump({"models": {"toy": self.entry}}))
        return load_manifest(path)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_shipped_model_is_whole_and_verified():
    files = load_manifest(manifest_path()).resolve("tiny-smolvlm", "vlm", {"XDG_CACHE_HOME": "/nonexistent"})
    assert files.model.name == "tiny_smolvlm-text-f16.gguf"
    assert files.mmproj is not None and files.mmproj.name == "tiny_smolvlm-mmproj-f16.gguf"
    assert files.unverified == ()


def test_missing_file_tells_where_it_was_sought_and_how_to_get_it(place: Place):
    with pytest.raises(ModelMissingError) as caught:
        place.manifest().resolve("toy", environ=place.environ)
    for part in ("m.gguf", str(place.own), str(place.cache), "smolfusion_ros.bringup.fetch_models toy"):
        assert part in str(caught.value)


def test_missing_shipped_file_is_not_for_the_prepare_command(place: Place):
    del place.entry["model"]["url"]
    with pytest.raises(ModelMissingError, match="part of the package") as caught:
        place.manifest().resolve("toy", environ=place.environ)
    assert "prepare" not in str(caught.value)


def test_search_order_is_own_directory_then_cache_then_package(place: Place):
    manifest = place.manifest()
    for directory in (place.share, place.cache, place.own):
        (directory / "m.gguf").write_bytes(CONTENT)
        assert manifest.resolve("toy", environ=place.environ).model == directory / "m.gguf"


def test_absolute_file_in_the_manifest_is_taken_as_it_is(place: Place, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere.gguf"
    elsewhere.write_bytes(CONTENT)
    place.entry["model"]["file"] = str(elsewhere)
    assert place.manifest().resolve("toy", environ=place.environ).model == elsewhere


def test_wrong_size_is_damage_and_both_sizes_are_named(place: Place):
    (place.own / "m.gguf").write_bytes(CONTENT[:-1])
    with pytest.raises(ModelDamagedError, match=f"{len(CONTENT) - 1} bytes, expected {len(CONTENT)}"):
        place.manifest().resolve("toy", environ=place.environ)


def test_wrong_content_of_the_right_size_is_damage_and_both_sums_are_named(place: Place):
    other = CONTENT[:-1] + b"!"
    (place.own / "m.gguf").write_bytes(other)
    with pytest.raises(ModelDamagedError) as caught:
        place.manifest().resolve("toy", environ=place.environ)
    assert hashlib.sha256(other).hexdigest() in str(caught.value)
    assert place.entry["model"]["sha256"] in str(caught.value)


def test_unverified_file_is_taken_and_named_but_must_be_gguf(place: Place):
    place.entry["model"] |= {"size": None, "sha256": None}
    (place.own / "m.gguf").write_bytes(b"GGUF anything")
    assert place.manifest().resolve("toy", environ=place.environ).unverified == (place.own / "m.gguf",)
    (place.own / "m.gguf").write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(ModelDamagedError, match="no GGUF file"):
        place.manifest().resolve("toy", environ=place.environ)


def test_verified_file_is_not_hashed_again_until_it_changes(place: Place, monkeypatch: pytest.MonkeyPatch):
    hashed: list[Path] = []

    def counting(path: Path) -> str:
        hashed.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr("smolfusion_ros.llama.verify.sha256_of", counting)
    file = place.own / "m.gguf"
    file.write_bytes(CONTENT)
    manifest = place.manifest()
    manifest.resolve("toy", environ=place.environ)
    manifest.resolve("toy", environ=place.environ)
    assert hashed == [file]
    file.write_bytes(CONTENT[:-1] + b"!")
    os.utime(file, ns=(1, 1))
    with pytest.raises(ModelDamagedError):
        manifest.resolve("toy", environ=place.environ)


@pytest.mark.parametrize("content", [b"not json", b"[]", b'{"x": 1}'])
def test_unreadable_memory_of_verified_files_only_costs_hashing(place: Place, content: bytes):
    (place.own / "m.gguf").write_bytes(CONTENT)
    (place.cache / CACHE_FILE).write_bytes(content)
    assert place.manifest().resolve("toy", environ=place.environ).model == place.own / "m.gguf"


def test_environment_replaces_each_role_s_files(place: Place, tmp_path: Path):
    (place.own / "m.gguf").write_bytes(CONTENT)
    override = tmp_path / "tuned.gguf"
    override.write_bytes(CONTENT)
    environ = place.environ | {"LLM_MODEL": str(override), "VLM_MMPROJ": str(override)}
    manifest = place.manifest()
    llm = manifest.resolve("toy", "llm", environ)
    assert (llm.model, llm.mmproj, llm.unverified) == (override, None, (override,))
    vlm = manifest.resolve("toy", "vlm", environ)
    assert (vlm.model, vlm.mmproj) == (place.own / "m.gguf", override)
    assert manifest.resolve("toy", environ=environ).model == place.own / "m.gguf"


@pytest.mark.parametrize("variable", ["LLM_MODEL", "VLM_MODEL", "VLM_MMPROJ"])
def test_environment_naming_no_file_is_an_error_not_a_fallback(place: Place, variable: str):
    (place.own / "m.gguf").write_bytes(CONTENT)
    role = variable[:3].lower()
    with pytest.raises(ModelMissingError, match=f"{variable} names /nowhere.gguf"):
        place.manifest().resolve("toy", role, place.environ | {variable: "/nowhere.gguf"})


def test_profile_may_name_a_file_instead_of_a_model(place: Place, tmp_path: Path):
    file = tmp_path / "mine.gguf"
    with pytest.raises(ModelMissingError, match=r"mine\.gguf"):
        place.manifest().resolve(str(file), environ=place.environ)
    file.write_bytes(CONTENT)
    files = place.manifest().resolve(str(file), environ=place.environ)
    assert (files.model, files.unverified) == (file, (file,))


def test_unknown_model_is_answered_with_the_known_ones(place: Place):
    with pytest.raises(ConfigurationError, match=r"no model 'other'; it has toy"):
        place.manifest().resolve("other", environ=place.environ)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "m.bin"}, r"file = 'm.bin'"),
        ({"size": 0}, "size = 0"),
        ({"size": "1 MB"}, "size = '1 MB'"),
        ({"sha256": "ABC"}, "sha256 = 'ABC'"),
        ({"wheel": "a==1"}, "wheel and member"),
        ({"wheel": "a==1", "member": "m"}, "more than one"),
        ({"hub": "a/b"}, "more than one"),
        ({"hub": "b", "url": None}, "hub = 'b'"),
        ({"revision": "main"}, "revision = 'main'"),
        ({"url": "file:///m.gguf"}, "url = 'file:///m.gguf'"),
        ({"sha265": None}, "unknown key sha265"),
    ],
)
def test_nonsense_in_the_manifest_is_named_with_file_and_model(place: Place, change: dict, message: str):
    place.entry["model"] |= change
    with pytest.raises(ConfigurationError, match=rf"manifest\.yaml: model toy: .*{message}"):
        place.manifest()


def test_entry_without_a_licence_is_refused(place: Place):
    del place.entry["licence"]
    with pytest.raises(ConfigurationError, match="missing key licence"):
        place.manifest()


def test_manifest_that_is_not_there_or_not_yaml_is_a_configuration_error(tmp_path: Path):
    path = tmp_path / "manifest.yaml"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_manifest(path)
    path.write_text("models: [")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_manifest(path)
    path.write_text("models: 3")
    with pytest.raises(ConfigurationError, match="expected a mapping"):
        load_manifest(path)
