"""Session cookies, form tokens and where a sign-in may lead."""

import base64
import json
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.console.session import SESSION_S, Sessions, local_path, new_form_cookie
from zirkel.core import ManualClock, Principal, Role

ADA = Principal("default", "key-1", "Ada ✓", frozenset({Role.READ}))


def test_a_session_is_read_back_until_it_ends() -> None:
    clock = ManualClock()
    sessions = Sessions(b"k" * 32, clock)
    cookie = sessions.issue(ADA)
    session = sessions.read(cookie)
    assert session is not None
    assert (session.project_id, session.principal_id, session.label) == ("default", "key-1", "Ada ✓")
    clock.advance(SESSION_S - 1)
    assert sessions.read(cookie) == session
    clock.advance(1)
    assert sessions.read(cookie) is None


def test_a_session_under_another_key_is_not_ours() -> None:
    clock = ManualClock()
    assert Sessions(b"k" * 32, clock).read(Sessions(b"j" * 32, clock).issue(ADA)) is None


def test_a_changed_session_is_not_ours() -> None:
    sessions = Sessions(b"k" * 32, ManualClock())
    body, signature = sessions.issue(ADA).split(".")
    session = json.loads(base64.urlsafe_b64decode(body)) | {"principal_id": "key-2"}
    forged = base64.urlsafe_b64encode(json.dumps(session).encode()).decode()
    assert sessions.read(f"{forged}.{signature}") is None


@given(st.text())
def test_any_other_text_is_no_session(text: str) -> None:
    assert Sessions(b"k" * 32, ManualClock()).read(text) is None


@given(st.data())
def test_a_cookie_with_one_character_changed_is_no_session(data: st.DataObject) -> None:
    sessions = Sessions(b"k" * 32, ManualClock())
    cookie = sessions.issue(ADA)
    place = data.draw(st.integers(0, len(cookie) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda character: character != cookie[place]))
    assert sessions.read(cookie[:place] + other + cookie[place + 1 :]) is None


def test_a_form_token_belongs_to_one_cookie() -> None:
    sessions = Sessions(b"k" * 32, ManualClock())
    mine, yours = new_form_cookie(), new_form_cookie()
    assert sessions.accepts_form(mine, sessions.form_token(mine))
    assert not sessions.accepts_form(yours, sessions.form_token(mine))
    assert not sessions.accepts_form("", sessions.form_token(""))


def test_a_form_token_does_not_sign_a_session() -> None:
    sessions = Sessions(b"k" * 32, ManualClock())
    body = sessions.issue(ADA).split(".")[0]
    assert sessions.read(f"{body}.{sessions.form_token(body)}") is None


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Sessions(b"short", ManualClock())


@pytest.mark.parametrize("path", ["/", "/traces?service=a&x=%2F", "/services/review-triage"])
def test_a_path_of_this_server_is_kept(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "traces",
        "/a\\b",
    ],
)
def test_anything_that_leads_elsewhere_becomes_the_first_page(path: str) -> None:
    assert local_path(path) == "/"


@given(st.text(alphabet="/\\:.@ \t\nhtpsevil"))
def test_whatever_is_wanted_the_host_stays(path: str) -> None:
    found = local_path(path)
    # Browsers drop tabs and line ends and read a backslash as a slash.
    as_browsers_read = found.replace("\\", "/").replace("\t", "").replace("\n", "")
    assert urlsplit(urljoin("http://console.example/sign-in", as_browsers_read)).netloc == "console.example"
