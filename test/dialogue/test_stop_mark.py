"""The file that keeps an emergency stop engaged."""

import os
from pathlib import Path

import pytest

from smolfusion_ros.dialogue.stop_mark import StopMark


@pytest.fixture
def mark(tmp_path: Path) -> StopMark:
    return StopMark(tmp_path / "state" / "robot.emergency_stop")


def test_stop_that_was_engaged_is_found_by_the_next_process(mark: StopMark) -> None:
    assert not mark.is_set()
    for _ in range(2):
        mark.write(True)
    assert StopMark(mark.path).is_set()
    for _ in range(2):
        mark.write(False)
    assert not StopMark(mark.path).is_set()


def test_release_without_a_stop_makes_no_directory(mark: StopMark) -> None:
    mark.write(False)
    assert not mark.path.parent.exists()


def test_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    mark = StopMark(tmp_path / "file" / "robot.emergency_stop")
    assert not mark.is_set()
    with pytest.raises(OSError):
        mark.write(True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_place_that_cannot_be_read_counts_as_engaged(mark: StopMark) -> None:
    mark.write(True)
    mark.path.parent.chmod(0)
    try:
        assert mark.is_set()
    finally:
        mark.path.parent.chmod(0o700)


def test_link_to_nowhere_counts_as_engaged(mark: StopMark) -> None:
    mark.path.parent.mkdir()
    mark.path.symlink_to("nowhere")
    assert mark.is_set()
    mark.write(False)
    assert not mark.is_set()
