"""Pauses before retries, shares of calls, and when a place is late."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Hedge, Resilience
from zirkel.gateway.pacing import Delays, Share, backoff_s

POLICY = Resilience(backoff_s=0.2, longest_backoff_s=5.0)
BURST = 10


@given(st.integers(1, 100), st.integers(0, 2**32))
def test_a_pause_is_between_nothing_and_the_doubled_base(retry: int, seed: int) -> None:
    pause_s = backoff_s(POLICY, retry, None, Random(seed))

    assert pause_s is not None
    assert 0 <= pause_s <= min(5.0, 0.2 * 2 ** (retry - 1))


def test_pauses_are_spread_over_the_whole_range() -> None:
    random = Random(1)
    pauses = [backoff_s(POLICY, 3, None, random) or 0.0 for _ in range(2000)]

    assert min(pauses) < 0.02
    assert max(pauses) > 0.78
    assert sum(pauses) / len(pauses) == pytest.approx(0.4, rel=0.05)


@given(st.floats(0, 5), st.integers(1, 10), st.integers(0, 2**32))
def test_what_the_upstream_asks_for_is_waited_for_and_at_most_a_tenth_more(
    asked_s: float, retry: int, seed: int
) -> None:
    pause_s = backoff_s(POLICY, retry, asked_s, Random(seed))

    assert pause_s is not None
    assert asked_s <= pause_s <= asked_s * 1.1


def test_a_longer_pause_than_the_longest_is_not_waited_for() -> None:
    assert backoff_s(POLICY, 1, 5.01, Random(1)) is None


@given(st.lists(st.booleans(), max_size=400), st.floats(0.001, 1))
def test_what_is_taken_is_never_more_than_the_share_and_the_burst(steps: list[bool], amount: float) -> None:
    share = Share()
    calls = taken = 0
    for is_call in steps:
        if is_call:
            share.called("p", amount)
            calls += 1
        elif share.take("p", amount):
            taken += 1
        assert taken <= amount * calls + BURST


def test_a_share_is_used_up_and_earned_again() -> None:
    share = Share()
    for _ in range(100):
        share.called("p", 0.2)
    assert [share.take("p", 0.2) for _ in range(BURST + 1)] == [True] * BURST + [False]
    for _ in range(5):
        share.called("p", 0.2)
    assert [share.take("p", 0.2) for _ in range(2)] == [True, False]


def test_a_share_of_nothing_allows_nothing() -> None:
    share = Share()
    share.called("p", 0.0)

    assert not share.take("p", 0.0)


def test_names_have_shares_of_their_own() -> None:
    share = Share()
    for name in "pq":
        share.called(name, 0.5)
    while share.take("p", 0.5):
        pass

    assert share.take("q", 0.5)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=450), st.floats(0.01, 0.99))
def test_late_is_the_percentile_of_the_last_200_times(times: list[float], percentile: float) -> None:
    delays = Delays()
    for seconds in times:
        delays.note("place", seconds)
    found = delays.hedge_after_s("place", Hedge(percentile=percentile, minimum_s=0.0))

    recent = sorted(times[-200:])
    if len(recent) < 20:
        assert found is None
    else:
        assert found == recent[int(percentile * len(recent))]
        assert sum(seconds < found for seconds in recent) <= percentile * len(recent)


def test_late_is_never_sooner_than_the_minimum_and_known_by_place() -> None:
    delays = Delays()
    for _ in range(20):
        delays.note("place", 0.001)

    assert delays.hedge_after_s("place", Hedge(minimum_s=0.05)) == 0.05
    assert delays.hedge_after_s("other", Hedge(minimum_s=0.05)) is None
