"""A served gateway over a scripted robot: one for all tests, or one of a test's own where figures must be fresh."""

from collections.abc import Iterator

import httpx
import pytest
from scripted_robot import Gateway, served


@pytest.fixture(scope="session")
def _shared() -> Iterator[Gateway]:
    with served() as gateway:
        yield gateway


@pytest.fixture
def gateway(_shared: Gateway) -> Gateway:
    """Its robot knows nothing of the tests before."""
    _shared.robot.begin_anew()
    return _shared


@pytest.fixture
def fresh() -> Iterator[Gateway]:
    with served() as gateway:
        yield gateway


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, trust_env=False) as client:
        yield client
