"""Intervals for pass rates, against published numbers and exact coverage."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zirkel.stats import Interval, beta_interval, clopper_pearson_interval, proportion_lower_bound, wilson_interval

Method = Callable[[int, int], Interval]
COUNTS = st.integers(1, 5000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))
CONFIDENCES = st.floats(0.5, 0.999)


# Newcombe (1998), Statistics in Medicine 17, 857-872, table I. Its four decimals are the tolerance.
@pytest.mark.parametrize(
    ("passes", "trials", "wilson", "clopper_pearson"),
    [
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_intervals_equal_the_published_ones(
    passes: int, trials: int, wilson: tuple[float, float], clopper_pearson: tuple[float, float]
) -> None:
    ours = wilson_interval(passes, trials)
    assert (ours.low, ours.high) == pytest.approx(wilson, abs=1e-4)
    ours = clopper_pearson_interval(passes, trials)
    assert (ours.low, ours.high) == pytest.approx(clopper_pearson, abs=1e-4)


@pytest.mark.parametrize(
    ("method", "trials", "rate", "expected"),
    [
        (wilson_interval, 10, 0.9, 0.930),
        (wilson_interval, 10, 0.98, 0.984),
        (wilson_interval, 30, 0.9, 0.974),
        (wilson_interval, 30, 0.98, 0.978),
        (wilson_interval, 100, 0.9, 0.936),
        (wilson_interval, 100, 0.98, 0.949),
        (wilson_interval, 300, 0.9, 0.957),
        (wilson_interval, 300, 0.98, 0.942),
        (clopper_pearson_interval, 10, 0.9, 0.987),
        (clopper_pearson_interval, 10, 0.98, 0.984),
        (clopper_pearson_interval, 30, 0.9, 0.992),
        (clopper_pearson_interval, 30, 0.98, 0.978),
        (clopper_pearson_interval, 100, 0.9, 0.956),
        (clopper_pearson_interval, 100, 0.98, 0.985),
        (clopper_pearson_interval, 300, 0.9, 0.966),
        (clopper_pearson_interval, 300, 0.98, 0.964),
        (beta_interval, 10, 0.9, 0.930),
        (beta_interval, 10, 0.98, 0.817),
        (beta_interval, 30, 0.9, 0.974),
        (beta_interval, 30, 0.98, 0.879),
        (beta_interval, 100, 0.9, 0.936),
        (beta_interval, 100, 0.98, 0.949),
        (beta_interval, 300, 0.9, 0.957),
        (beta_interval, 300, 0.98, 0.942),
    ],
)
def test_exact_coverage_equals_the_reference_table(method: Method, trials: int, rate: float, expected: float) -> None:
    assert _coverage(method, trials, rate) == pytest.approx(expected, abs=6e-4)


@given(st.integers(1, 60), st.floats(0.001, 0.999))
def test_clopper_pearson_never_covers_less_than_its_confidence(trials: int, rate: float) -> None:
    assert _coverage(clopper_pearson_interval, trials, rate) >= 0.95 - 1e-9


def _coverage(method: Method, trials: int, rate: float) -> float:
    intervals = [method(passes, trials) for passes in range(trials + 1)]
    covers = [interval.low <= rate <= interval.high for interval in intervals]
    return float(np.sum(stats.binom.pmf(np.arange(trials + 1), trials, rate)[covers]))


@pytest.mark.parametrize("method", [wilson_interval, clopper_pearson_interval, beta_interval])
@given(counts=COUNTS, confidence=CONFIDENCES)
def test_bounds_lie_around_the_rate_and_swapping_pass_and_fail_mirrors_them(
    method: Callable[..., Interval], counts: tuple[int, int], confidence: float
) -> None:
    passes, trials = counts
    interval = method(passes, trials, confidence=confidence)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
    assert interval.low < interval.high
    mirrored = method(trials - passes, trials, confidence=confidence)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((interval.low, interval.high), abs=1e-9)


@pytest.mark.parametrize("method", [wilson_interval, clopper_pearson_interval, beta_interval])
@given(counts=COUNTS)
def test_more_confidence_is_a_wider_interval(method: Callable[..., Interval], counts: tuple[int, int]) -> None:
    narrow, wide = method(*counts, confidence=0.8), method(*counts, confidence=0.99)
    assert wide.low <= narrow.low
    assert wide.high >= narrow.high


@pytest.mark.parametrize("method", [wilson_interval, clopper_pearson_interval])
@pytest.mark.parametrize("trials", [1, 7, 20, 999])
def test_bounds_are_exact_at_no_and_at_all_passes(method: Method, trials: int) -> None:
    assert method(0, trials).low == 0.0
    assert method(trials, trials).high == 1.0


@pytest.mark.parametrize("trials", [1, 10, 59, 300])
def test_all_passes_give_the_exact_bound_for_no_failures(trials: int) -> None:
    assert proportion_lower_bound(trials, trials).low == pytest.approx(0.05 ** (1 / trials), abs=1e-12)


def test_all_passes_give_about_the_rule_of_three() -> None:
    assert 1 - proportion_lower_bound(300, 300).low == pytest.approx(3 / 300, rel=0.01)


@given(counts=COUNTS, alpha=st.floats(0.001, 0.2))
def test_lower_bound_is_where_so_many_passes_become_improbable(counts: tuple[int, int], alpha: float) -> None:
    passes, trials = counts
    bound = proportion_lower_bound(passes, trials, alpha=alpha)
    assert 0 <= bound.low <= bound.estimate
    if passes:
        assert float(stats.binom.sf(passes - 1, trials, bound.low)) == pytest.approx(alpha, rel=1e-6)


@given(counts=COUNTS)
def test_lower_bound_is_the_two_sided_one_at_twice_the_alpha(counts: tuple[int, int]) -> None:
    two_sided = clopper_pearson_interval(*counts, confidence=0.9)
    assert proportion_lower_bound(*counts, alpha=0.05).low == pytest.approx(two_sided.low, abs=1e-12)


@pytest.mark.parametrize(
    ("passes", "trials", "message"),
    [(0, 0, "at least 1"), (-1, 5, "between 0 and the 5"), (6, 5, "between 0 and the 5")],
)
def test_impossible_counts_are_refused(passes: int, trials: int, message: str) -> None:
    for function in (wilson_interval, clopper_pearson_interval, proportion_lower_bound):
        with pytest.raises(ValueError, match=message):
            function(passes, trials)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, float("nan")])
def test_confidence_in_percent_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="not 95"):
        wilson_interval(1, 2, confidence=confidence)


def test_result_of_numpy_counts_is_plain_json() -> None:
    interval = wilson_interval(int(np.int64(3)), 4)
    assert json.loads(json.dumps(interval.to_dict(), allow_nan=False)) == {
        "estimate": 0.75,
        "low": interval.low,
        "high": interval.high,
        "confidence": 0.95,
        "method": "wilson",
        "n": 4,
        "n_clusters": None,
        "warnings": [],
        "assumptions": ["items are independent"],
    }


@given(counts=COUNTS, prior=st.sampled_from([0.5, 1.0]))
def test_credible_bounds_are_quantiles_of_the_posterior(counts: tuple[int, int], prior: float) -> None:
    passes, trials = counts
    result = beta_interval(passes, trials, prior=prior, confidence=0.9)
    low, high = (float(stats.beta.ppf(q, passes + prior, trials - passes + prior)) for q in (0.05, 0.95))
    assert (result.low, result.high) == pytest.approx((low, high), abs=1e-9)
    assert result.estimate == pytest.approx(float(stats.beta.mean(passes + prior, trials - passes + prior)))
    assert result.method == ("jeffreys" if prior == 0.5 else "beta")


def test_a_prior_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="prior"):
        beta_interval(1, 2, prior=0.0)


@given(rate=st.integers(1, 9))
def test_more_trials_narrow_the_interval_of_a_rate(rate: int) -> None:
    for method in (wilson_interval, clopper_pearson_interval, beta_interval):
        widths = [(i := method(rate * size, 10 * size)).high - i.low for size in (1, 2, 5, 20, 100)]
        assert widths == sorted(widths, reverse=True)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("method", "n", "expected"),
    [
        (wilson_interval, 10, 0.954),
        (wilson_interval, 30, 0.952),
        (wilson_interval, 100, 0.951),
        (clopper_pearson_interval, 10, 0.984),
        (clopper_pearson_interval, 30, 0.973),
        (clopper_pearson_interval, 100, 0.965),
        (beta_interval, 10, 0.950),
        (beta_interval, 30, 0.950),
        (beta_interval, 100, 0.949),
    ],
)
def test_simulated_coverage_over_all_rates_equals_the_reference_table(method: Method, n: int, expected: float) -> None:
    random, runs = np.random.default_rng(61), 100_000
    rates = random.random(runs)
    intervals = [method(passes, n) for passes in range(n + 1)]
    lows, highs = np.array([i.low for i in intervals]), np.array([i.high for i in intervals])
    passes = random.binomial(n, rates)
    covered = float(np.mean((lows[passes] <= rates) & (rates <= highs[passes])))
    assert covered == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / runs) + 5e-4)
    print(f"{intervals[0].method} n={n}: {covered:.4f}")
