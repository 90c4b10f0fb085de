"""Tango's interval for the difference of two pass rates on the same items."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from zirkel.stats import paired_binary_difference, paired_difference

COUNTS = st.integers(1, 500).flatmap(
    lambda n: st.integers(0, n).flatmap(lambda b: st.tuples(st.just(b), st.integers(0, n - b), st.just(n)))
)


def test_interval_equals_the_reference() -> None:
    result = paired_binary_difference(10, 2, 100)
    assert (result.estimate, result.method, result.n) == (0.08, "tango", 100)
    assert (result.low, result.high) == pytest.approx((0.014296, 0.158040), abs=1e-6)


@given(COUNTS)
def test_bounds_lie_around_the_difference_and_swapping_the_versions_flips_them(counts: tuple[int, int, int]) -> None:
    gained, lost, n = counts
    result, swapped = paired_binary_difference(gained, lost, n), paired_binary_difference(lost, gained, n)
    assert -1 <= result.low <= result.estimate <= result.high <= 1
    assert result.low < result.high
    assert (swapped.low, swapped.high) == (-result.high, -result.low)


@given(st.integers(1, 1000))
def test_no_change_and_only_change_have_their_closed_forms(n: int) -> None:
    z2 = stats.norm.ppf(0.975) ** 2
    assert paired_binary_difference(0, 0, n).low == pytest.approx(-z2 / (n + z2), abs=1e-9)
    assert paired_binary_difference(n, 0, n).low == pytest.approx((n - z2) / (n + z2), abs=1e-9)
    assert paired_binary_difference(n, 0, n).high == 1


@pytest.mark.parametrize(("gained", "lost", "n"), [(10, 2, 100), (0, 3, 50), (1, 1, 10), (30, 60, 90), (4, 0, 4000)])
def test_bounds_are_those_of_a_numerical_maximum_likelihood(gained: int, lost: int, n: int) -> None:
    def score(difference: float) -> float:
        def minus_likelihood(share_lost: float) -> float:
            shares = np.array([share_lost + difference, share_lost, 1 - 2 * share_lost - difference])
            counts = np.array([gained, lost, n - gained - lost])
            used = counts > 0
            return -float(np.sum(counts[used] * np.log(np.maximum(shares[used], 1e-300))))

        limits = (max(0.0, -difference), (1 - difference) / 2)
        share_lost = optimize.minimize_scalar(minus_likelihood, bounds=limits, options={"xatol": 1e-12}).x
        return (gained - lost - n * difference) / math.sqrt(n * (2 * share_lost + difference * (1 - difference)))

    z = stats.norm.ppf(0.975)
    result = paired_binary_difference(gained, lost, n)
    assert score(result.low) == pytest.approx(z, abs=1e-3)
    if result.high < 1:
        assert score(result.high) == pytest.approx(-z, abs=1e-3)


def test_interval_approaches_the_t_interval_with_many_changes() -> None:
    new, old = [1] * 900 + [0] * 800 + [1] * 3300, [0] * 900 + [1] * 800 + [1] * 3300
    score, t = paired_binary_difference(900, 800, 5000), paired_difference(new, old)
    assert (score.low, score.high) == pytest.approx((t.low, t.high), abs=1e-4)


@pytest.mark.parametrize(("gained", "lost", "n"), [(0, 0, 0), (-1, 0, 5), (0, -1, 5), (3, 3, 5)])
def test_counts_that_do_not_fit_are_refused(gained: int, lost: int, n: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        paired_binary_difference(gained, lost, n)
