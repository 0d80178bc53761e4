"""The web page in a real browser, over a served gateway whose robot follows a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from browser import DESKTOP, PAGE, TIMEOUT_MS, TOKEN, Complaints, chromium, connected
from scripted_robot import Gateway, ScriptedRobot, served

from smolfusion_ros.gateway.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


# Of a module: its loop would be in the way of other tests'.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with served(ScriptedRobot(max_streams=16), Settings(requests_per_minute=100000, page=PAGE)) as ours:
        yield ours


@pytest.fixture
def guarded() -> Iterator[Gateway]:
    """One that wants a token."""
    settings = Settings(requests_per_minute=100000, page=PAGE, token=TOKEN)
    with served(ScriptedRobot(max_streams=16), settings) as ours:
        yield ours


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address in a context of its own; the page's scripts must not have failed when the test ends."""
    opened: list[tuple[Page, Complaints]] = []

    def open_at(url: str, **context: Any) -> Page:
        page = browser.new_context(**{"viewport": DESKTOP, "locale": "en-GB", **context}).new_page()
        page.set_default_timeout(TIMEOUT_MS)
        opened.append((page, Complaints(page)))
        page.goto(url)
        return page

    yield open_at
    for page, complaints in opened:
        page.context.close()
        assert not complaints.of_scripts


@pytest.fixture
def page(open_page: Callable[..., Page], gateway: Gateway) -> Page:
    """The page, connected."""
    return connected(open_page(gateway.url))
