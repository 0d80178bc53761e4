"""A scripted language model in the real one's place, for faults that it cannot be told to make."""

from collections.abc import Iterator

import pytest

from system.scripted import ScriptedModel


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    scripted = ScriptedModel()
    yield scripted
    scripted.close()
