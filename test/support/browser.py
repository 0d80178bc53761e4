"""Debian's Chromium, driven by Playwright; tests that need it are skipped where it is not installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import smolfusion_ros.gateway

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGE = Path(smolfusion_ros.gateway.__file__).parent / "page"
TOKEN = "a-token-of-24-characters"
NAMES = ("chromium", "chromium-browser", "google-chrome")
# A root's Chromium has no sandbox; the rest keeps it from looking for its maker's servers.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1440, "height": 1000}
PHONE = {"width": 360, "height": 740}
TIMEOUT_MS = 10_000


def executable() -> str:
    """Where Chromium is; empty: nowhere."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; its loop runs in this thread until the end, so asyncio.run cannot be used meanwhile."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (requirements-test.txt)")
    path = executable()
    if not path:
        pytest.skip("no Chromium (Debian, Ubuntu: apt install chromium; or name one in CHROMIUM)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def connected(page: Page) -> Page:
    """Wait until the page has its first snapshot."""
    page.wait_for_selector("body[data-connection=open]")
    return page


class Complaints:
    """What the browser complains of on a page: errors of scripts, and what the content security policy forbids."""

    def __init__(self, page: Page) -> None:
        self.said: list[str] = []
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("console", lambda line: self.said.append(line.text) if line.type == "error" else None)

    @property
    def of_scripts(self) -> list[str]:
        """Without refused requests, which the tests provoke."""
        return [each for each in self.said if not each.startswith("Failed to load resource")]
