"""Recordings on a real disk: what is written is read again, columns may come late, and the size is bounded."""

import csv
import json
from math import inf, nan
from pathlib import Path

import pytest

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.metrics.recording import Recording, RecordingError, older, read_recording


@pytest.fixture(params=[".csv", ".jsonl"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "deep" / f"run{request.param}"


def test_rows_are_read_again_as_they_were_written(path: Path) -> None:
    recording = Recording(path)
    rows = [{"time_s": 1700000000.25 + index, "dialogue.cpu_percent": 3.5 * index} for index in range(3)]
    for row in rows:
        recording.write(row)
    assert read_recording(path) == rows
    assert recording.rows == 3


def test_what_appears_later_gets_a_column_and_what_is_missing_none(path: Path) -> None:
    recording = Recording(path)
    rows = [{"time_s": 1.0}, {"time_s": 2.0, "a": 1.0}, {"time_s": 3.0, "b": 2.0}]
    for row in rows:
        recording.write(row)
    assert read_recording(path) == rows
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_csv_file_has_one_header_and_as_many_fields_in_every_line(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "run.csv")
    for index, name in enumerate(("a", "b, with a comma", "c")):
        recording.write({"time_s": float(index), name: 1.0})
    table = list(csv.reader((tmp_path / "run.csv").open()))
    assert table[0] == ["time_s", "a", "b, with a comma", "c"]
    assert {len(line) for line in table} == {4}


def test_figures_that_are_not_known_are_left_out(path: Path) -> None:
    Recording(path).write({"time_s": 1.0, "gpu.load_percent": nan, "x": inf, "y": 0.0})
    assert read_recording(path) == [{"time_s": 1.0, "y": 0.0}]


def test_a_recording_is_continued_after_a_restart(path: Path) -> None:
    Recording(path).write({"time_s": 1.0, "a": 1.0})
    Recording(path).write({"time_s": 2.0, "b": 2.0})
    assert read_recording(path) == [{"time_s": 1.0, "a": 1.0}, {"time_s": 2.0, "b": 2.0}]


def test_the_size_is_bounded_and_the_newest_rows_are_kept(path: Path) -> None:
    recording = Recording(path, max_bytes=2000)
    for index in range(1000):
        recording.write({"time_s": float(index), "value": 0.123456})
    files = sorted(path.parent.iterdir())
    assert files == sorted([path, older(path)])
    assert all(each.stat().st_size < 2100 for each in files)
    times = [row["time_s"] for row in read_recording(path)]
    assert times == [float(index) for index in range(1000 - len(times), 1000)]
    assert len(times) > 40


def test_a_line_that_was_cut_short_by_a_power_cut_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text('{"time_s": 1.0}\n{"time_s": 2.0, "a"\n[1]\n{"a": 1.0}\n' + json.dumps({"time_s": 3.0}) + "\n")
    assert [row["time_s"] for row in read_recording(path)] == [1.0, 3.0]


def test_what_cannot_be_written_is_told_and_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "run.csv"
    path.parent.write_text("a file in the folder's place")
    recording = Recording(path)
    with pytest.raises(RecordingError, match=r"run\.csv cannot be written"):
        recording.write({"time_s": 1.0})
    path.parent.unlink()
    recording.write({"time_s": 2.0})
    assert read_recording(path) == [{"time_s": 2.0}]


def test_another_ending_a_missing_file_and_an_empty_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ends with neither"):
        Recording(tmp_path / "run.txt")
    with pytest.raises(RecordingError, match="cannot be read"):
        read_recording(tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(RecordingError, match="record_file"):
        read_recording(tmp_path / "empty.csv")
