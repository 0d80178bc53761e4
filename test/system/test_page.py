"""The web page over the real stack, in a real browser: what a person sees, says and stops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from browser import DESKTOP, Complaints, chromium, connected
from smolfusion_ros.msg import ActionCommand, ActionStatus

from smolfusion_ros.nodes import _qos
from system.probe import until
from system.stack import Stack, answers, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.system

# Two cores hold the stack, the browser and this process.
TIMEOUT_MS = 45_000
HEAL_MS = 30_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def stack(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("page"), provider="xllamacpp", video="rendered:visit") as started:
        until(lambda: answers(f"{url(started)}/actions"), "the gateway")
        yield started


def url(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.options.gateway_port}"


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    context = browser.new_context(viewport=DESKTOP, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    complaints = Complaints(page)
    page.goto(url(stack))
    yield connected(page)
    context.close()
    assert not complaints.of_scripts


def say(page: Page, text: str) -> None:
    page.fill("#words", text)
    page.press("#words", "Enter")


def test_live_picture_changes_and_a_scene_line_shows(page: Page) -> None:
    page.wait_for_selector("#picture[data-stamp]")
    first = page.get_attribute("#picture", "data-stamp")
    page.wait_for_function("first => document.getElementById('picture').dataset.stamp !== first", arg=first)
    page.wait_for_selector("#scene-source:text-is('vision model')")
    assert page.text_content("#scene-compact")
    page.wait_for_selector("#scene-age:has-text('ago')")
    page.wait_for_selector("#gate:text-matches('Still|Moving|The camera moves')")
    page.wait_for_selector("[data-process=dialogue] .figure:has-text('MiB')")


def test_typed_sentence_is_answered_and_becomes_a_command(page: Page, stack: Stack) -> None:
    pieces = page.evaluate_handle(
        """() => { const seen = new Set(); new MutationObserver(() => {
          const said = document.querySelector(".turn[data-state=answering]:last-child .said");
          if (said) seen.add(said.textContent);
        }).observe(document.getElementById("turns"), { subtree: true, childList: true, characterData: true });
        return seen; }"""
    )
    told = stack.probe.heard("action_command")
    say(page, "please wave your left hand")
    page.wait_for_selector(".turn[data-state=done]:has-text('please wave your left hand'):has-text('all in')")
    page.wait_for_selector(".card[data-command=wave][data-state=sent]:has-text('left')")
    assert pieces.evaluate("seen => seen.size") >= 3
    command = told.wait_for(lambda each: each.name == "wave").message
    driver = stack.probe.publisher(ActionStatus, "action_status", _qos.COMMAND, readers=2)
    driver.publish(ActionStatus(command_id=command.id, state=ActionStatus.SUCCEEDED, detail="waved"))
    page.wait_for_selector(".card[data-command=wave][data-state=succeeded]:has-text('waved')")
    page.wait_for_selector("[data-stage='dialogue.first_token']")


def test_markup_that_somebody_types_is_shown_as_text(page: Page) -> None:
    markup = "<img src=x onerror=\"document.title='broken'\">"
    say(page, markup)
    page.wait_for_selector(".turn[data-state=done]:has-text('<img src=x')")
    page.wait_for_selector(".turn:has-text('all in')")
    assert page.locator("img").count() == 0
    assert page.title() == "Robot"


def test_history_is_there_for_who_comes_later(page: Page) -> None:
    page.wait_for_selector(".turn:has-text('please wave your left hand')")
    page.select_option("#session", "default")
    page.wait_for_selector(".turn:has-text('please wave your left hand')")


def test_killed_language_model_turns_its_light_red_and_back(page: Page, stack: Stack) -> None:
    light = "[data-light='llm backend']"
    page.wait_for_selector(f"{light}[data-level=ok]")
    stack.kill("llm_backend")
    page.wait_for_selector(f"{light}[data-level=error]:has-text('Error')", timeout=HEAL_MS)
    page.wait_for_selector("#wellness[data-level=error]")
    stack.start("llm_backend")
    page.wait_for_selector(f"{light}[data-level=ok]", timeout=HEAL_MS)


def test_emergency_stop_holds_commands_back_until_it_is_released(page: Page, stack: Stack) -> None:
    told = stack.probe.heard("action_command")
    page.click("#stop")
    page.wait_for_selector("#stop[data-engaged=true]")
    page.wait_for_selector("#stop-banner")
    before = len(told)
    say(page, "please wave your right hand")
    page.wait_for_selector(".turn[data-state=done]:has-text('please wave your right hand'):has-text('all in')")
    assert [each.name for each in told.messages(before) if each.priority != ActionCommand.PRIORITY_STOP] == []
    page.click("#release")
    page.click("#confirm-release")
    page.wait_for_selector("#stop-banner", state="detached")
    say(page, "please wave your right hand now")
    page.wait_for_selector(".card[data-command=wave]:has-text('right')")


def test_gateway_that_dies_is_missed_and_found_again(page: Page, stack: Stack) -> None:
    stack.kill("gateway")
    page.wait_for_selector("#connection-banner")
    stack.start("gateway")
    page.wait_for_selector("#connection-banner", state="detached")
    page.wait_for_selector(".turn:has-text('please wave your left hand')")
