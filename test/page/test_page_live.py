"""The page shows what the robot sees, does, costs, and how it fares."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import robot_story as story
from scripted_robot import Gateway

if TYPE_CHECKING:
    from playwright.sync_api import Page

GREEN, BLUE = (20, 160, 40), (30, 40, 170)
CORNER = """() => [...document.getElementById("picture").getContext("2d").getImageData(5, 5, 1, 1).data].slice(0, 3)"""


def corner_is(page: Page, colour: tuple[int, int, int]) -> None:
    page.wait_for_function(
        f"wanted => ({CORNER})().every((each, at) => Math.abs(each - wanted[at]) < 12)", arg=list(colour)
    )


def test_picture_changes_with_the_cameras(page: Page, gateway: Gateway) -> None:
    story.show(gateway, story.picture(GREEN))
    corner_is(page, GREEN)
    story.show(gateway, story.picture(BLUE, (320, 200)))
    corner_is(page, BLUE)
    assert page.evaluate("() => [picture.width, picture.height]") == [320, 200]


def test_paused_picture_stands_until_it_goes_on(page: Page, gateway: Gateway) -> None:
    story.show(gateway, story.picture(GREEN))
    corner_is(page, GREEN)
    page.click("#pause")
    story.show(gateway, story.picture(BLUE))
    page.wait_for_timeout(300)
    corner_is(page, GREEN)
    page.click("#pause")
    corner_is(page, BLUE)


def test_single_pictures_where_motion_jpeg_does_not_come(open_page: Callable[..., Page], gateway: Gateway) -> None:
    story.show(gateway, story.picture(GREEN))
    page = open_page("about:blank")
    page.route("**/camera.mjpg", lambda route: route.abort())
    page.goto(gateway.url)
    corner_is(page, GREEN)
    story.show(gateway, story.picture(BLUE))
    corner_is(page, BLUE)


def test_damaged_picture_is_passed_over(page: Page, gateway: Gateway) -> None:
    story.show(gateway, b"\xff\xd8 no picture")
    story.show(gateway, story.picture(GREEN))
    corner_is(page, GREEN)


def test_boxes_lie_where_persons_are(page: Page, gateway: Gateway) -> None:
    story.show(gateway, story.picture())
    story.tell(gateway, "scene", story.scene())
    box = page.locator("#overlay rect.person").bounding_box()
    canvas = page.locator("#picture").bounding_box()
    assert box is not None and canvas is not None
    scale = canvas["width"] / 640
    assert abs(box["x"] - canvas["x"] - 120 * scale) < 3
    assert abs(box["y"] - canvas["y"] - 80 * scale) < 3
    assert abs(box["width"] - 100 * scale) < 4
    assert page.locator("#overlay text.person").text_content() == "3: left, smiling, waving, red shirt"
    assert page.locator(".seen .object").text_content() == "red cup, right"


def test_motion_of_a_larger_frame_is_drawn_in_the_keyframes_pixels(page: Page, gateway: Gateway) -> None:
    story.show(gateway, story.picture())
    story.tell(gateway, "motion", story.motion(width=1280, height=960))
    page.wait_for_selector("#overlay rect.moving[x='100'][width='100']", state="attached")


def test_scene_line_its_age_and_where_it_is_from(page: Page, gateway: Gateway) -> None:
    story.tell(gateway, "motion", story.motion())
    story.tell(gateway, "scene", story.scene(stamp=time.time() - 5))
    page.wait_for_selector("text=A person in a red shirt smiles and waves.")
    assert page.text_content("#scene-source") == "vision model"
    assert page.text_content("#scene-compact") == "person left smiling waving red shirt; cup red right"
    page.wait_for_function("""() => /^[56]\\.\\d s ago$/.test(document.getElementById("scene-age").textContent)""")
    story.tell(gateway, "scene", story.scene(source="detector", summary="", compact="person left"))
    page.wait_for_selector("#scene-source:has-text('faces only')")


def test_gate_tells_still_moving_and_no_camera(page: Page, gateway: Gateway) -> None:
    assert page.text_content("#gate") == "No camera"
    for fields, word in (({}, "Moving"), ({"active": False}, "Still"), ({"camera_moving": True}, "The camera moves")):
        story.tell(gateway, "motion", story.motion(**fields))
        page.wait_for_selector(f"#gate:text-is('{word}')")
    assert len(page.get_attribute("#motion polyline", "points").split()) == 3
    page.wait_for_selector("#gate:text-is('No camera')")


def test_command_card_follows_its_command(page: Page, gateway: Gateway) -> None:
    story.tell(gateway, "command", story.command())
    page.wait_for_selector(".card[data-command=turn][data-state=sent]")
    assert page.locator(".card dl").text_content() == "DirectionleftAngle45°"
    for state in ("accepted", "running", "failed"):
        story.tell(gateway, "status", story.status(state, detail="an obstacle" if state == "failed" else ""))
        page.wait_for_selector(f".card[data-state={state}]")
    assert page.text_content(".card .detail") == "an obstacle"
    page.wait_for_selector("#announcer:has-text('Turn: Failed')", state="attached")


def test_command_that_the_body_says_nothing_of_expires(page: Page, gateway: Gateway) -> None:
    story.tell(gateway, "command", story.command(lifetime_s=1.0))
    page.wait_for_selector(".card[data-state=expired]:has-text('the body said nothing')")


def test_cards_are_newest_first_and_bounded(page: Page, gateway: Gateway) -> None:
    for number in range(40):
        story.tell(gateway, "command", story.command(number, name="nod" if number < 39 else "bow", arguments={}))
    page.wait_for_selector(".card:first-child[data-command=bow]")
    assert page.locator(".card").count() == 30


def test_latencies_and_costs_have_figures_and_histories(page: Page, gateway: Gateway) -> None:
    for first_token_ms in (200.0, 260.0, 220.0):
        story.tell(gateway, "performance", story.performance(first_token_ms))
        page.wait_for_selector(f"[data-stage='dialogue.first_token']:has-text('{first_token_ms:.0f} ms')")
    row = page.locator("[data-stage='dialogue.first_token']")
    assert "First word of an answer" in row.text_content()
    assert len(row.locator(".history polyline").get_attribute("points").split()) == 3
    # Half a decade above 100 ms on four decades from 1 ms on.
    assert 55 < float(row.locator("rect.p50").get_attribute("width")) < 62
    assert "28 %" in page.text_content("[data-process=vlm_backend]")
    assert "67 MiB" in page.text_content("[data-process=vlm_backend]")


def test_a_failing_backend_has_a_red_light_and_a_word(page: Page, gateway: Gateway) -> None:
    story.tell(gateway, "diagnostics", story.diagnostics())
    page.wait_for_selector("#wellness:has-text('All well')")
    story.tell(gateway, "diagnostics", story.diagnostics(llm_backend="error"))
    page.wait_for_selector("[data-light='llm backend'][data-level=error]:has-text('Error')")
    page.wait_for_selector("#wellness:has-text('1 error')")
    light = page.locator("[data-light='llm backend'] .light")
    assert light.text_content().strip().startswith("■")
    story.tell(gateway, "diagnostics", story.diagnostics())
    page.wait_for_selector("[data-light='llm backend'][data-level=ok]")


def test_page_that_is_open_for_long_does_not_grow(page: Page, gateway: Gateway) -> None:
    def nodes_after(first: int, last: int) -> int:
        for number in range(first, last):
            story.tell(gateway, "turn", story.turn(number, commands=(story.command(number),)))
            story.tell(gateway, "status", story.status("running", number))
            story.tell(gateway, "scene", story.scene())
            story.tell(gateway, "motion", story.motion())
            story.tell(gateway, "diagnostics", story.diagnostics())
            if number % 20 == 0:  # let it paint
                page.evaluate("() => new Promise(requestAnimationFrame)")
        page.wait_for_selector(f".turn:has-text('please turn left {last - 1}')")
        return page.evaluate("() => count(document)")

    page.evaluate("() => { window.count = node => [...node.childNodes].reduce((sum, each) => sum + count(each), 1); }")
    full = nodes_after(0, 250)
    assert nodes_after(250, 500) <= full + 50


def test_what_was_before_the_page_is_there(open_page: Callable[..., Page], gateway: Gateway) -> None:
    story.tell_all(gateway)
    page = open_page(gateway.url)
    page.wait_for_selector("text=A person in a red shirt smiles and waves.")
    page.wait_for_selector(".turn:has-text('please turn left 1')")
    page.wait_for_selector(".card[data-command=turn][data-state=past]")
    story.tell(gateway, "status", story.status("succeeded", 1))
    page.wait_for_selector(".card[data-command=turn][data-state=succeeded]")
    page.wait_for_selector("#wellness:has-text('All well')")


def test_what_became_of_commands_before_the_page_is_told(open_page: Callable[..., Page], gateway: Gateway) -> None:
    story.tell_all(gateway)
    story.tell(gateway, "command", story.command(1))
    story.tell(gateway, "status", story.status("failed", 1))
    page = open_page(gateway.url)
    page.wait_for_selector(".card[data-command=turn][data-state=failed]")
    assert page.locator(".card[data-command=turn]").count() == 1
