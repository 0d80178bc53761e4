"""The persona file: what it gives, and what a wrong one is told."""

from pathlib import Path

import pytest
import yaml

from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.errors import ConfigurationError

GOOD = {
    "name": "Ro",
    "persona": "You are\n  Ro.",
    "canned": {"unavailable": "Sorry.", "busy": "Wait."},
    "examples": [{"scene": "nobody", "heard": "nod", "say": "Nodding.", "commands": [{"name": "nod"}]}],
}


def load(folder: Path, content: object, catalogue: Catalogue) -> Persona:
    path = folder / "persona.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return Persona.load(path, catalogue)


def test_persona_is_read_with_its_text_on_one_line(tmp_path: Path, catalogue: Catalogue):
    persona = load(tmp_path, GOOD, catalogue)
    assert (persona.name, persona.text) == ("Ro", "You are Ro.")
    assert persona.canned_unavailable == "Sorry."
    assert persona.examples[0].commands == ({"name": "nod"},)


def test_default_persona_shows_answers_with_and_without_commands(persona: Persona):
    assert {bool(example.commands) for example in persona.examples} == {True, False}


@pytest.mark.parametrize(
    "change",
    [
        {"name": None, "persona": None, "canned": None},
        {"canned": {"busy": "Wait."}},
        {"canned": "Sorry."},
        {"canned": {"unavailable": "Sorry.", "stale_scene": "It is {minutes} minutes old."}},
        {"canned": {"unavailable": "Sorry.", "stale_scene": "It is {seconds"}},
        {"examples": None},
        {"examples": ["hello"]},
        {"examples": [{"scene": "nobody"}]},
        {"examples": [{**GOOD["examples"][0], "commands": [{"name": "fly"}]}]},
        {"examples": [{**GOOD["examples"][0], "commands": [{"name": "wave", "arguments": {"hand": "third"}}]}]},
        {"examples": [{**GOOD["examples"][0], "commands": 5}]},
    ],
)
def test_wrong_persona_is_a_configuration_error_that_names_the_file(tmp_path: Path, catalogue: Catalogue, change: dict):
    with pytest.raises(ConfigurationError, match=r"persona\.yaml"):
        load(tmp_path, {**GOOD, **change}, catalogue)


@pytest.mark.parametrize("key", ["name", "persona", "canned"])
def test_missing_key_is_named(tmp_path: Path, catalogue: Catalogue, key: str):
    with pytest.raises(ConfigurationError, match=key):
        load(tmp_path, {name: value for name, value in GOOD.items() if name != key}, catalogue)
