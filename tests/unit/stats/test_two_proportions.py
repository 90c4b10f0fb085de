"""Intervals for the difference of two independent pass rates."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from zirkel.stats import TwoProportionMethod, two_proportion_interval

METHODS: list[TwoProportionMethod] = ["newcombe", "miettinen_nurminen", "mee"]
SIDE = st.integers(1, 80).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [("newcombe", 0.0524, 0.3339), ("miettinen_nurminen", 0.0528, 0.3382), ("mee", 0.0533, 0.3377)],
)
def test_intervals_equal_the_published_ones_of_two_samples(
    method: TwoProportionMethod, low: float, high: float
) -> None:
    # Newcombe (1998), Statistics in Medicine 17, 873-890, table II, example (a).
    result = two_proportion_interval(56, 70, 48, 80, method=method)
    assert (result.low, result.high) == pytest.approx((low, high), abs=1e-4)
    assert result.estimate == pytest.approx(0.2)
    assert (result.n, result.method) == (150, method)


@pytest.mark.parametrize("method", METHODS)
@given(first=SIDE, second=SIDE)
def test_bounds_lie_around_the_difference_and_swapping_the_sides_flips_them(
    method: TwoProportionMethod, first: tuple[int, int], second: tuple[int, int]
) -> None:
    there = two_proportion_interval(*first, *second, method=method)
    back = two_proportion_interval(*second, *first, method=method)
    assert -1 <= there.low <= there.estimate <= there.high <= 1
    assert there.low < there.high
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-12)
    assert json.loads(json.dumps(there.to_dict(), allow_nan=False)) == there.to_dict()


@pytest.mark.parametrize("method", METHODS)
@given(first=SIDE, second=SIDE)
def test_more_confidence_is_a_wider_interval_of_two_rates(
    method: TwoProportionMethod, first: tuple[int, int], second: tuple[int, int]
) -> None:
    narrow, wide = (two_proportion_interval(*first, *second, method=method, confidence=c) for c in (0.8, 0.99))
    assert wide.low <= narrow.low
    assert wide.high >= narrow.high


@given(st.integers(0, 20), st.integers(0, 20))
def test_more_items_narrow_the_interval(passes_first: int, passes_second: int) -> None:
    for method in METHODS:
        few = two_proportion_interval(passes_first, 20, passes_second, 20, method=method)
        many = two_proportion_interval(passes_first * 10, 200, passes_second * 10, 200, method=method)
        assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize("counts", [(56, 70, 48, 80), (0, 10, 3, 25), (9, 9, 2, 30), (1, 200, 5, 150)])
def test_score_bounds_are_those_of_a_numerical_maximum_likelihood(counts: tuple[int, int, int, int]) -> None:
    x1, n1, x2, n2 = counts

    def score(difference: float) -> float:
        def minus_likelihood(rate: float) -> float:
            rates = np.clip([rate + difference, rate], 1e-300, 1)
            return -float(np.sum(stats.binom.logpmf([x1, x2], [n1, n2], np.minimum(rates, 1 - 1e-16))))

        limits = (max(0.0, -difference), min(1.0, 1 - difference))
        rate = optimize.minimize_scalar(minus_likelihood, bounds=limits, options={"xatol": 1e-13}).x
        other = rate + difference
        variance = other * (1 - other) / n1 + rate * (1 - rate) / n2
        return float((x1 / n1 - x2 / n2 - difference) / np.sqrt(variance))

    result, z = two_proportion_interval(*counts, method="mee"), stats.norm.ppf(0.975)
    for bound, side in ((result.low, z), (result.high, -z)):
        if abs(bound) < 1 - 1e-6:
            assert score(bound) == pytest.approx(side, abs=1e-2)


def test_an_unknown_method_and_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="'wald'"):
        two_proportion_interval(1, 2, 1, 2, method="wald")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="between 0 and the 5"):
        two_proportion_interval(1, 2, 6, 5)
    with pytest.raises(ValueError, match="not 95"):
        two_proportion_interval(1, 2, 1, 2, confidence=95)


@pytest.mark.nightly
@pytest.mark.parametrize("method", METHODS)
def test_intervals_of_two_rates_cover_about_as_often_as_they_say(method: TwoProportionMethod) -> None:
    # Exact, averaged over a grid of rates as in Newcombe's evaluation; single rates can lie some points below.
    n1, n2, found = 30, 20, []
    covers = [[two_proportion_interval(a, n1, b, n2, method=method) for b in range(n2 + 1)] for a in range(n1 + 1)]
    for p1 in np.linspace(0.05, 0.95, 7):
        for p2 in np.linspace(0.05, 0.95, 7):
            weight = np.outer(stats.binom.pmf(range(n1 + 1), n1, p1), stats.binom.pmf(range(n2 + 1), n2, p2))
            inside = [[i.low <= p1 - p2 <= i.high for i in row] for row in covers]
            found.append(float(np.sum(weight * np.array(inside))))
    assert np.mean(found) == pytest.approx(0.95, abs=0.015)
    assert min(found) > 0.91
    print(f"{method}: mean coverage {np.mean(found):.4f}, least {min(found):.4f}")
