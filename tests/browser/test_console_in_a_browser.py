"""The console as a person meets it: in Chromium, by keyboard, in light and dark and on a phone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from zirkel.app.picture import CHROMIUM_FLAGS

pytest.importorskip("playwright", reason="the package playwright is not installed")

from playwright.sync_api import Browser, Page, expect, sync_playwright

if TYPE_CHECKING:
    from tests.browser.conftest import RunningZirkel

pytestmark = pytest.mark.browser

QUESTIONS = ["Which version is running?", "How good is it really?", "What does it cost?", "Does it drift?"]
PATHS = ["/", "/services/review-triage", "/traces", "/label", "/label/review-triage", "/evidence", "/services/unknown"]


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield launched
        launched.close()


def sign_in_by_keyboard(page: Page, zirkel: "RunningZirkel") -> None:
    """Tab past the skip link, the address and the password to the key, and press Enter."""
    # Whatever is still loading when the form is sent would count as a failed request.
    page.goto(f"{zirkel.url}/", wait_until="networkidle")
    for focused in ("Skip to content", "E-mail", "Password", "API key"):
        page.keyboard.press("Tab")
        at = page.locator(":focus")
        expect(at if focused.startswith("Skip") else page.get_by_label(focused)).to_be_focused()
    page.keyboard.type(zirkel.api_key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.wait_for_load_state("networkidle")


def test_signing_in_by_keyboard_shows_the_four_questions(browser: Browser, zirkel: "RunningZirkel") -> None:
    page = browser.new_page()
    sign_in_by_keyboard(page, zirkel)
    assert page.locator("h3").all_inner_texts() == QUESTIONS
    expect(page.get_by_text("Release 1 in production")).to_be_visible()
    page.close()


def test_no_page_has_errors_failed_requests_or_calls_another_host(browser: Browser, zirkel: "RunningZirkel") -> None:
    page = browser.new_page()
    problems: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.on(
        "response", lambda answer: problems.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
    )
    page.on("request", lambda request: requested.append(request.url))
    sign_in_by_keyboard(page, zirkel)
    for path in PATHS[:-1]:
        page.goto(zirkel.url + path, wait_until="networkidle")
    assert problems == []
    assert {urlsplit(url).netloc for url in requested} == {urlsplit(zirkel.url).netloc}
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_its_window(browser: Browser, zirkel: "RunningZirkel", width: int, scheme: str) -> None:
    page = browser.new_page(
        viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
    )
    sign_in_by_keyboard(page, zirkel)
    for path in PATHS:
        page.goto(zirkel.url + path)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    page.close()


def test_the_console_works_without_javascript(browser: Browser, zirkel: "RunningZirkel") -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(f"{zirkel.url}/")
    page.get_by_label("API key").fill(zirkel.api_key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="review-triage").click()
    assert "baseline" in page.locator("main").inner_text()
    page.get_by_role("link", name="Evidence").click()
    assert "ship.first" in page.locator("main").inner_text()
    page.get_by_role("button", name="Sign out").click()
    assert page.get_by_label("API key").is_visible()
    page.close()


def test_where_the_keyboard_is_can_be_seen(browser: Browser, zirkel: "RunningZirkel") -> None:
    page = browser.new_page()
    sign_in_by_keyboard(page, zirkel)
    seen: list[str] = []
    for _ in range(11):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        seen.append(focused.inner_text().strip())
        assert focused.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    assert seen == [
        "Skip to content",
        "Zirkel",
        "Services",
        "Traces",
        "Sessions",
        "Costs",
        "Label",
        "Gateway",
        "Evidence",
        "Sign out",
        "review-triage",
    ]
    page.close()


def test_a_picture_is_a_png_of_the_first_screen(tmp_path: Path, zirkel: "RunningZirkel") -> None:
    out = tmp_path / "console.png"
    command = [
        sys.executable,
        "-m",
        "zirkel.app.picture",
        "--url",
        zirkel.url,
        "--key-variable",
        "KEY",
        "--out",
        str(out),
    ]
    subprocess.run(command, env={**os.environ, "KEY": zirkel.api_key}, check=True, timeout=60)  # noqa: TID251
    header = out.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) == (1280, 800)
