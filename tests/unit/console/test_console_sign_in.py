"""Signing in and out, and what ends a session."""

import re
from typing import TYPE_CHECKING

import pytest

from zirkel.console.session import FORM_COOKIE, SESSION_COOKIE, SESSION_S
from zirkel.core import Role

if TYPE_CHECKING:
    from tests.unit.console.conftest import Browser, House

PASSWORD = "correct horse battery"
PAGES = [
    "/",
    "/services/review-triage",
    "/traces",
    f"/traces/{1:032x}",
    "/sessions",
    "/sessions/s",
    "/costs",
    "/evidence",
]


def add_person(house: "House", password: str = PASSWORD) -> None:
    house.rooms.access.put_person(house.admin, "ada@example.org", password, frozenset({Role.READ}))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_without_a_session_leads_to_the_form_and_back(house: "House", path: str) -> None:
    house.push()
    client = house.browser()
    answer = client.get(path)
    assert answer.status == 303
    form = client.get(answer.headers["location"])
    assert form.hidden("next") == path


def test_an_api_key_signs_in(house: "House") -> None:
    client = house.browser()
    assert client.sign_in({"key": house.admin_key}, "/evidence").headers["location"] == "/evidence"
    assert "first admin key" in client.get("/").words


def test_an_email_address_and_password_sign_in(house: "House") -> None:
    add_person(house)
    client = house.browser()
    assert client.sign_in({"email": "ada@example.org", "password": PASSWORD}).status == 303
    assert "ada@example.org" in client.get("/").words


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"key": "zk_wrong"}, "the API key is not known here"),
        ({"email": "ada@example.org", "password": "wrong"}, "e-mail address or password are wrong"),
        ({"email": "bob@example.org", "password": PASSWORD}, "e-mail address or password are wrong"),
        ({}, "give an e-mail address and its password, or an API key"),
    ],
)
def test_a_wrong_sign_in_is_refused_with_a_reason(house: "House", fields: dict[str, str], reason: str) -> None:
    add_person(house)
    client = house.browser()
    answer = client.sign_in(fields)
    assert answer.status == 401
    assert reason in answer.words
    assert client.get("/").status == 303


def test_a_refused_sign_in_keeps_the_address_and_never_shows_a_secret(house: "House") -> None:
    answer = house.browser().sign_in(
        {"email": 'ada"@example.org', "password": "secret-password", "key": "zk_secret-key"}
    )
    assert 'value="ada&#34;@example.org"' in answer.html
    assert "secret" not in answer.html


def test_a_sign_in_form_of_another_browser_is_refused(house: "House") -> None:
    token = house.browser().get("/sign-in").hidden("form_token")
    mine = house.browser()
    mine.get("/sign-in")
    answer = mine.post("/sign-in", {"form_token": token, "key": house.admin_key})
    assert answer.status == 401
    assert mine.get("/").status == 303


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(house: "House") -> None:
    client = house.browser()
    page = client.get("/sign-in")
    fields = {"form_token": page.hidden("form_token"), "key": house.admin_key}
    cookies = client.post("/sign-in", fields).cookies
    (session,) = [cookie for cookie in cookies if cookie.startswith(f"{SESSION_COOKIE}=")]
    assert {"HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={SESSION_S}"} <= set(session.split("; "))
    assert "Secure" not in session
    assert house.admin_key not in session


@pytest.mark.parametrize(
    ("base_url", "headers"),
    [("https://testserver", {}), ("http://testserver", {"x-forwarded-proto": "https"})],
)
def test_cookies_are_secure_when_the_browser_came_by_https(
    house: "House", base_url: str, headers: dict[str, str]
) -> None:
    cookie = house.browser(base_url).get("/sign-in", headers=headers).headers["set-cookie"]
    assert cookie.startswith(f"{FORM_COOKIE}=")
    assert "Secure" in cookie.split("; ")


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_a_sign_in_never_leads_to_another_host(house: "House", wanted: str) -> None:
    assert house.browser().sign_in({"key": house.admin_key}, wanted).headers["location"] == "/"


def test_a_revoked_key_ends_its_session_at_once(house: "House") -> None:
    made = house.rooms.access.create_key(house.admin, "reader", frozenset({Role.READ}))
    client = house.browser()
    client.sign_in({"key": made.text})
    assert client.get("/").status == 200
    house.rooms.access.revoke_key(house.admin, made.record.key_id)
    assert client.get("/").headers["location"] == "/sign-in"


def test_an_expired_key_ends_its_session(house: "House") -> None:
    expires_ns = house.clock.now_ns() + 60 * 10**9
    made = house.rooms.access.create_key(house.admin, "reader", frozenset({Role.READ}), expires_ns)
    client = house.browser()
    client.sign_in({"key": made.text})
    house.clock.advance(59)
    assert client.get("/").status == 200
    house.clock.advance(1)
    assert client.get("/").status == 303


def test_a_new_password_ends_the_sessions_of_the_old_one(house: "House") -> None:
    add_person(house)
    client = house.browser()
    client.sign_in({"email": "ada@example.org", "password": PASSWORD})
    add_person(house, "another horse battery")
    assert client.get("/").status == 303


def test_a_session_ends_after_half_a_day(house: "House", browser: "Browser") -> None:
    cookie = browser.cookie(SESSION_COOKIE)
    house.clock.advance(SESSION_S)
    assert house.browser().get("/", headers={"cookie": f"{SESSION_COOKIE}={cookie}"}).status == 303


def test_signing_out_ends_the_session(browser: "Browser") -> None:
    token = browser.get("/").hidden("form_token")
    assert browser.post("/sign-out", {"form_token": token}).headers["location"] == "/sign-in"
    assert browser.get("/").status == 303


def test_another_site_cannot_sign_somebody_out(browser: "Browser") -> None:
    assert browser.post("/sign-out", {"form_token": "guess"}).status == 403
    assert browser.get("/").status == 200


def test_a_key_that_may_not_read_is_told_so_and_can_sign_out(house: "House") -> None:
    made = house.rooms.access.create_key(house.admin, "caller", frozenset({Role.CALL}))
    client = house.browser()
    client.sign_in({"key": made.text})
    answer = client.get("/")
    assert answer.status == 403
    assert "'caller' has the roles call; this needs 'read'" in answer.words
    assert client.post("/sign-out", {"form_token": answer.hidden("form_token")}).status == 303


def test_a_form_that_is_too_large_is_refused(house: "House") -> None:
    answer = house.browser().post("/sign-in", {"key": "x" * 20_000})
    assert answer.status == 413


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"{}", "application/json", 415),
        (b"\xff", "application/x-www-form-urlencoded", 400),
        (b"&".join([b"a=1"] * 100), "application/x-www-form-urlencoded", 400),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(house: "House", content: bytes, media_type: str, status: int) -> None:
    answer = house.browser().post_bytes("/sign-in", content, media_type)
    assert answer.status == status


def test_every_field_of_the_form_has_a_label(house: "House") -> None:
    page = house.browser().get("/sign-in").html
    named = set(re.findall(r'<label for="([^"]+)"', page))
    assert set(re.findall(r'<input id="([^"]+)"', page)) == named == {"email", "password", "key"}
