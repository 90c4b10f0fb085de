"""The gateway's page: what it shows, and who may change what."""

from typing import TYPE_CHECKING

import pytest

from zirkel.core import Role

if TYPE_CHECKING:
    from tests.unit.console.conftest import Browser, House, Page

DOCUMENT = """# for the house
limits = { requests_per_minute = 600 }

[[upstream]]
name = "openai"
base_url = "https://api.openai.com/v1"

[[model]]
name = "fast"
[[model.target]]
name = "openai/gpt-4o"
weight = 3.0
pool = [{ name = "openai/gpt-4o-mini" }]
[[model.target]]
name = "openai/house"
on = ["context_window"]

[[limit]]
user = "*"
limits = { budget = [{ window = "day", hard_usd = "5" }] }

[[price]]
model = "openai/house"
effective = "2023-01-01"
input = "1.50"
output = "2"
"""


def send(browser: "Browser", action: str, toml: str, **changes: str) -> "Page":
    page = browser.get("/gateway")
    fields = {"form_token": page.hidden("form_token"), "version": page.hidden("version")}
    return browser.post("/gateway", {**fields, "action": action, "toml": toml, **changes})


def test_without_a_document_the_page_says_what_to_do(browser: "Browser") -> None:
    page = browser.get("/gateway")
    assert page.status == 200
    assert "There is no document yet" in page.words
    assert "zirkel upstreams set NAME" in page.words


def test_a_document_that_is_applied_is_shown_in_parts(browser: "Browser") -> None:
    answer = send(browser, "apply", DOCUMENT.replace("\n", "\r\n"))
    assert (answer.status, answer.headers["location"]) == (303, "/gateway")
    page = browser.get("/gateway")
    for said in (
        "Version 1 of the document",
        "https://api.openai.com/v1",
        "the document",
        "openai/gpt-4o (3.0), openai/gpt-4o-mini (1.0)",
        "on context window",
        "600 requests a minute",
        "user * at most 5 USD a day",
        "openai/house",
        "gateway.toml",
        "genai-prices",
        "# for the house",
    ):
        assert said in page.words, said


def test_the_text_comes_back_with_the_line_ends_it_had(house: "House", browser: "Browser") -> None:
    send(browser, "apply", DOCUMENT.replace("\n", "\r\n"))
    record = house.rooms.gateway.current(house.admin)
    assert record is not None
    assert record.text == DOCUMENT


def test_a_check_says_what_would_change_and_keeps_the_draft(house: "House", browser: "Browser") -> None:
    page = send(browser, "check", DOCUMENT)
    assert page.status == 200
    assert "upstream openai added" in page.words
    assert "# for the house" in page.words
    assert house.rooms.gateway.current(house.admin) is None
    send(browser, "apply", DOCUMENT)
    assert "says what is in force" in send(browser, "check", DOCUMENT).words


@pytest.mark.parametrize("action", ["check", "apply"])
def test_a_bad_document_is_refused_with_the_path_and_kept_for_mending(
    house: "House", browser: "Browser", action: str
) -> None:
    page = send(browser, action, DOCUMENT.replace("3.0", "-3.0"))
    assert page.status == 400
    assert "model[0].target[0].weight" in page.words
    assert "-3.0" in page.words
    assert house.rooms.gateway.current(house.admin) is None


def test_a_document_that_somebody_else_changed_meanwhile_is_not_overwritten(house: "House", browser: "Browser") -> None:
    page = browser.get("/gateway")
    fields = {"form_token": page.hidden("form_token"), "version": page.hidden("version")}
    house.rooms.gateway.apply(house.admin, "# theirs\n")
    answer = browser.post("/gateway", {**fields, "action": "apply", "toml": "# mine\n"})
    assert answer.status == 409
    assert "# mine" in answer.words
    record = house.rooms.gateway.current(house.admin)
    assert record is not None
    assert record.text == "# theirs\n"


@pytest.mark.parametrize(("changes", "status"), [({"form_token": "x"}, 403), ({"version": "x"}, 400)])
def test_a_form_that_is_not_the_pages_is_refused(
    house: "House", browser: "Browser", changes: dict[str, str], status: int
) -> None:
    assert send(browser, "apply", "", **changes).status == status
    assert house.rooms.gateway.current(house.admin) is None


def test_who_only_reads_sees_the_document_and_no_form(house: "House") -> None:
    house.rooms.gateway.apply(house.admin, DOCUMENT)
    key = house.rooms.access.create_key(house.admin, "reader", frozenset({Role.READ})).text
    reader = house.browser()
    reader.sign_in({"key": key})
    page = reader.get("/gateway")
    assert "# for the house" in page.words
    assert "<textarea" not in page.html
    token = page.hidden("form_token")
    answer = reader.post("/gateway", {"form_token": token, "version": "1", "action": "apply", "toml": ""})
    assert answer.status == 403
    assert house.rooms.gateway.current(house.admin) is not None


def test_what_a_document_says_is_text_on_the_page(house: "House", browser: "Browser") -> None:
    hostile = "</textarea><script>alert(1)</script>"
    house.rooms.gateway.apply(house.admin, f"# {hostile}\n")
    page = browser.get("/gateway")
    assert hostile not in page.html
    assert hostile in page.words
    assert hostile not in send(browser, "check", f"# {hostile} ==\nx").html
