"""The options of ``zirkel keys`` as policies, and keys as people see them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.app.cli.key_options import (
    CaptureChoice,
    KeyRow,
    PolicyOptions,
    describe_budgets,
    describe_policy,
    describe_state,
    merge_policy,
    read_key,
    read_lifetime,
)
from zirkel.core import Budget, Invalid, KeyPolicy, Limits, ZirkelError

NOW_NS = 1_772_366_400_000_000_000  # 2026-03-01T12:00:00Z
FULL = KeyPolicy(
    user="ann",
    limits=Limits(
        requests_per_minute=60,
        tokens_per_minute=1000,
        concurrency=4,
        budget=[Budget(window="day", hard_usd="2"), Budget(window="month", soft_usd="15", hard_usd="20")],
        models=["openai/*"],
    ),
    capture="masked",
)


def test_what_is_given_makes_a_policy() -> None:
    options = PolicyOptions("ann", 60, 1000, 4, ["month=15:20", "day=2"], ["openai/*"], CaptureChoice.MASKED)
    assert merge_policy(KeyPolicy(), options) == FULL


def test_what_is_not_given_stays() -> None:
    assert merge_policy(FULL, PolicyOptions()) == FULL
    changed = merge_policy(FULL, PolicyOptions(rpm=5, budgets=["hour=1:"]))
    assert changed.limits.requests_per_minute == 5
    assert changed.limits.budget == [Budget(window="hour", soft_usd="1"), *FULL.limits.budget]
    assert (changed.user, changed.capture, changed.limits.models) == ("ann", "masked", ["openai/*"])


def test_everything_can_be_taken_away_again() -> None:
    options = PolicyOptions("", 0, 0, 0, ["day=none", "month=none", "hour=none"], [""], CaptureChoice.PROJECT)
    assert merge_policy(FULL, options) == KeyPolicy()


@pytest.mark.parametrize("text", ["month", "month=", "month=:", "year=20", "=20", "20", ""])
def test_a_budget_that_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(Invalid, match="WINDOW=HARD") as raised:
        merge_policy(KeyPolicy(), PolicyOptions(budgets=[text]))
    assert raised.value.path == "budget"


def test_a_window_given_twice_is_told() -> None:
    with pytest.raises(Invalid, match="twice"):
        merge_policy(KeyPolicy(), PolicyOptions(budgets=["day=1", "day=2"]))


AMOUNTS = st.one_of(st.none(), st.sampled_from(["0", "1.50", "20"]))
BUDGETS = st.tuples(AMOUNTS, AMOUNTS).filter(lambda pair: pair != (None, None))


@given(st.dictionaries(st.sampled_from(["hour", "day", "month"]), BUDGETS, min_size=1))
def test_budgets_are_shown_as_they_are_given(pairs: dict[str, tuple[str | None, str | None]]) -> None:
    texts = [
        f"{window}={hard}" if soft is None else f"{window}={soft}:{hard or ''}"
        for window, (soft, hard) in pairs.items()
    ]
    limits = merge_policy(KeyPolicy(), PolicyOptions(budgets=texts)).limits
    assert {budget.window: (budget.soft_usd, budget.hard_usd) for budget in limits.budget} == pairs
    assert sorted(describe_budgets(limits).split(" ")) == sorted(texts)


@pytest.mark.parametrize(("text", "seconds"), [("24h", 86_400), ("30m", 1800), ("7d", 604_800), ("90s", 90), ("0", 0)])
def test_a_lifetime_is_seconds(text: str, seconds: int) -> None:
    assert read_lifetime(text, "overlap") == seconds


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1.5h", "1w", "1h30m", " 1h", "1234567890s"])
def test_what_is_no_lifetime_is_told(text: str) -> None:
    with pytest.raises(Invalid, match="24h, 30m, 7d or 0") as raised:
        read_lifetime(text, "overlap")
    assert raised.value.path == "overlap"


@pytest.mark.parametrize(
    ("expires_s", "revoked_s", "previous_s", "said"),
    [
        (None, None, None, "valid"),
        (60, None, None, "valid, expires 2026-03-01T12:01Z"),
        (0, None, None, "expired 2026-03-01T12:00Z"),
        (-60, None, 60, "expired 2026-03-01T11:59Z"),
        (-60, -1, 60, "revoked"),
        (None, None, 3600, "valid, rotating until 2026-03-01T13:00Z"),
        (None, None, 0, "valid"),
        (60, None, 60, "valid, expires 2026-03-01T12:01Z, rotating until 2026-03-01T12:01Z"),
    ],
)
def test_the_state_of_a_key_is_told(
    expires_s: int | None, revoked_s: int | None, previous_s: int | None, said: str
) -> None:
    ends = [None if seconds is None else NOW_NS + seconds * 10**9 for seconds in (expires_s, revoked_s, previous_s)]
    key = KeyRow("k1", "app", ["call"], "…abcd", NOW_NS, ends[0], ends[1], ends[2], KeyPolicy())
    assert describe_state(key, NOW_NS) == said


def test_a_policy_is_shown_whole() -> None:
    assert list(describe_policy(FULL).values()) == ["ann", "60", "1000", "4", "day=2 month=15:20", "openai/*", "masked"]
    assert list(describe_policy(KeyPolicy()).values()) == ["-", "-", "-", "-", "-", "all", "as the project"]


def test_a_server_that_describes_keys_in_another_way_is_told() -> None:
    with pytest.raises(ZirkelError, match="another version"):
        read_key({"key_id": "k1"})
