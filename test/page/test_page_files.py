"""What the page is made of: files of its own only, nothing inline, nothing changed that comes from elsewhere."""

import hashlib
import re
from pathlib import Path

import pytest

import smolfusion_ros.gateway

PAGE = Path(smolfusion_ros.gateway.__file__).parent / "page"
OWN = sorted(file for file in PAGE.rglob("*") if file.is_file() and "vendor" not in file.parts)
SCRIPTS = [file for file in OWN if file.suffix == ".js"]
INDEX = (PAGE / "index.html").read_text(encoding="utf-8")


def test_vendored_files_are_those_of_the_package() -> None:
    text = (PAGE / "vendor" / "README.md").read_text(encoding="utf-8")
    told = {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", text, re.MULTILINE)}
    found = {
        file.relative_to(PAGE / "vendor").as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (PAGE / "vendor").rglob("*")
        if file.is_file() and file.name != "README.md"
    }
    assert found == told


def test_index_refers_to_files_that_are_there() -> None:
    referred = [name for name in re.findall(r'(?:src|href)="([^"#][^"]*)"', INDEX) if name != "openapi.json"]
    assert len(referred) >= 6
    assert [name for name in referred if not (PAGE / name).is_file()] == []


def test_nothing_stands_inline() -> None:
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", INDEX)
    assert re.findall(r"<script(?![^>]*\ssrc=)", INDEX) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_script_imports_what_is_there_and_writes_no_markup(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    for name in re.findall(r'from "(.+?)"', text) + re.findall(r'import "(.+?)"', text):
        assert (script.parent / name).is_file(), name
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|unsafe", text)
    assert not re.search(r"\sstyle=", text), "the content security policy forbids it"


@pytest.mark.parametrize("file", OWN, ids=lambda file: file.name)
def test_nothing_comes_from_elsewhere(file: Path) -> None:
    text = re.sub(r'xmlns="[^"]*"', "", file.read_text(encoding="utf-8"))
    addresses = re.findall(r"https?://\S+", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    assert addresses == []


@pytest.mark.parametrize("file", OWN, ids=lambda file: file.name)
def test_file_is_short_enough_to_read(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= (300 if file.suffix == ".css" else 200)
    assert max(map(len, lines)) <= 220
