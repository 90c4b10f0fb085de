"""Searching as a person does it: a filter is typed, rows are read, pages are turned, in Chromium."""

import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from zirkel.app.picture import CHROMIUM_FLAGS

pytest.importorskip("playwright", reason="the package playwright is not installed")

from playwright.sync_api import Page, expect, sync_playwright

if TYPE_CHECKING:
    from tests.browser.conftest import RunningZirkel

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='mine'\"><script>document.title='mine'</script>"
SESSION = 'shop/../42 ?#&"<b>'
"""A program may call a session anything."""
ARRIVES_S = 20.0
CALLS = 60
"""More than a page has rows."""


def chat(question: str) -> dict[str, object]:
    """Return a model call of this moment, as OTLP's JSON."""
    now_ns = time.time_ns()  # noqa: TID251 (as an exporter would)
    said = json.dumps([{"role": "user", "parts": [{"type": "text", "content": question}]}])
    texts = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.input.messages": said,
        "session.id": SESSION,
        "user.id": HOSTILE,
    }
    attributes: list[object] = [{"key": key, "value": {"stringValue": text}} for key, text in texts.items()]
    attributes += [
        {"key": f"gen_ai.usage.{name}_tokens", "value": {"intValue": "1000"}} for name in ("input", "output")
    ]
    return {
        "traceId": secrets.token_hex(16),
        "spanId": secrets.token_hex(8),
        "name": HOSTILE,
        "startTimeUnixNano": str(now_ns),
        "endTimeUnixNano": str(now_ns + 1_000_000),
        "attributes": attributes,
    }


def send(zirkel: "RunningZirkel", spans: list[dict[str, object]]) -> None:
    """Send spans, and return when they can be found."""
    headers = {"authorization": f"Bearer {zirkel.api_key}"}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    assert httpx.post(f"{zirkel.url}/v1/traces", json=body, headers=headers).json() == {}
    deadline_s = time.monotonic() + ARRIVES_S
    last = f"{zirkel.url}/api/v1/traces/{spans[-1]['traceId']}"
    while httpx.get(last, headers=headers).status_code != 200:
        assert time.monotonic() < deadline_s, "the spans are stored"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def page(chromium: Path, zirkel: "RunningZirkel") -> Iterator[Page]:
    """A page of somebody who has signed in, with calls to search."""
    send(zirkel, [chat(f"question {number} {HOSTILE}") for number in range(CALLS)])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        opened = browser.new_page()
        opened.goto(f"{zirkel.url}/sign-in")
        opened.get_by_label("API key").fill(zirkel.api_key)
        opened.get_by_role("button", name="Sign in").click()
        expect(opened.get_by_role("button", name="Sign out")).to_be_visible()
        yield opened
        browser.close()


def search(page: Page, filter_text: str) -> None:
    """Type a filter and press Enter."""
    page.get_by_label("Filter", exact=True).fill(filter_text)
    page.get_by_label("Filter", exact=True).press("Enter")
    page.wait_for_load_state("networkidle")


def test_a_typed_filter_shows_the_rows_that_match_and_stays_in_the_form(page: Page, zirkel: "RunningZirkel") -> None:
    page.goto(f"{zirkel.url}/traces")
    where = 'input ~ "question 17 "'
    search(page, where)
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("question 17")
    expect(page.get_by_label("Filter", exact=True)).to_have_value(where)
    rows.get_by_role("link").first.click()
    expect(page.locator("main")).to_contain_text("question 17")


def test_a_faulty_filter_is_explained_beside_the_form_and_keeps_its_text(page: Page, zirkel: "RunningZirkel") -> None:
    for place in ("traces", "sessions"):
        page.goto(f"{zirkel.url}/{place}")
        search(page, 'model = "a" and and')
        expect(page.get_by_role("alert")).to_contain_text("filter, column")
        field = page.get_by_label("Filter", exact=True)
        expect(field).to_have_value('model = "a" and and')
        expect(field).to_have_attribute("aria-invalid", "true")
        assert "Nothing matches" not in page.locator("main").inner_text()
        assert "No sessions" not in page.locator("main").inner_text()


def test_older_traces_are_on_the_next_page_under_the_same_filter(page: Page, zirkel: "RunningZirkel") -> None:
    page.goto(f"{zirkel.url}/traces")
    search(page, 'input ~ "question" and model = "gpt-4o-mini"')
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(50)
    first = set(rows.locator("a").evaluate_all("links => links.map(link => link.href)"))
    page.get_by_role("link", name="Older").click()
    expect(rows).to_have_count(CALLS - 50)
    second = set(rows.locator("a").evaluate_all("links => links.map(link => link.href)"))
    assert len(first | second) == CALLS
    expect(page.get_by_role("link", name="Older")).to_have_count(0)


def test_a_session_is_read_as_a_conversation_whatever_it_is_called(page: Page, zirkel: "RunningZirkel") -> None:
    page.goto(f"{zirkel.url}/sessions")
    page.get_by_role("link", name=SESSION).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Session {SESSION}")
    turns = page.locator("ol.talk > li")
    expect(turns).to_have_count(CALLS)
    expect(turns.first).to_contain_text("question 0")


def test_the_costs_page_says_what_was_spent_and_why(page: Page, zirkel: "RunningZirkel") -> None:
    page.goto(f"{zirkel.url}/costs")
    page.get_by_label("Told apart by").select_option("session")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#segments")).to_have_text("By session")
    main = page.locator("main")
    expect(main).to_contain_text("how many calls there were")
    expect(main.get_by_role("row").filter(has_text=SESSION)).to_contain_text("+")
    page.goto(f"{zirkel.url}/costs?by=nothing&since=never")
    expect(page.get_by_role("alert")).to_be_visible()


def test_what_callers_wrote_is_text_on_every_page(page: Page, zirkel: "RunningZirkel") -> None:
    headers = {"authorization": f"Bearer {zirkel.api_key}"}
    trace_id = httpx.get(f"{zirkel.url}/api/v1/traces?limit=1", headers=headers).json()["traces"][0]["trace_id"]
    paths = ["/traces", f"/traces/{trace_id}", "/sessions", "/costs?by=user", "/traces?filter=%3Cscript%3E"]
    for path in paths:
        page.goto(f"{zirkel.url}{path}", wait_until="networkidle")
        assert page.title().endswith("· Zirkel"), path
        assert page.locator("main script, main [onerror]").count() == 0, path
    page.goto(f"{zirkel.url}/traces")
    expect(page.locator("tbody")).to_contain_text("<img src=x onerror=")
