"""Bootstrap intervals and sign-flip tests of paired differences."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from zirkel.stats import (
    Alternative,
    Interval,
    mcnemar,
    paired_bootstrap,
    paired_difference,
    sign_flip_test,
)

DIFFERENCES = st.lists(st.integers(-20, 20), min_size=2, max_size=9)
ALTERNATIVES: list[Alternative] = ["two-sided", "greater", "less"]


def zeros(values: list[int]) -> list[float]:
    return [0.0] * len(values)


def skewed(seed: int, n: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.random.default_rng(seed).exponential(size=n) - 0.8


def test_interval_is_the_one_of_scipy() -> None:
    values = skewed(1, 60)
    ours = paired_bootstrap(values, np.zeros(60), resamples=40_000)
    reference = stats.bootstrap(
        (values,), np.mean, n_resamples=40_000, rng=np.random.default_rng(2), method="BCa"
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((reference.low, reference.high), abs=0.01)
    assert ours.standard_error == pytest.approx(float(np.std(values)) / math.sqrt(60), rel=0.03)
    assert ours.estimate == pytest.approx(float(np.mean(values)))


def test_interval_leans_to_the_long_tail_where_t_does_not() -> None:
    values = skewed(3, 40)
    ours, t = paired_bootstrap(values, np.zeros(40)), paired_difference(values, np.zeros(40))
    assert ours.high - ours.estimate > ours.estimate - ours.low
    assert t.high - t.estimate == pytest.approx(t.estimate - t.low)


def test_clusters_are_drawn_whole() -> None:
    values = np.repeat(np.random.default_rng(4).normal(size=30), 10)
    labels = np.repeat(np.arange(30), 10)
    alone, whole = paired_bootstrap(values, np.zeros(300)), paired_bootstrap(values, np.zeros(300), labels)
    robust = paired_difference(values, np.zeros(300), labels)
    assert whole.standard_error == pytest.approx(robust.standard_error * math.sqrt(29 / 30), rel=0.05)
    assert whole.standard_error > 2.5 * alone.standard_error
    assert (whole.n, whole.n_clusters, alone.n_clusters) == (300, 30, None)


def test_clusters_of_unequal_sizes_weigh_by_their_items() -> None:
    labels = [0] * 9 + [1] + [2] * 5 + [3] * 5
    values = [1.0] * 9 + [0.0] + [0.5, 0.2] * 5
    result = paired_bootstrap(values, zeros([0] * 20), labels)
    assert result.estimate == pytest.approx(np.mean(values))
    assert result.low < result.estimate < result.high
    assert "only 4 clusters" in result.warnings[0]


@settings(max_examples=25)
@given(DIFFERENCES)
def test_the_same_seed_gives_the_same_interval_and_json(values: list[int]) -> None:
    first, second = (paired_bootstrap(values, zeros(values), resamples=1000, seed=5) for _ in range(2))
    assert first == second
    assert first.low <= first.estimate <= first.high
    assert isinstance(first, Interval)
    assert json.loads(json.dumps(first.to_dict(), allow_nan=False)) == first.to_dict()
    assert (first.to_dict()["seed"], first.to_dict()["resamples"]) == (5, 1000)


@settings(max_examples=25)
@given(DIFFERENCES)
def test_more_confidence_is_a_wider_bootstrap_interval(values: list[int]) -> None:
    narrow, wide = (paired_bootstrap(values, zeros(values), confidence=c, resamples=1000) for c in (0.8, 0.99))
    assert wide.low <= narrow.low
    assert wide.high >= narrow.high


def test_swapping_the_versions_flips_the_bootstrap_interval() -> None:
    values = skewed(6, 50)
    there, back = paired_bootstrap(values, np.zeros(50)), paired_bootstrap(np.zeros(50), values)
    assert (back.estimate, back.low, back.high) == pytest.approx((-there.estimate, -there.high, -there.low), abs=1e-9)


def test_differences_that_do_not_vary_are_told() -> None:
    result = paired_bootstrap([0.3] * 40, [0.1] * 40)
    assert (result.low, result.high, result.standard_error) == (result.estimate, result.estimate, 0)
    assert "do not vary" in result.warnings[0]


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@settings(max_examples=50)
@given(values=DIFFERENCES)
def test_exact_p_value_is_the_one_of_scipy(alternative: Alternative, values: list[int]) -> None:
    result = sign_flip_test(values, zeros(values), alternative=alternative)
    assert result.method == "sign_flip_exact"
    if alternative == "two-sided":
        signs = np.array(np.meshgrid(*[[-1, 1]] * len(values))).reshape(len(values), -1)
        totals = np.abs(np.array(values) @ signs)
        assert result.p_value == pytest.approx(np.mean(totals >= abs(sum(values)) - 1e-9))
    else:
        reference = stats.permutation_test(
            (np.array(values, dtype=np.float64),),
            np.mean,
            permutation_type="samples",
            n_resamples=10**6,
            alternative=alternative,
        )
        assert result.p_value == pytest.approx(float(reference.pvalue))


@given(st.integers(0, 8), st.integers(0, 8))
def test_pass_fail_items_give_the_exact_mcnemar_test(gained: int, lost: int) -> None:
    values = [1] * gained + [-1] * lost + [0, 0]
    assert sign_flip_test(values, zeros(values)).p_value == pytest.approx(mcnemar(gained, lost).p_exact)


@given(DIFFERENCES, st.data())
def test_order_and_swap_do_not_change_the_p_value(values: list[int], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(values))
    before = sign_flip_test(values, zeros(values)).p_value
    assert sign_flip_test(shuffled, zeros(values)).p_value == pytest.approx(before)
    assert sign_flip_test(zeros(values), values).p_value == pytest.approx(before)


def test_random_patterns_come_near_the_exact_ones() -> None:
    values = np.random.default_rng(8).normal(0.15, 1, 200)
    result = sign_flip_test(values, np.zeros(200), resamples=20_000)
    t = float(stats.ttest_1samp(values, 0).pvalue)
    assert (result.method, result.resamples) == ("sign_flip_random", 20_000)
    assert result.p_value == pytest.approx(t, abs=4 * math.sqrt(t * (1 - t) / 20_000) + 0.005)
    assert sign_flip_test(values + 9, np.zeros(200)).p_value == 1 / 10_001


def test_signs_of_a_cluster_flip_together() -> None:
    values, labels = [1.0, 1.0, 2.0, 3.0, 1.0, 1.0], [0, 0, 1, 1, 2, 2]
    result = sign_flip_test(values, [0.0] * 6, labels)
    assert (result.p_value, result.resamples, result.n_clusters) == (2 / 8, 8, 3)


@pytest.mark.parametrize("function", [paired_bootstrap, sign_flip_test])
def test_too_few_values_or_resamples_are_refused(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match="at least 2"):
        function([1.0], [0.0])
    with pytest.raises(ValueError, match="resamples is 10"):
        function([1.0, 2.0], [0.0, 0.0], resamples=10)
    with pytest.raises(ValueError, match="same items"):
        function([1.0, 2.0], [0.0])


def test_an_unknown_alternative_is_refused() -> None:
    with pytest.raises(ValueError, match="'up'"):
        sign_flip_test([1.0, 2.0], [0.0, 0.0], alternative="up")  # type: ignore[arg-type]


@pytest.mark.nightly
def test_sign_flips_reject_no_more_often_than_alpha() -> None:
    random, runs = np.random.default_rng(10), 4000
    rejected = 0
    for run in range(runs):
        values = np.repeat(random.standard_t(3, size=14), 4) + random.standard_t(3, size=56)
        rejected += sign_flip_test(values, np.zeros(56), np.repeat(np.arange(14), 4), seed=run).p_value <= 0.05
    assert rejected / runs == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / runs))
    print(f"sign flip, 14 clusters: {rejected / runs:.4f}")


@pytest.mark.nightly
def test_bootstrap_covers_a_clustered_skewed_mean() -> None:
    random, runs, covered = np.random.default_rng(11), 1500, 0
    labels = np.repeat(np.arange(50), 4)
    for run in range(runs):
        values = np.repeat(random.exponential(size=50), 4) + random.exponential(size=200) - 2
        result = paired_bootstrap(values, np.zeros(200), labels, resamples=2000, seed=run)
        covered += result.low <= 0 <= result.high
    # A bootstrap over 50 clusters is known to fall a point or so short.
    assert 0.95 - 0.02 - 4 * math.sqrt(0.95 * 0.05 / runs) <= covered / runs <= 0.95 + 4 * math.sqrt(0.95 * 0.05 / runs)
    print(f"BCa, 50 skewed clusters: {covered / runs:.4f}")
