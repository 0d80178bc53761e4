"""Tokens and keys come from a file that nobody else reads, or from the environment, and are told nowhere."""

import os
from pathlib import Path

import pytest

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.secret import MAX_BYTES, Secret, read_secret

WORD, VARIABLE = "sk-0123456789abcdef", "A_TEST_KEY"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "key"
    made.write_text(f"{WORD}\n")
    made.chmod(0o600)
    return made


def test_file_wins_over_the_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f" {WORD}2\n")
    assert read_secret("key_file", str(file), VARIABLE) == Secret(WORD, f"key_file {file}")
    assert read_secret("key_file", "", VARIABLE) == Secret(f"{WORD}2", VARIABLE)


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_without_either_there_is_none_and_the_places_are_named(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    found = read_secret("key_file", "", VARIABLE)
    assert not found
    assert found.origin == f"key_file or {VARIABLE}"


def test_home_is_known(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(file.parent))
    assert read_secret("key_file", "~/key", VARIABLE).value == WORD


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666])
def test_file_that_others_may_read_or_write_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"key_file {file} can be read by others: chmod 600 {file}") as refused:
        read_secret("key_file", str(file), VARIABLE)
    assert WORD not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds 0 words"),
        (b" \n\n", "holds 0 words"),
        (f"{WORD} {WORD}".encode(), "holds 2 words"),
        (f"KEY {WORD}\xa0x".encode(), "holds 3 words"),
        (f"{WORD}é".encode(), "not printable ASCII"),
        (f"{WORD}\0".encode(), "not printable ASCII"),
        (b"\xff\xfe" + WORD.encode(), "it is no text"),
        (WORD.encode() * MAX_BYTES, f"holds more than {MAX_BYTES} bytes"),
    ],
)
def test_content_that_is_no_word_is_refused_and_not_told(file: Path, content: bytes, reason: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=reason) as refused:
        read_secret("key_file", str(file), VARIABLE)
    assert str(file) in str(refused.value)
    assert WORD not in str(refused.value)


@pytest.mark.parametrize("value", [f"{WORD} x", f"{WORD}é"])
def test_variable_that_is_no_word_is_refused_and_not_told(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(ConfigurationError, match=VARIABLE) as refused:
        read_secret("key_file", "", VARIABLE)
    assert WORD not in str(refused.value)


def test_missing_file_and_directory_are_refused_also_where_the_variable_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, WORD)
    with pytest.raises(ConfigurationError, match="nowhere cannot be read: No such file"):
        read_secret("key_file", str(tmp_path / "nowhere"), VARIABLE)
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read_secret("key_file", str(tmp_path), VARIABLE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_file_that_may_not_be_read_is_refused(file: Path) -> None:
    file.chmod(0o000)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        read_secret("key_file", str(file), VARIABLE)


def test_word_is_told_nowhere() -> None:
    secret = Secret(WORD, "key_file k")
    assert WORD not in f"{secret} {secret!r}"
    assert secret.hidden_in(f"no such key: {WORD}") == "no such key: <secret>"
    assert Secret().hidden_in("nothing to hide") == "nothing to hide"
