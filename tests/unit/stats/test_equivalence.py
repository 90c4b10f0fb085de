"""Two one-sided tests."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from zirkel.stats import equivalence, paired_difference

PAIRS = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=40)


@given(PAIRS, st.floats(0.1, 5), st.floats(0.01, 0.2))
def test_p_value_is_the_larger_of_two_one_sided_t_tests(
    pairs: list[tuple[int, int]], margin: float, alpha: float
) -> None:
    new, old = np.array(pairs, dtype=np.float64).T
    d = new - old
    assume(np.ptp(d) > 0)
    result = equivalence(paired_difference(new, old), margin=margin, alpha=alpha)
    above = float(stats.ttest_1samp(d, -margin, alternative="greater").pvalue)
    below = float(stats.ttest_1samp(d, margin, alternative="less").pvalue)
    assert result.p_value == pytest.approx(max(above, below), rel=1e-6, abs=1e-12)
    assume(abs(result.p_value - alpha) > 1e-9)
    assert (result.verdict == "EQUIVALENT") is (result.p_value < alpha)


@given(PAIRS, st.floats(0.1, 5))
def test_swapping_the_versions_changes_no_verdict_of_equivalence(pairs: list[tuple[int, int]], margin: float) -> None:
    new, old = np.array(pairs, dtype=np.float64).T
    there = equivalence(paired_difference(new, old), margin=margin, largest_difference=18)
    back = equivalence(paired_difference(old, new), margin=margin, largest_difference=18)
    assert back.verdict == there.verdict
    assert back.p_value == pytest.approx(there.p_value)
    assert (back.lower, back.upper) == pytest.approx((-there.upper, -there.lower))
    assert json.loads(json.dumps(there.to_dict(), allow_nan=False)) == there.to_dict()


def test_a_small_difference_is_equivalent_a_large_one_different_and_few_items_neither() -> None:
    random = np.random.default_rng(1)
    noise = random.normal(0, 0.1, 400)
    none = np.zeros(400)
    assert equivalence(paired_difference(noise, none), margin=0.05).verdict == "EQUIVALENT"
    assert equivalence(paired_difference(noise + 0.2, none), margin=0.05).verdict == "DIFFERENT"
    assert equivalence(paired_difference(noise - 0.2, none), margin=0.05).verdict == "DIFFERENT"
    assert equivalence(paired_difference(noise[:5], none[:5]), margin=0.05).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize(("n", "verdict"), [(58, "INCONCLUSIVE"), (59, "EQUIVALENT")])
def test_no_change_at_all_is_equivalent_only_with_enough_items(n: int, verdict: str) -> None:
    result = equivalence(paired_difference([1.0] * n, [1.0] * n), margin=0.05)
    assert result.verdict == verdict
    assert result.p_value == pytest.approx(0.95**n)


def test_clusters_count_instead_of_items() -> None:
    d = np.repeat([0.1, -0.1, 0.05, -0.05, 0.0], 20)
    alone = equivalence(paired_difference(d, np.zeros(100)), margin=0.05)
    clustered = equivalence(paired_difference(d, np.zeros(100), np.repeat(np.arange(5), 20)), margin=0.05)
    assert (alone.verdict, clustered.verdict) == ("EQUIVALENT", "INCONCLUSIVE")
    assert (clustered.method, clustered.n_clusters) == ("tost_cr1_t", 5)


@pytest.mark.parametrize(("margin", "alpha"), [(0.0, 0.05), (-1.0, 0.05), (0.1, 0.5), (math.inf, 0.05)])
def test_a_margin_or_alpha_that_is_none_is_refused_for_equivalence(margin: float, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"margin|alpha"):
        equivalence(paired_difference([1.0, 2.0], [0.0, 0.0]), margin=margin, alpha=alpha)


@pytest.mark.nightly
def test_versions_at_the_margin_are_called_equivalent_no_more_often_than_alpha() -> None:
    random, runs, found = np.random.default_rng(2), 4000, 0
    for _ in range(runs):
        d = random.normal(0.05, 0.15, 200)
        found += equivalence(paired_difference(d, np.zeros(200)), margin=0.05).verdict == "EQUIVALENT"
    assert found / runs == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / runs))
    print(f"TOST at the margin: {found / runs:.4f}")
