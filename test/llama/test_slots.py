"""Evaluated prompts in files: read again by the next server, and never twice by one that they end."""

from pathlib import Path

import pytest

from smolfusion_ros.llama import slots


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = slots.made_directory("a model")
    assert made == tmp_path / "smolfusion_ros" / "slots"
    return made


def test_nothing_saved_is_nothing_to_take(directory: Path) -> None:
    assert slots.take("a.slot") is None


def test_saved_state_is_there_for_the_next_time(directory: Path) -> None:
    (directory / "a.slot.new").write_bytes(b"state")
    slots.keep("a.slot", "a.slot.new")
    taken = slots.take("a.slot")
    assert taken is not None
    assert (directory / taken).read_bytes() == b"state"
    slots.keep("a.slot", taken)
    assert slots.made_directory("a model") == directory
    assert [path.name for path in directory.glob("*.slot")] == ["a.slot"]


def test_state_of_another_model_is_removed(directory: Path) -> None:
    (directory / "a.slot").write_bytes(b"state")
    assert slots.made_directory("the same file with other weights") == directory
    assert slots.take("a.slot") is None


def test_state_that_ended_the_server_is_not_taken_again(directory: Path) -> None:
    (directory / "a.slot").write_bytes(b"cut o")
    assert slots.take("a.slot") is not None
    assert slots.take("a.slot") is None


def test_only_the_newest_few_are_kept(directory: Path) -> None:
    for number in range(2 * slots.KEPT):
        (directory / "new").write_bytes(b"state")
        slots.keep(f"{number}.slot", "new")
    assert len(list(directory.glob("*.slot"))) == slots.KEPT
    assert (directory / f"{2 * slots.KEPT - 1}.slot").exists()


def test_server_elsewhere_that_saves_nothing_here_is_no_error(directory: Path) -> None:
    slots.keep("a.slot", "a.slot.new")
    assert slots.take("a.slot") is None


def test_directory_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    assert slots.made_directory("a model") is None
