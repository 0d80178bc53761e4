"""Training data on disk."""

import json
from pathlib import Path

import pytest

from smolfusion_ros.dialogue.actions import Catalogue
from training.data import files
from training.data.conversations import Turn
from training.errors import TrainingError

WAVE = {"name": "wave", "arguments": {"hand": "left"}}
TURN = Turn("10:00:00 nobody", "wave", "Waving.", (WAVE,), ("wave:wave:1",))


def test_what_is_written_is_read(tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "new" / "train.jsonl"
    assert files.write(path, [[TURN], [TURN, TURN]]) == 2
    assert list(files.read(path, catalogue)) == [[TURN], [TURN, TURN]]
    assert [each.name for each in path.parent.iterdir()] == ["train.jsonl"]


def test_anybodys_instructions_are_read(tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(
        '{"instruction": "You are Bo.", "input": "hi", "output": "Hello."}\n\n{"instruction": "a", "output": "b"}\n'
    )
    assert list(files.read(path, catalogue)) == [
        files.Instruction("You are Bo.", "hi", "Hello."),
        files.Instruction("a", "", "b"),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"turns": [', "not JSON"),
        ("[1]", "neither turns nor instruction"),
        ('{"instruction": "a"}', "neither turns nor instruction"),
        ('{"instruction": 5, "output": "b"}', "instruction is 5, no text"),
        (json.dumps({"turns": [{**TURN.as_json(), "commands": [{"name": "fly"}]}]}), "unknown action 'fly'"),
        (json.dumps({"turns": [{**TURN.as_json(), "commands": [{"name": "wave"}]}]}), "argument 'hand' is missing"),
        (json.dumps({"turns": [{"scene": "a"}]}), "neither turns nor"),
    ],
)
def test_wrong_line_is_told_with_file_and_line(tmp_path: Path, catalogue: Catalogue, line: str, problem: str) -> None:
    path = tmp_path / "train.jsonl"
    files.write(path, [[TURN]])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(TrainingError, match=rf"train\.jsonl:2: .*{problem}"):
        list(files.read(path, catalogue))


def test_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cannot be written"):
        files.write(tmp_path / "file" / "train.jsonl", [[TURN]])


def test_conversations_that_fail_leave_no_half_file(tmp_path: Path) -> None:
    def conversations():
        yield [TURN]
        raise OSError(28, "No space left on device")

    with pytest.raises(TrainingError, match="No space left"):
        files.write(tmp_path / "train.jsonl", conversations())
    assert not list(tmp_path.iterdir())
