"""The banner: what is wrong stands on every page of somebody who signed in, and on no other."""

import pytest

from tests.unit.console.conftest import Browser, House
from zirkel.core import Alarm

FULL = Alarm("disk_full", "problem", "0 MiB are free on the disk of /data", "free some space", 1_700_000_000 * 10**9)
LEAPT = Alarm("clock_leapt", "warning", "the clock was set", "see the time service", 1_700_000_000 * 10**9)


@pytest.mark.parametrize("path", ["/", "/traces", "/evidence", "/gateway", "/services/none"])
def test_every_page_tells_what_is_wrong_and_what_to_do(house: House, browser: Browser, path: str) -> None:
    house.rooms.health.found = [FULL, LEAPT]
    page = browser.get(path)
    assert "0 MiB are free on the disk of /data. Since 2023-11-14T22:13:20.000Z" in page.words
    assert "What to do: free some space." in page.words
    assert page.html.index("disk_full") < page.html.index("clock_leapt")
    assert 'class="alarm is-bad"' in page.html
    assert 'class="alarm is-warn"' in page.html


def test_without_alarms_there_is_no_banner(browser: Browser) -> None:
    assert 'class="alarm' not in browser.get("/").html


def test_the_sign_in_page_tells_strangers_nothing(house: House) -> None:
    house.rooms.health.found = [FULL]
    assert "disk" not in house.browser().get("/sign-in").html


def test_the_text_of_an_alarm_is_text(house: House, browser: Browser) -> None:
    house.rooms.health.found = [Alarm("storing_failed", "problem", "<b>it</b> failed", "<i>mend</i> it", 1)]
    page = browser.get("/")
    assert "<b>" not in page.html
    assert "<i>" not in page.html
    assert "failed" in page.words


def test_a_banner_needs_no_style_of_its_own_in_the_page(house: House, browser: Browser) -> None:
    house.rooms.health.found = [FULL]
    page = browser.get("/")
    assert "style=" not in page.html
    assert "default-src 'none'" in page.headers["content-security-policy"]
