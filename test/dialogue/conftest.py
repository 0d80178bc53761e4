"""The robot of the dialogue's tests: the package's own catalogue and persona."""

from pathlib import Path

import pytest

from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.persona import Persona

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(scope="session")
def config() -> Path:
    return CONFIG


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue.load(CONFIG / "actions.yaml")


@pytest.fixture(scope="session")
def persona(catalogue: Catalogue) -> Persona:
    return Persona.load(CONFIG / "persona.yaml", catalogue)
