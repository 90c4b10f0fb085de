"""Confidence sequences for pass rates and for means."""

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.stats import Interval, asymptotic_cs, asymptotic_p_value, bernoulli_cs, wilson_interval
from zirkel.stats.confidence_sequences import log_beta_mixture

COUNTS = st.integers(1, 2000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


@pytest.mark.parametrize(
    ("passes", "trials", "tightest_n", "low", "high"),
    [
        (700, 1000, 100, 0.651629, 0.745949),
        (15, 50, 50, 0.129556, 0.511896),
        (5, 50, 50, 0.013021, 0.269264),
        (1, 50, 50, 0.0, 0.13489),
        (100, 200, 1, 0.328923, 0.671076),
    ],
)
def test_bernoulli_sequence_equals_the_reference(
    passes: int, trials: int, tightest_n: int, low: float, high: float
) -> None:
    # The unit tests of the authors' library.
    result = bernoulli_cs(passes, trials, tightest_n=tightest_n)
    assert (result.low, result.high) == pytest.approx((low, high), abs=1e-5)
    assert (result.n, result.tightest_n, result.method) == (trials, tightest_n, "beta_binomial_cs")


def test_beta_binomial_mixture_equals_the_reference() -> None:
    # Two-sided, g = .2, h = .8, v = v_opt = 100: the bound is 31.4308; 100 / (.2 * .8) = 625 items.
    assert log_beta_mixture(125 + 31.4308, 625, 0.2, 625) == pytest.approx(math.log(20), abs=1e-5)


def test_normal_mixture_equals_the_reference() -> None:
    # Two-sided, v = v_opt = 100: the bound of a sum is 30.35209.
    assert 100 * asymptotic_cs(0, 1, 100, tightest_n=100).high == pytest.approx(30.35209, abs=1e-5)


@pytest.mark.parametrize(("n", "radius"), [(1000, 0.106375), (5000, 0.042924), (20_000, 0.022112)])
def test_asymptotic_sequence_equals_the_reference(n: int, radius: float) -> None:
    result = asymptotic_cs(0, 1, n)
    assert (result.low, result.high) == pytest.approx((-radius, radius), abs=1e-6)


def test_asymptotic_sequence_of_two_rates_equals_the_reference() -> None:
    # 100 of 5000 and 150 of 5000; the variance is that of the difference, times both sides' items.
    variance = (0.02 * 0.98 + 0.03 * 0.97) / 5000 * 10_000
    result = asymptotic_cs(0.01, variance, 10_000)
    assert (result.low, result.high) == pytest.approx((0.000445444, 0.019554556), abs=1e-9)
    assert asymptotic_p_value(0.01, variance, 10_000) == pytest.approx(0.032831, abs=1e-6)


@given(COUNTS, st.integers(1, 2000))
def test_bounds_lie_around_the_rate_and_mirror_when_pass_and_fail_swap(
    counts: tuple[int, int], tightest_n: int
) -> None:
    passes, trials = counts
    result = bernoulli_cs(passes, trials, tightest_n=tightest_n)
    mirrored = bernoulli_cs(trials - passes, trials, tightest_n=tightest_n)
    assert 0 <= result.low <= result.estimate <= result.high <= 1
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((result.low, result.high), abs=1e-7)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


@given(COUNTS)
def test_bernoulli_sequences_are_nested_in_confidence_and_wider_than_one_look(counts: tuple[int, int]) -> None:
    narrow, wide = (bernoulli_cs(*counts, confidence=c) for c in (0.9, 0.99))
    assert wide.low <= narrow.low + 1e-12
    assert wide.high >= narrow.high - 1e-12
    once = wilson_interval(*counts, confidence=0.9)
    if 0 < counts[0] < counts[1]:
        assert narrow.high - narrow.low > once.high - once.low


@given(st.floats(-5, 5), st.floats(0, 9), st.integers(1, 10**6), st.floats(0.5, 0.98))
def test_asymptotic_sequences_are_nested_in_confidence(mean: float, variance: float, n: int, confidence: float) -> None:
    narrow = asymptotic_cs(mean, variance, n, confidence=confidence)
    wide = asymptotic_cs(mean, variance, n, confidence=confidence + 0.01)
    assert wide.low <= narrow.low <= mean <= narrow.high <= wide.high
    assert bool(narrow.warnings) is (n < 100)


@given(st.floats(0.01, 2), st.floats(0.1, 4), st.integers(100, 10**5))
def test_p_value_is_the_alpha_at_which_the_sequence_touches_the_null(mean: float, variance: float, n: int) -> None:
    p_value = asymptotic_p_value(mean, variance, n)
    if 1e-9 < p_value < 0.99:
        assert asymptotic_cs(mean, variance, n, confidence=1 - p_value).low == pytest.approx(0, abs=1e-6 * mean + 1e-7)
    assert asymptotic_p_value(-mean, variance, n) == p_value
    assert asymptotic_p_value(mean + 1, variance, n, null=1.0) == pytest.approx(p_value, rel=1e-6)


@given(st.floats(0.1, 4), st.integers(100, 10**5))
def test_more_items_narrow_the_asymptotic_sequence(variance: float, n: int) -> None:
    assert asymptotic_cs(0, variance, 2 * n).high < asymptotic_cs(0, variance, n).high


def test_impossible_input_of_a_sequence_is_refused() -> None:
    for passes, trials in ((0, 0), (-1, 5), (6, 5)):
        with pytest.raises(ValueError, match="no more passes than trials"):
            bernoulli_cs(passes, trials)
    for tightest_n in (0, -1):
        with pytest.raises(ValueError, match="tightest_n"):
            bernoulli_cs(1, 2, tightest_n=tightest_n)
        with pytest.raises(ValueError, match="tightest_n"):
            asymptotic_cs(0, 1, 2, tightest_n=tightest_n)
    for mean, variance, n in ((math.nan, 1, 5), (0, -1, 5), (0, 1, 0)):
        with pytest.raises(ValueError, match="must be"):
            asymptotic_cs(mean, variance, n)
    with pytest.raises(ValueError, match="variance"):
        asymptotic_p_value(0, 0, 5)


def _covers(method: Callable[[int, int], Interval], rate: float, n: int) -> list[dict[int, bool]]:
    """Return for each number of trials whether each likely number of passes gives an interval that has the rate."""
    table = []
    for trials in range(1, n + 1):
        spread = 6 * math.sqrt(trials * rate * (1 - rate)) + 3
        likely = range(max(0, int(trials * rate - spread)), min(trials, int(trials * rate + spread)) + 1)
        intervals = {passes: method(passes, trials) for passes in likely}
        table.append({passes: i.low <= rate <= i.high for passes, i in intervals.items()})
    return table


@pytest.mark.nightly
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_bernoulli_sequence_covers_at_all_looks_where_wilson_does_not(rate: float) -> None:
    random, runs, n = np.random.default_rng(31), 2000, 1000
    always = _covers(bernoulli_cs, rate, n)
    wilson = _covers(wilson_interval, rate, n)
    missed = naive = 0
    for _ in range(runs):
        passes = np.cumsum(random.random(n) < rate)
        missed += not all(always[t][k] for t, k in enumerate(passes))
        naive += not all(wilson[t][k] for t, k in enumerate(passes) if t >= 20)
    assert missed / runs <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)
    assert naive / runs > 0.15
    print(f"rate {rate}: ever missed {missed / runs:.4f}, Wilson {naive / runs:.4f}")


@pytest.mark.nightly
def test_asymptotic_sequence_covers_a_skewed_mean_at_all_looks() -> None:
    random, runs, n = np.random.default_rng(32), 1000, 5000
    looks = np.arange(100, n + 1, 10)
    missed = 0
    for _ in range(runs):
        cost = random.lognormal(0, 1, n)
        means = np.cumsum(cost)[looks - 1] / looks
        variances = np.cumsum(cost**2)[looks - 1] / looks - means**2
        truth = math.exp(0.5)
        # The radius is proportional to the standard deviation.
        radius = np.sqrt(variances) * np.array([asymptotic_cs(0, 1, int(look)).high for look in looks])
        missed += bool(np.any(np.abs(means - truth) > radius))
    assert missed / runs <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)
    print(f"asymptotic, lognormal: ever missed {missed / runs:.4f}")
