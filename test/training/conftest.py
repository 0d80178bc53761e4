"""The package's action catalogue and the English phrasings."""

from pathlib import Path

import pytest

from smolfusion_ros.bringup.paths import share_directory
from smolfusion_ros.dialogue.actions import Catalogue
from training.data.phrasings import Phrasings

ENGLISH = Path(__file__).parents[2] / "training" / "phrasings" / "en"


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue.load(share_directory() / "config" / "actions.yaml")


@pytest.fixture(scope="session")
def english(catalogue: Catalogue) -> Phrasings:
    return Phrasings.load(ENGLISH, catalogue)
