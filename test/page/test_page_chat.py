"""Talking to the robot, and what others say to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import robot_story as story
from scripted_robot import ANSWER, Gateway

from smolfusion_ros.errors import BackendUnavailableError
from smolfusion_ros.gateway.schemas import Delta
from smolfusion_ros.gateway.values import Utterance

if TYPE_CHECKING:
    from playwright.sync_api import Page

MARKUP = "<img src=x onerror=\"document.title='broken'\"><b>bold</b>"


def say(page: Page, text: str) -> None:
    page.fill("#words", text)
    page.press("#words", "Enter")


def test_enter_sends_and_the_answer_streams(page: Page, gateway: Gateway) -> None:
    gateway.robot.script = [Delta(text="Waving "), 0.6, Delta(text="my hand."), 0.6, ANSWER]
    say(page, "please wave")
    page.wait_for_selector(".turn[data-state=answering] .said:has-text('Waving …')")
    page.wait_for_selector(".turn[data-state=answering] .said:has-text('Waving my hand.')")
    page.wait_for_selector(".turn[data-state=done] .said:text-is('Waving my right hand.')")
    assert ("converse", "please wave", "") in gateway.robot.asked
    assert page.input_value("#words") == ""
    assert "Told the body to: wave" in page.text_content(".turn")
    page.wait_for_selector("#announcer:has-text('Robot: Waving my right hand.')", state="attached")


def test_empty_words_are_not_sent(page: Page, gateway: Gateway) -> None:
    say(page, "   ")
    page.wait_for_timeout(200)
    assert not [each for each in gateway.robot.asked if each[0] == "converse"]


def test_markup_is_shown_as_text(page: Page, gateway: Gateway) -> None:
    gateway.robot.script = [
        Delta(text=MARKUP),
        ANSWER.model_copy(update={"reply": MARKUP, "rejected": (MARKUP,), "session_id": MARKUP, "error": MARKUP}),
    ]
    say(page, MARKUP)
    page.wait_for_selector(".turn[data-state=done]")
    story.tell(gateway, "scene", story.scene(summary=MARKUP, compact=MARKUP))
    story.tell(gateway, "command", story.command(name=MARKUP, arguments={MARKUP: MARKUP}, session_id=MARKUP))
    story.tell(gateway, "status", story.status(MARKUP, detail=MARKUP))
    story.tell(gateway, "turn", story.turn(7, session_id=MARKUP))
    statuses = tuple(
        each.model_copy(update={"message": MARKUP, "values": {MARKUP: MARKUP}, "level": "error"})
        for each in story.diagnostics().statuses
    )
    story.tell(gateway, "diagnostics", story.diagnostics().model_copy(update={"statuses": statuses}))
    page.wait_for_selector("#lights .note:has-text('<b>bold</b>')")
    page.wait_for_timeout(200)
    assert page.text_content("[data-turn=t1] .heard") == MARKUP
    assert page.text_content("#scene .line") == MARKUP
    assert page.locator("img, b").count() == 0
    assert page.title() == "Robot"


def test_marks_of_reflex_canned_interrupted_and_rejected(page: Page, gateway: Gateway) -> None:
    story.tell(gateway, "turn", story.turn(1, source="reflex"))
    story.tell(gateway, "turn", story.turn(2, source="canned", error="the language model is away"))
    story.tell(gateway, "turn", story.turn(3, interrupted=True, rejected=("walk: too far",)))
    page.wait_for_selector("[data-turn=t1]:has-text('Reflex')")
    page.wait_for_selector("[data-turn=t2]:has-text('Canned'):has-text('No answer: the language model is away')")
    page.wait_for_selector("[data-turn=t3]:has-text('Interrupted'):has-text('Not done: walk: too far')")
    assert page.text_content("[data-turn=t1] .note").startswith("first word after 0.2 s, all in 0.8 s")


def test_what_a_person_says_aloud_is_answered_before_ones_eyes(page: Page, gateway: Gateway) -> None:
    heard = Utterance(session_id="anna", text="good morning", language="en", confidence=None, stamp=1.0)
    story.tell(gateway, "utterance", heard)
    page.wait_for_selector(".turn[data-state=waiting]:has-text('good morning')")
    story.tell(gateway, "reply", story.reply("t1", 0, "Good "))
    story.tell(gateway, "reply", story.reply("t1", 1, "morning!"))
    page.wait_for_selector(".turn[data-state=answering]:has-text('Good morning!')")
    story.tell(gateway, "turn", story.turn(1, heard="good morning", said="Good morning!"))
    page.wait_for_selector(".turn[data-state=done]:has-text('Good morning!')")
    assert page.locator(".turn").count() == 1


def test_history_of_the_chosen_session_is_loaded(page: Page, gateway: Gateway) -> None:
    page.wait_for_selector("#session option:has-text('anna')", state="attached")
    page.select_option("#session", "anna")
    page.wait_for_selector(".turn:has-text('heard 3')")
    assert page.locator(".turn").count() == 3
    assert ("history", "anna", 50) in gateway.robot.asked
    say(page, "hello")
    page.wait_for_selector(".turn:has-text('hello')")
    assert ("converse", "hello", "anna") in gateway.robot.asked


def test_other_sessions_are_told_of_but_not_shown(page: Page, gateway: Gateway) -> None:
    page.click("#sessions button:text-is('New')")
    name = page.input_value("#session")
    assert name.startswith("web-")
    story.tell(gateway, "turn", story.turn(9, session_id="bob", heard="something else"))
    page.wait_for_selector("#session option:has-text('bob (1 new)')", state="attached")
    assert page.locator(".turn").count() == 0
    page.select_option("#session", label="all conversations")
    page.wait_for_selector(".turn:has-text('something else')")


def test_refused_words_say_why(page: Page, gateway: Gateway) -> None:
    gateway.robot.script = [BackendUnavailableError("the dialogue is asleep")]
    say(page, "hello")
    page.wait_for_selector(".turn[data-state=failed]:has-text('No answer: the dialogue is asleep')")
    gateway.robot.script = [Delta(text="I"), BackendUnavailableError("lost the thread")]
    say(page, "hello again")
    page.wait_for_selector(".turn[data-state=failed]:has-text('No answer: lost the thread')")


def test_cancelling_ends_the_answer_in_the_robot(page: Page, gateway: Gateway) -> None:
    gateway.robot.script = [Delta(text="Once upon a time"), 30.0, ANSWER]
    say(page, "tell me a story")
    page.click(".turn button:has-text('Cancel this answer')")
    page.wait_for_selector(".turn[data-state=failed]:has-text('cancelled')")
    assert gateway.robot.ended.wait(2.0)


def test_a_long_conversation_follows_its_end_unless_one_reads_above(page: Page, gateway: Gateway) -> None:
    at_end = "() => turns.scrollHeight - turns.scrollTop - turns.clientHeight < 5"
    for number in range(30):
        story.tell(gateway, "turn", story.turn(number))
    page.wait_for_selector(".turn:has-text('please turn left 29')")
    page.wait_for_function(at_end)
    page.evaluate("() => { turns.scrollTop = 0; }")
    page.wait_for_timeout(100)
    story.tell(gateway, "turn", story.turn(30))
    page.wait_for_selector(".turn:has-text('please turn left 30')", state="attached")
    assert page.evaluate("() => turns.scrollTop") == 0


def test_two_pages_show_the_same(open_page: Callable[..., Page], page: Page, gateway: Gateway) -> None:
    other = open_page(gateway.url)
    other.wait_for_selector("body[data-connection=open]")
    story.tell(gateway, "turn", story.turn(5, heard="to both"))
    for each in (page, other):
        each.wait_for_selector(".turn:has-text('to both')")
