"""A token bucket admits so many at once, so many a minute, and remembers so many subjects."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.lib.token_buckets import NS_PER_MINUTE, TokenBuckets

START_NS = 1_790_000_000_000_000_000


class SlowBucket:
    """The obvious bucket, in exact fractions."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self.tokens = Fraction(per_minute)
        self.at_ns = START_NS

    def take(self, now_ns: int) -> bool:
        flowed = Fraction((now_ns - self.at_ns) * self.per_minute, NS_PER_MINUTE)
        self.tokens = min(Fraction(self.per_minute), self.tokens + flowed)
        self.at_ns = now_ns
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@given(
    st.sampled_from([1, 2, 3, 6, 60, 120, 3000]),
    st.lists(st.integers(0, 30 * 10**9), min_size=1, max_size=60),
)
def test_it_admits_what_a_bucket_in_fractions_admits(per_minute: int, gaps_ns: list[int]) -> None:
    buckets, slow, now_ns = TokenBuckets(10), SlowBucket(per_minute), START_NS
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        assert (buckets.take("a", per_minute, now_ns) == 0) == slow.take(now_ns)


@given(st.integers(1, 10_000), st.lists(st.integers(0, 10**9), min_size=1, max_size=200))
def test_no_more_are_admitted_than_a_full_bucket_and_what_flowed_since(per_minute: int, gaps_ns: list[int]) -> None:
    buckets, now_ns, admitted = TokenBuckets(10), START_NS, 0
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        admitted += buckets.take("a", per_minute, now_ns) == 0
    # A token's time is whole nanoseconds, rounded down.
    assert admitted <= per_minute + (now_ns - START_NS) // (NS_PER_MINUTE // per_minute)


@pytest.mark.parametrize("per_minute", [1, 6, 120])
def test_who_waits_as_long_as_it_says_is_admitted_and_not_a_moment_sooner(per_minute: int) -> None:
    buckets = TokenBuckets(10)
    for _ in range(per_minute):
        assert buckets.take("a", per_minute, START_NS) == 0
    wait_s = buckets.take("a", per_minute, START_NS)
    assert wait_s == pytest.approx(60 / per_minute, rel=1e-6)
    wait_ns = NS_PER_MINUTE // per_minute
    assert buckets.take("a", per_minute, START_NS + wait_ns - 1) > 0
    assert buckets.take("a", per_minute, START_NS + wait_ns) == 0


def test_subjects_have_buckets_of_their_own() -> None:
    buckets = TokenBuckets(10)
    assert buckets.take("a", 1, START_NS) == 0
    assert buckets.take("a", 1, START_NS) > 0
    assert buckets.take("b", 1, START_NS) == 0


def test_only_so_many_subjects_are_remembered_and_the_one_unseen_for_longest_goes() -> None:
    buckets = TokenBuckets(2)
    buckets.take("a", 1, START_NS)
    buckets.take("b", 1, START_NS)
    assert buckets.take("a", 1, START_NS) > 0
    buckets.take("c", 1, START_NS)
    assert len(buckets) == 2
    assert buckets.take("a", 1, START_NS) > 0
    assert buckets.take("b", 1, START_NS) == 0


def test_a_clock_that_jumps_back_for_years_costs_a_subject_a_minute_at_most() -> None:
    buckets = TokenBuckets(10)
    buckets.take("a", 60, START_NS)
    earlier_ns = START_NS - 10**17
    assert buckets.take("a", 60, earlier_ns) <= 60
    assert buckets.take("a", 60, earlier_ns + NS_PER_MINUTE) == 0
