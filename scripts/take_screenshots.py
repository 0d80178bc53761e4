#!/usr/bin/env python3
"""Pictures of the web page while a rendered visitor is there, somebody types, and a body does as it is told.

What scripts/screenshots runs; needs the built workspace (. scripts/env.sh).
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "test" / "support")]

from browser import chromium, connected  # noqa: E402
from PIL import Image  # noqa: E402

from smolfusion_ros.client import Command, Robot  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

PORTS = {"--gateway-port": "18898", "--llm-port": "18896", "--vlm-port": "18897"}
ADDRESS = f"http://127.0.0.1:{PORTS['--gateway-port']}"
LINES = ("nod please", "how are you today?", "please wave your left hand", "turn left 45 degrees")
DESKTOP = {"width": 1440, "height": 1180}
PHONE = {"width": 390, "height": 844}
COLOURS = 200
MOST_BYTES = 200_000
START_MS = 90_000
MOVE_S = 1.5
STOP_S = 15.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", help="directory of the pictures")
    out: Path = parser.parse_args().out
    with running_stack(), chromium() as browser, Robot(name="body") as robot:
        robot.on_command(lambda command: obey(robot, command))
        page = opened(browser.new_context(viewport=DESKTOP, color_scheme="light", locale="en-GB").new_page())
        for line in LINES:
            say(page, line)
        show_visitor(page)
        save(out / "page-desktop.png", shot(page))
        page.emulate_media(color_scheme="dark")
        page.click("#stop")
        page.wait_for_selector("#stop-banner")
        save(out / "page-dark.png", shot(page))
        page.click("#release")
        page.click("#confirm-release")
        page.context.close()
        phone = browser.new_context(viewport=PHONE, device_scale_factor=1.5, color_scheme="light", locale="en-GB")
        page = opened(phone.new_page())
        show_visitor(page)
        views = [shot(page)]
        for part in ("conversation", "doing"):
            page.evaluate("name => document.getElementById(name).scrollIntoView()", part)
            views.append(shot(page))
        save(out / "page-phone.png", beside(views))
    return 0


@contextmanager
def running_stack() -> Iterator[None]:
    """The embedded profile's stack, whose data go with it."""
    with tempfile.TemporaryDirectory() as kept:
        command = [sys.executable, "-m", "smolfusion_ros.bringup", "--profile", "embedded"]
        command += ["--video", "rendered:visit", *(word for pair in PORTS.items() for word in pair)]
        places = {name: f"{kept}/{name}" for name in ("XDG_DATA_HOME", "XDG_STATE_HOME")}
        stack = subprocess.Popen(command, env={**os.environ, **places}, start_new_session=True)
        try:
            yield
        finally:
            stack.send_signal(signal.SIGINT)
            try:
                stack.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(stack.pid, signal.SIGKILL)


def obey(robot: Robot, command: Command) -> None:
    """What a driver reports."""
    robot.report(command, "running")
    threading.Timer(MOVE_S, lambda: robot.report(command, "succeeded")).start()


def opened(page: Page) -> Page:
    """The page, as soon as the gateway serves it and the vision model has seen something."""
    from playwright.sync_api import Error

    page.set_default_timeout(START_MS)
    end_s = time.monotonic() + START_MS / 1000
    while True:
        try:
            page.goto(ADDRESS)
            break
        except Error:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.5)
    connected(page).wait_for_selector("#scene-source:text-is('vision model')")
    page.wait_for_selector("[data-light='llm backend'][data-level=ok]")
    return page


def say(page: Page, line: str) -> None:
    """Type a line and wait for the whole answer, and for the body."""
    page.fill("#words", line)
    page.press("#words", "Enter")
    page.wait_for_selector(f".turn[data-state=done]:has-text('{line}'):has-text('all in')")
    page.wait_for_timeout(1000 * MOVE_S)


def show_visitor(page: Page) -> None:
    """Wait until a person was found in the newest picture."""
    page.wait_for_selector("#overlay rect.person:not(.old)", state="attached")
    page.wait_for_selector(".seen .person")


def shot(page: Page) -> Image.Image:
    page.evaluate("() => document.activeElement.blur()")
    page.wait_for_timeout(200)
    return Image.open(io.BytesIO(page.screenshot()))


def beside(views: list[Image.Image], gap: int = 24) -> Image.Image:
    """Views of one height in a row."""
    width = sum(view.width + gap for view in views) - gap
    row = Image.new("RGB", (width, views[0].height), "white")
    x = 0
    for view in views:
        row.paste(view, (x, 0))
        x += view.width + gap
    return row


def save(path: Path, image: Image.Image) -> None:
    """As a PNG of few colours, to keep the repository small."""
    out = io.BytesIO()
    image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    size = len(out.getvalue())
    if size > MOST_BYTES:
        raise SystemExit(f"{path.name} has {size} bytes, more than {MOST_BYTES}")
    path.write_bytes(out.getvalue())
    print(f"{path.name}: {image.width}x{image.height}, {size // 1000} kB")


if __name__ == "__main__":
    raise SystemExit(main())
