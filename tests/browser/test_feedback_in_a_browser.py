"""Feedback from a real page on another origin, in Chromium: with fetch, and with a beacon as the page goes."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest
import uvicorn
from fastapi import FastAPI

from tests.unit.observe.score_world import MemoryScores
from zirkel.api.auth import Guard
from zirkel.api.errors import install_error_handlers
from zirkel.api.rest import feedback_router
from zirkel.api.services import Services
from zirkel.app.picture import CHROMIUM_FLAGS
from zirkel.core import KeyPolicy, Role, SystemClock, sha256_hex
from zirkel.govern import SYSTEM, Access, Vault
from zirkel.observe.feedback import Feedback
from zirkel.observe.scores import Scores
from zirkel.store.metadata import Metadata

pytest.importorskip("playwright", reason="the package playwright is not installed")

from playwright.sync_api import Page, sync_playwright

pytestmark = pytest.mark.browser

ARRIVES_S = 20.0
SEND = """
async ([address, headers, body]) => {
    try {
        const answer = await fetch(address, {method: "POST", headers, body: JSON.stringify(body)});
        return {status: answer.status, body: await answer.json()};
    } catch (error) {
        return {status: 0, body: String(error)};
    }
}
"""
BEACON = "([address, body]) => navigator.sendBeacon(address, JSON.stringify(body))"


class Silent:
    """Tells no gateway."""

    def publish(self) -> None:
        pass


@dataclass(frozen=True)
class OnlyFeedback:
    """The service that the route uses."""

    feedback: Feedback


@dataclass(frozen=True)
class Shop:
    """A page in the browser, and the server on another origin that it sends feedback to."""

    page: Page
    address: str
    disk: MemoryScores
    key: str
    other_key: str
    """For pages of another origin."""

    def fetch(self, address: str, headers: dict[str, str], body: dict[str, object]) -> tuple[int, dict[str, object]]:
        answer = self.page.evaluate(SEND, [address, headers, body])
        return answer["status"], answer["body"]


class Blank(BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>shop</title>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@pytest.fixture
def shop(tmp_path: Path, chromium: Path) -> Iterator[Shop]:
    clock, disk = SystemClock(), MemoryScores()
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    access = Access(metadata, Silent(), Vault(b"m" * 32), lambda text: sha256_hex(text.encode()), clock)
    feedback = Feedback(access, Scores(disk, disk, disk, clock), clock)
    app = FastAPI(openapi_url=None)
    install_error_handlers(app)
    app.add_middleware(Guard, authenticate=access.authenticate)
    app.include_router(feedback_router(cast(Services, OnlyFeedback(feedback))))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
    pages = ThreadingHTTPServer(("127.0.0.1", 0), Blank)
    threads = [
        threading.Thread(target=server.run, kwargs={"sockets": [listening]}),
        threading.Thread(target=pages.serve_forever),
    ]
    for thread in threads:
        thread.start()
    while not server.started:
        time.sleep(0.01)
    origin = f"http://127.0.0.1:{pages.server_port}"
    key, other_key = (
        access.create_key(SYSTEM, "page", frozenset({Role.FEEDBACK}), policy=KeyPolicy(origins=[allowed])).text
        for allowed in (origin, "https://shop.example")
    )
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1/feedback"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
            page = browser.new_page()
            page.goto(origin)
            yield Shop(page, address, disk, key, other_key)
            browser.close()
    finally:
        pages.shutdown()
        pages.server_close()
        server.should_exit = True
        for thread in threads:
            thread.join()
        listening.close()
        metadata.close()


def test_a_page_gives_feedback_with_fetch_corrects_it_and_reads_refusals(shop: Shop) -> None:
    headers = {"authorization": f"Bearer {shop.key}", "content-type": "application/json"}
    body: dict[str, object] = {"name": "thumb", "value": True, "trace_id": "ab" * 16, "score_id": "f-1"}
    assert shop.fetch(shop.address, headers, body) == (202, {"score_id": "f-1", "outcome": "accepted"})
    in_address = f"{shop.address}?key={shop.key}"
    assert shop.fetch(in_address, {}, {**body, "value": False}) == (202, {"score_id": "f-1", "outcome": "corrected"})
    status, refusal = shop.fetch(in_address, {}, {**body, "trace_id": "x"})
    assert (status, cast("dict[str, object]", refusal["error"])["path"]) == (400, "trace_id")
    assert [score.value for score in shop.disk.spooled] == [1.0, 0.0]


def test_a_page_of_an_origin_that_the_key_does_not_name_gets_nothing_through(shop: Shop) -> None:
    body: dict[str, object] = {"name": "thumb", "value": True, "session_id": "s"}
    json_headers = {"content-type": "application/json"}
    for address, headers in (
        (f"{shop.address}?key={shop.other_key}", json_headers),
        (f"{shop.address}?key={shop.other_key}", {}),
        (shop.address, {**json_headers, "authorization": f"Bearer {shop.other_key}"}),
    ):
        assert shop.fetch(address, headers, body)[0] == 0
    assert shop.disk.spooled == []


def test_a_beacon_arrives_though_the_page_has_gone(shop: Shop) -> None:
    body = json.loads('{"name": "left", "label": "no answer helped", "session_id": "s"}')
    assert shop.page.evaluate(BEACON, [f"{shop.address}?key={shop.key}", body])
    shop.page.goto("about:blank")
    deadline_s = time.monotonic() + ARRIVES_S
    while not shop.disk.spooled and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert [(score.name, score.label, score.origin) for score in shop.disk.spooled] == [
        ("left", "no answer helped", "end_user")
    ]
