"""Lines that break, tokens, and pages that nobody looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import robot_story as story
from breakable_line import BreakableLine
from browser import TOKEN, connected
from scripted_robot import Gateway

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def line(gateway: Gateway) -> Iterator[BreakableLine]:
    line = BreakableLine(gateway.url)
    yield line
    line.close()


def test_lost_connection_is_told_and_comes_back_by_itself(
    open_page: Callable[..., Page], gateway: Gateway, line: BreakableLine
) -> None:
    page = connected(open_page(line.url))
    story.tell(gateway, "diagnostics", story.diagnostics())
    page.wait_for_selector("#wellness:has-text('All well')")
    line.cut()
    page.wait_for_selector("#connection-banner:has-text('Connection lost'):has-text('What is shown is old')")
    page.wait_for_selector("#wellness:has-text('Not connected')")
    story.tell(gateway, "turn", story.turn(1, heard="said meanwhile"))
    line.mend()
    page.wait_for_selector("#connection-banner", state="detached")
    page.wait_for_selector(".turn:has-text('said meanwhile')")
    story.show(gateway, story.picture())
    page.wait_for_selector("#picture[data-stamp]")


def test_tries_are_further_and_further_apart_and_can_be_hastened(
    open_page: Callable[..., Page], line: BreakableLine
) -> None:
    page = connected(open_page(line.url))
    tries: list[str] = []
    page.on("requestfailed", lambda request: tries.append(request.url) if request.url.endswith("/stream") else None)
    line.cut()
    page.wait_for_selector("#connection-banner p:text-matches('Next try in [45] s')")  # after 0.5, 1 and 2 s
    assert 3 <= len(tries) <= 5
    line.mend()
    page.click("#connection-banner button:has-text('Try now')")
    page.wait_for_selector("#connection-banner", state="detached", timeout=2500)


def test_an_answer_that_breaks_off_says_so(
    open_page: Callable[..., Page], gateway: Gateway, line: BreakableLine
) -> None:
    page = connected(open_page(line.url))
    gateway.robot.script = [gateway.robot.script[0], 30.0]
    page.fill("#words", "hello")
    page.press("#words", "Enter")
    page.wait_for_selector(".turn[data-state=answering]")
    line.cut()
    page.wait_for_selector(".turn[data-state=failed]:has-text('No answer')")
    assert gateway.robot.ended.wait(2.0)


def test_token_is_asked_for_once_and_kept_for_the_tab(open_page: Callable[..., Page], guarded: Gateway) -> None:
    story.tell_all(guarded)
    page = open_page(guarded.url)
    page.fill("#token", "a-wrong-token-entirely")
    page.press("#token", "Enter")
    page.wait_for_selector("#token-note:has-text('refused')")
    page.fill("#token", TOKEN)
    page.press("#token", "Enter")
    connected(page)
    page.wait_for_selector("#picture[data-stamp]")
    page.wait_for_selector("#session option:has-text('anna')", state="attached")
    page.click("#stop")
    page.wait_for_selector("#stop[data-engaged=true]")
    assert page.evaluate("() => [...Object.values(localStorage)]") == []
    assert TOKEN not in page.url
    page.reload()
    connected(page)
    assert page.locator("#ask-token[open]").count() == 0


def test_hidden_page_leaves_its_connections_to_others(page: Page, gateway: Gateway) -> None:
    def streams() -> int:
        return gateway.do(lambda: gateway.robot.hub.streams)

    story.show(gateway, story.picture())
    page.wait_for_selector("#picture[data-stamp]")
    assert streams() == 2
    hide = """hidden => { Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange")); }"""
    page.evaluate(hide, True)
    page.wait_for_timeout(500)
    assert streams() == 0
    assert page.locator("#connection-banner").count() == 0
    page.evaluate(hide, False)
    page.wait_for_timeout(500)
    assert streams() == 2
