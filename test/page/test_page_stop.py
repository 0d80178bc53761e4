"""The emergency stop: one press, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import robot_story as story
from browser import PHONE, connected
from scripted_robot import Gateway

from smolfusion_ros.errors import InactiveError
from smolfusion_ros.gateway.values import EmergencyStop

if TYPE_CHECKING:
    from playwright.sync_api import Page


def presses(gateway: Gateway) -> int:
    return gateway.robot.asked.count(("engage",))


def test_one_press_stops(page: Page, gateway: Gateway) -> None:
    box = page.locator("#stop").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.wait_for_selector("#stop[data-engaged=true]:has-text('Stopped')")
    page.wait_for_selector("#stop-banner:has-text('The robot is told to do nothing')")
    assert presses(gateway) == 1


def test_keyboard_reaches_it_second(page: Page, gateway: Gateway) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.id") == "stop"
    page.keyboard.press("Enter")
    page.wait_for_selector("#stop[data-engaged=true]")
    assert presses(gateway) == 1


def test_it_is_in_sight_wherever_one_has_scrolled(open_page: Callable[..., Page], gateway: Gateway) -> None:
    page = connected(open_page(gateway.url, viewport=PHONE, has_touch=True))
    story.tell_all(gateway)
    page.evaluate("() => scrollTo(0, document.body.scrollHeight)")
    box = page.locator("#stop").bounding_box()
    assert box is not None and 0 <= box["y"] < 100 and box["height"] >= 44 and box["x"] + box["width"] <= 360
    page.locator("#stop").tap()
    page.wait_for_selector("#stop[data-engaged=true]")


def test_it_is_tried_until_it_is_confirmed(page: Page, gateway: Gateway) -> None:
    gateway.robot.fault = InactiveError("nobody hears emergency_stop")
    page.click("#stop")
    page.wait_for_selector("#stop:has-text('Stopping')")
    page.wait_for_timeout(500)
    gateway.robot.fault = None
    page.wait_for_selector("#stop[data-engaged=true]")
    assert presses(gateway) >= 2


def test_a_stop_by_somebody_else_is_shown(page: Page, gateway: Gateway) -> None:
    story.tell(gateway, "emergency_stop", EmergencyStop(engaged=True))
    page.wait_for_selector("#stop-banner")
    story.tell(gateway, "emergency_stop", EmergencyStop(engaged=False))
    page.wait_for_selector("#stop-banner", state="detached")
    assert page.text_content("#stop") == "Emergency stop"


def test_release_is_asked_for_twice(page: Page, gateway: Gateway) -> None:
    page.click("#stop")
    page.click("#release")
    assert ("reset",) not in gateway.robot.asked
    page.keyboard.press("Enter")  # the first choice is to keep it
    page.wait_for_selector("#ask-release[open]", state="detached")
    assert ("reset",) not in gateway.robot.asked
    page.click("#release")
    page.click("#confirm-release")
    page.wait_for_selector("#stop-banner", state="detached")
    assert ("reset",) in gateway.robot.asked


def test_a_release_that_fails_keeps_the_banner(page: Page, gateway: Gateway) -> None:
    page.click("#stop")
    page.wait_for_selector("#stop[data-engaged=true]")
    gateway.robot.fault = InactiveError("dialogue is gone")
    page.click("#release")
    page.click("#confirm-release")
    page.wait_for_selector("#stop-banner:has-text('It was not released: dialogue is gone')")
