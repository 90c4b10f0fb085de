"""Labelling as a person does it: in Chromium, by keys alone, and without JavaScript."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socket import create_server

import pytest
import uvicorn

from tests.unit.api.label_api import LabelApi, open_label_api
from tests.unit.console.conftest import House, build_house
from zirkel.app.picture import CHROMIUM_FLAGS
from zirkel.console import mount_console
from zirkel.evaluate import Labelling

pytest.importorskip("playwright", reason="the package playwright is not installed")

from playwright.sync_api import Browser, Page, expect, sync_playwright

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Stage:
    """A console with a queue, and a key for it."""

    url: str
    api: LabelApi
    key: str


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    (tmp_path / "house").mkdir()
    yield from build_house(tmp_path / "house")


@pytest.fixture
def stage(tmp_path: Path, house: House) -> Iterator[Stage]:
    with open_label_api(tmp_path) as api:
        labelling = Labelling(api.world.queue, api.world.labels, api.world.transfer, api.world.calibration)
        rooms = dataclasses.replace(house.rooms, access=api.access, labelling=labelling)
        mount_console(api.app, rooms, b"k" * 32, api.world.clock)
        listening = create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(api.app, log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Stage(f"http://127.0.0.1:{listening.getsockname()[1]}", api, api.key("ann"))
        finally:
            server.should_exit = True
            thread.join()
            listening.close()


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield launched
        launched.close()


def sign_in(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/label/triage")
    page.get_by_label("API key").fill(stage.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Label triage")).to_be_visible()


def said(stage: Stage) -> list[tuple[float | None, str, bool]]:
    with stage.api.world.metadata.transaction() as tx:
        return [(one.value, one.comment, one.is_withdrawn) for one in tx.labels.list("p", "cand", "quality")]


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_keys_alone_label_comment_skip_and_undo(browser: Browser, stage: Stage) -> None:
    stage.api.world.draw(4)
    page = browser.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    sign_in(page, stage)
    press(page, "c")
    page.keyboard.type("yes, and no")
    press(page, "Escape", "y", "Enter")
    expect(page.get_by_text("1 labelled by you, 3 left")).to_be_visible()
    press(page, "n", "Enter")
    expect(page.get_by_text("2 labelled by you, 2 left")).to_be_visible()
    press(page, "u")
    expect(page.get_by_text("1 labelled by you, 3 left")).to_be_visible()
    press(page, "s")
    expect(page.get_by_text("1 labelled by you, 2 left")).to_be_visible()
    assert sorted(said(stage)) == [(0.0, "", False), (0.0, "", True), (1.0, "yes, and no", False)]
    assert problems == []
    page.close()


def test_j_and_k_move_between_the_items_of_a_rubric(browser: Browser, stage: Stage) -> None:
    rubric = [{"name": name, "ask": f"Is it {name}?"} for name in ("kind", "right", "short")]
    stage.api.world.evaluator(options={"model": "m/x", "rubric": rubric})
    stage.api.world.draw(1)
    page = browser.new_page()
    sign_in(page, stage)
    press(page, "j", "n", "k", "k", "y")
    expect(page.get_by_role("group", name="Is it right?").get_by_label("No")).to_be_checked()
    expect(page.get_by_role("group", name="Is it kind?").get_by_label("Yes")).to_be_checked()
    press(page, "j", "y", "Enter")
    expect(page.get_by_text("Nothing is left for you.")).to_be_visible()
    ((value, comment, is_withdrawn),) = said(stage)
    assert (comment, is_withdrawn) == ("", False)
    assert value == pytest.approx(2 / 3)
    page.close()


def test_without_javascript_forms_do_it_all(browser: Browser, stage: Stage) -> None:
    stage.api.world.draw(2)
    page = browser.new_page(java_script_enabled=False)
    sign_in(page, stage)
    expect(page.locator("kbd").first).to_be_hidden()
    page.get_by_label("Yes").check()
    page.get_by_label("Comment").fill("so")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Undo the last").click()
    page.get_by_role("button", name="Skip").click()
    assert said(stage) == [(1.0, "so", False), (1.0, "so", True)]
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_queue_is_no_wider_than_its_window(browser: Browser, stage: Stage, width: int, scheme: str) -> None:
    stage.api.world.draw(2)
    page = browser.new_page(
        viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
    )
    sign_in(page, stage)
    for path in ("/label", "/label/triage"):
        page.goto(stage.url + path)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    page.close()
