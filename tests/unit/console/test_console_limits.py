"""What the gateway's page shows of limits in use."""

from tests.unit.console.conftest import Browser, House
from zirkel.console.limits import SHOWN_SUBJECTS
from zirkel.core import Budget, KeyPolicy, Limits, Role


def make_key(house: House, label: str, hard_usd: str) -> str:
    """Return the id of a new key with a budget for the month."""
    budget = Budget(window="month", soft_usd="1", hard_usd=hard_usd)
    policy = KeyPolicy(limits=Limits(requests_per_minute=60, budget=[budget]))
    return house.rooms.access.create_key(house.admin, label, frozenset({Role.CALL}), None, policy).record.key_id


def test_the_gateways_page_shows_what_was_used_with_the_most_urgent_first(house: House, browser: Browser) -> None:
    fresh, spent = make_key(house, "fresh <key>", "20"), make_key(house, "spent key", "2")
    house.counters.set(f"default/key/{fresh}", "0.5", "0.25")
    house.counters.set(f"default/key/{spent}", "2")
    page = browser.get("/gateway")
    assert "key spent key hard month 2 0 2 100 %" in page.words
    assert "key fresh <key> ok month 0.5 0.25 20 " in page.words
    assert page.words.index("spent key") < page.words.index("fresh <key>")
    assert "2 of 60" in page.words
    assert "fresh &lt;key&gt;" in page.html


def test_without_limits_the_page_says_how_to_set_some(browser: Browser) -> None:
    assert "Nobody has limits yet" in browser.get("/gateway").words


def test_of_many_subjects_the_page_shows_the_most_urgent_and_names_the_command(house: House, browser: Browser) -> None:
    names = [make_key(house, f"key {number:03}", "20") for number in range(SHOWN_SUBJECTS + 1)]
    house.counters.set(f"default/key/{names[-1]}", "3")
    page = browser.get("/gateway")
    assert page.words.count(" ok month ") == SHOWN_SUBJECTS - 1
    assert f"key {SHOWN_SUBJECTS:03} soft month 3" in page.words
    assert f"the most urgent of {SHOWN_SUBJECTS + 1}" in page.words
