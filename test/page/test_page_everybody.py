"""The page for everybody: keyboard, screen readers, small screens, dark rooms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import robot_story as story
from browser import DESKTOP, PHONE, connected
from scripted_robot import Gateway

from smolfusion_ros.gateway.values import EmergencyStop

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = Path(__file__).parents[1] / "data" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN_AXE = "async rules => (await axe.run({ runOnly: rules })).violations"
LAYOUT_SHIFT = """() => { window.shifted = 0; new PerformanceObserver(list => {
  for (const each of list.getEntries()) if (!each.hadRecentInput) window.shifted += each.value;
}).observe({ type: "layout-shift", buffered: true }); }"""


def violations(page: Page) -> list[str]:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate(RUN_AXE, RULES)
    return [f"{each['impact']}: {each['id']}: {node['html'][:120]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing(
    open_page: Callable[..., Page], gateway: Gateway, theme: str, viewport: dict[str, int]
) -> None:
    page = connected(open_page(gateway.url, viewport=viewport, color_scheme=theme))
    assert violations(page) == []
    story.tell_all(gateway)
    story.tell(gateway, "diagnostics", story.diagnostics(llm_backend="error", store="warning", nodes="stale"))
    story.tell(gateway, "emergency_stop", EmergencyStop(engaged=True))
    story.tell(gateway, "turn", story.turn(3, interrupted=True, rejected=("walk: too far",), error="it is away"))
    page.wait_for_selector("#stop-banner")
    page.wait_for_selector(".turn .problem")
    assert violations(page) == []
    page.click("#release")
    assert violations(page) == []


def test_nothing_is_wider_than_a_small_phone(open_page: Callable[..., Page], gateway: Gateway) -> None:
    page = connected(open_page(gateway.url, viewport=PHONE))
    story.tell_all(gateway)
    story.tell(gateway, "turn", story.turn(3, heard="w" * 300, said="m" * 300, session_id="s" * 64))
    page.wait_for_selector(".turn:has-text('wwww')")
    page.wait_for_selector("[data-process=dialogue]")
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_moves_when_news_come(
    open_page: Callable[..., Page], gateway: Gateway, viewport: dict[str, int]
) -> None:
    page = connected(open_page(gateway.url, viewport=viewport))
    page.evaluate(LAYOUT_SHIFT)
    story.tell_all(gateway)
    story.tell(gateway, "emergency_stop", EmergencyStop(engaged=True))
    page.wait_for_selector("#stop-banner")
    page.wait_for_selector(".turn")
    page.wait_for_timeout(500)
    # What Core Web Vitals call good (https://web.dev/articles/cls).
    assert page.evaluate("() => window.shifted") < 0.1


def test_theme_is_chosen_and_kept(open_page: Callable[..., Page], gateway: Gateway) -> None:
    ground = "() => getComputedStyle(document.body).backgroundColor"
    page = connected(open_page(gateway.url, color_scheme="light"))
    light = page.evaluate(ground)
    page.click("#theme")
    assert page.evaluate(ground) == light
    page.click("#theme")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    assert page.get_attribute("#theme", "aria-label") == "Theme: dark"


def test_system_in_the_dark_gets_a_dark_page(open_page: Callable[..., Page], gateway: Gateway) -> None:
    shades = set()
    for scheme in ("light", "dark"):
        page = open_page(gateway.url, color_scheme=scheme)
        shades.add(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
    assert len(shades) == 2


def test_reply_is_said_politely_and_once(page: Page, gateway: Gateway) -> None:
    assert page.get_attribute("#announcer", "aria-live") == "polite"
    story.tell(gateway, "reply", story.reply("t1", 0, "Good "))
    story.tell(gateway, "turn", story.turn(1, heard="hello", said="Good morning!"))
    story.tell(gateway, "turn", story.turn(1, heard="hello", said="Good morning!"))
    page.wait_for_selector("#announcer:has-text('Good morning!')", state="attached")
    page.wait_for_timeout(200)
    assert page.locator("#announcer p").count() == 1


def test_conversation_can_be_had_by_keyboard_alone(page: Page, gateway: Gateway) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skip to the conversation
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    page.wait_for_selector(".turn[data-state=done]")
    assert ("converse", "hello", "") in gateway.robot.asked
