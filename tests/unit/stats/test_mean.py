"""Means with naive and cluster-robust intervals."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zirkel.stats import mean_interval

SCORES = [1, 1, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1]
FOUR = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
VALUES = st.lists(st.floats(-1000, 1000).map(lambda x: round(x, 6)), min_size=2, max_size=60)


def test_standard_errors_equal_the_reference() -> None:
    # statsmodels OLS with cluster covariance: naive .142134, CR1 .235702 (CR0 .204124).
    result = mean_interval(SCORES, FOUR)
    assert result.estimate == pytest.approx(2 / 3)
    assert result.naive_standard_error == pytest.approx(0.142134, abs=1e-6)
    assert result.standard_error == pytest.approx(0.235702, abs=1e-6)
    assert result.standard_error * math.sqrt(3 / 4) == pytest.approx(0.204124, abs=1e-6)
    assert (result.degrees_of_freedom, result.n, result.n_clusters, result.method) == (3, 12, 4, "cr1_t")
    assert result.high - result.estimate == pytest.approx(stats.t.ppf(0.975, 3) * 0.235702, abs=1e-5)


@given(VALUES)
def test_interval_without_clusters_is_the_one_of_scipy(values: list[float]) -> None:
    result = mean_interval(values, confidence=0.9)
    if result.standard_error == 0:
        assert np.ptp(values) <= 1e-9 * max(map(abs, values), default=0)
        return
    reference = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
    assert (result.low, result.high) == pytest.approx((reference.low, reference.high), rel=1e-6, abs=1e-6)


@given(VALUES)
def test_clusters_of_one_item_change_nothing(values: list[float]) -> None:
    naive, clustered = mean_interval(values), mean_interval(values, list(range(len(values))))
    assert clustered.standard_error == pytest.approx(naive.standard_error, rel=1e-9)
    assert (clustered.low, clustered.high) == pytest.approx((naive.low, naive.high), rel=1e-9, abs=1e-9)


@given(VALUES.filter(lambda v: np.ptp(v) > 1e-3), st.integers(2, 5))
def test_copies_of_an_item_in_its_cluster_add_no_evidence(values: list[float], copies: int) -> None:
    labels = [f"doc-{i % max(2, len(values) // 2)}" for i in range(len(values))]
    once, often = mean_interval(values, labels), mean_interval(values * copies, labels * copies)
    assert often.standard_error == pytest.approx(once.standard_error, rel=1e-6, abs=1e-9)
    assert often.naive_standard_error < once.naive_standard_error
    assert often.degrees_of_freedom == once.degrees_of_freedom


@given(VALUES, st.data())
def test_order_of_items_and_names_of_clusters_do_not_matter(values: list[float], data: st.DataObject) -> None:
    labels = [i % 2 + data.draw(st.integers(0, 3)) * 2 for i in range(len(values))]
    order = data.draw(st.permutations(range(len(values))))
    before = mean_interval(values, labels)
    after = mean_interval([values[i] for i in order], [f"source {labels[i]}" for i in order])
    assert (after.low, after.high) == pytest.approx((before.low, before.high), rel=1e-6, abs=1e-6)
    assert after.n_clusters == before.n_clusters


@given(VALUES, st.floats(-100, 100), st.floats(0.1, 100))
def test_interval_follows_shift_and_scale(values: list[float], shift: float, factor: float) -> None:
    before = mean_interval(values)
    after = mean_interval([shift + factor * value for value in values])
    expected = (shift + factor * before.low, shift + factor * before.high)
    assert (after.low, after.high) == pytest.approx(expected, rel=1e-6, abs=1e-4)


def test_few_items_and_few_clusters_are_told_in_words() -> None:
    assert mean_interval(SCORES, FOUR).warnings == (
        "only 12 items: below 30 the interval may be too narrow",
        "only 4 clusters: below 20 the interval may be too narrow",
    )
    many = [0.0, 1.0] * 50
    assert mean_interval(many).warnings == ()
    assert mean_interval(many, [i // 5 for i in range(100)]).warnings == ()
    assert len(mean_interval(many, [i // 7 for i in range(100)]).warnings) == 1


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e-9, 12345.678])
def test_values_without_variation_have_exactly_no_error_and_a_warning(value: float) -> None:
    result = mean_interval([value] * 37)
    assert (result.standard_error, result.naive_standard_error) == (0, 0)
    assert result.low == result.high == result.estimate == pytest.approx(value)
    assert result.warnings == ("the items do not vary at all: an interval of no width does not mean certainty",)


def test_clusters_that_all_have_the_same_sum_are_told() -> None:
    result = mean_interval([0.1, 0.7] * 20, [i // 2 for i in range(40)])
    assert result.standard_error == 0
    assert result.naive_standard_error > 0
    assert "the clusters do not vary" in result.warnings[0]


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_values_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        mean_interval(values)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e200])
def test_a_value_that_is_no_finite_number_is_named(bad: float) -> None:
    with pytest.raises(ValueError, match=r"values\[2\] is .*leave out unscored items"):
        mean_interval([1.0, 2.0, bad])


@pytest.mark.parametrize(
    ("clusters", "message"),
    [(["a", "b"], "2 cluster labels for 3"), (["a"] * 3, "at least 2"), (["a", None, "b"], r"clusters\[1\] is None")],
)
def test_labels_that_do_not_fit_are_refused(clusters: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mean_interval([1.0, 2.0, 3.0], clusters)


def test_values_of_two_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="2 dimensions"):
        mean_interval(np.zeros((2, 3)))


def test_result_is_plain_json() -> None:
    record = mean_interval(np.array(SCORES, dtype=np.float64), np.array(FOUR)).to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record


@pytest.mark.nightly
@pytest.mark.parametrize(("icc", "naive_coverage"), [(0.1, 0.850), (0.5, 0.583)])
def test_cluster_robust_interval_covers_where_the_naive_one_does_not(icc: float, naive_coverage: float) -> None:
    # Reference simulation: 30 clusters of 10; CR1 with t(29) .960 and .948.
    random, runs = np.random.default_rng(20261123), 4000
    labels = np.repeat(np.arange(30), 10)
    covered = naive_covered = 0
    for _ in range(runs):
        common = np.repeat(random.normal(0, math.sqrt(icc), 30), 10)
        values = common + random.normal(0, math.sqrt(1 - icc), 300)
        robust, naive = mean_interval(values, labels), mean_interval(values)
        covered += robust.low <= 0 <= robust.high
        naive_covered += naive.low <= 0 <= naive.high
    assert covered / runs == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / runs))
    # The reference had its own, smaller number of runs.
    assert naive_covered / runs == pytest.approx(naive_coverage, abs=0.05)
    print(f"icc {icc}: CR1-t {covered / runs:.4f}, naive {naive_covered / runs:.4f}")
