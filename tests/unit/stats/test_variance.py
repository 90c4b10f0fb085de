"""Variance between items and within items, of scores and of paired differences."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from zirkel.stats import mean_interval, paired_difference, paired_variance_components, variance_components

RAGGED = st.lists(st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=5), min_size=2, max_size=20)


def test_variance_components_equal_a_hand_computed_table() -> None:
    # Item means 1, 2, 6 (grand mean 3): MSB = 2 * (4 + 1 + 9) / 2 = 14; MSW = (2 + 0 + 8) / 3 = 10/3.
    result = variance_components(np.array([[0.0, 2.0], [2.0, 2.0], [4.0, 8.0]]))
    assert result.within == pytest.approx(10 / 3)
    assert result.between == pytest.approx((14 - 10 / 3) / 2)
    assert result.standard_error == pytest.approx(math.sqrt(14 / 6))
    assert (result.n, result.n_trials, result.warnings) == (3, 2, ())


@given(hnp.arrays(np.float64, st.tuples(st.integers(2, 20), st.integers(2, 6)), elements=st.floats(-10, 10)))
def test_variance_components_agree_with_the_analysis_of_variance(
    scores: "np.ndarray[tuple[int, int], np.dtype[np.float64]]",
) -> None:
    scores = np.round(scores, 3)
    result = variance_components(scores)
    assert result.within >= 0
    assert result.between >= 0
    assert result.standard_error == pytest.approx(mean_interval(scores.mean(axis=1)).standard_error, abs=1e-9)
    if result.within > 1e-6 and not result.warnings:
        f = 1 + result.n_trials * result.between / result.within
        assert f == pytest.approx(float(stats.f_oneway(*scores).statistic), rel=1e-6)


def test_noise_larger_than_the_differences_is_told() -> None:
    result = variance_components(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert (result.between, result.within) == (0.0, 0.5)
    assert "cannot be told from 0" in result.warnings[0]


@pytest.mark.parametrize("shape", [(5,), (1, 5), (5, 1), (0, 2)])
def test_one_trial_cannot_be_split(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least 2 items with at least 2 trials"):
        variance_components(np.zeros(shape))


def test_a_missing_trial_is_named() -> None:
    with pytest.raises(ValueError, match=r"scores\[1, 0\] is nan"):
        variance_components(np.array([[0.0, 1.0], [math.nan, 1.0]]))


def test_missing_trials_keep_each_items_weight() -> None:
    # Item means 1, 2, 6; squares within 2 + 0 + 8 over 2 + 1 + 1 spare trials.
    result = variance_components([[0.0, 1.0, 2.0], [2.0, 2.0], [4.0, 8.0]])
    assert result.within == pytest.approx(10 / 4)
    assert result.between == pytest.approx(7 - 2.5 * (1 / 3 + 1 / 2 + 1 / 2) / 3)
    assert result.n_trials == pytest.approx(3 / (1 / 3 + 1 / 2 + 1 / 2))
    assert result.standard_error == pytest.approx(mean_interval([1.0, 2.0, 6.0]).standard_error)


@given(RAGGED)
def test_lists_of_equal_length_are_the_array(scores: list[list[float]]) -> None:
    square = [(trials * 4)[:4] for trials in scores]
    assert variance_components(square) == variance_components(np.array(square))


@given(RAGGED.filter(lambda scores: max(map(len, scores)) > 1), st.data())
def test_order_of_items_does_not_matter_to_the_components(scores: list[list[float]], data: st.DataObject) -> None:
    before, after = variance_components(scores), variance_components(data.draw(st.permutations(scores)))
    assert (after.between, after.within) == pytest.approx((before.between, before.within), abs=1e-9)


def test_standard_error_for_other_trials_and_items_follows_from_the_components() -> None:
    result = variance_components(np.array([[0.0, 2.0], [2.0, 2.0], [4.0, 8.0]]))
    assert result.standard_error_at(2) == pytest.approx(result.standard_error)
    assert result.standard_error_at(4, n=12) == pytest.approx(math.sqrt((result.between + result.within / 4) / 12))
    assert result.standard_error_at(10**9) == pytest.approx(math.sqrt(result.between / 3), rel=1e-6)
    with pytest.raises(ValueError, match="at least 1 of each"):
        result.standard_error_at(0)


@pytest.mark.parametrize(
    ("scores", "message"),
    [([[1.0], []], r"scores\[1\] has no trial"), ([[1.0], [2.0]], "at least 2 items"), ([[1.0, 2.0]], "at least 2")],
)
def test_items_without_repeats_cannot_be_split(scores: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        variance_components(scores)


def test_paired_components_add_up_to_the_variance_of_the_differences() -> None:
    random = np.random.default_rng(3)
    new, old = random.normal(size=(50, 3)), random.normal(size=(50, 2))
    result = paired_variance_components(new, old)
    whole = result.between + (result.within_candidate or 0) / 3 + (result.within_baseline or 0) / 2
    difference = paired_difference(new.mean(axis=1), old.mean(axis=1))
    assert result.within_candidate == pytest.approx(variance_components(new).within)
    assert result.standard_error == pytest.approx(difference.standard_error)
    assert math.sqrt(max(whole, 0) / 50) == pytest.approx(result.standard_error) or result.warnings


@given(RAGGED, st.data())
def test_swapping_the_versions_swaps_their_components(candidate: list[list[float]], data: st.DataObject) -> None:
    baseline = [data.draw(st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=3)) for _ in candidate]
    there, back = paired_variance_components(candidate, baseline), paired_variance_components(baseline, candidate)
    assert back.between == pytest.approx(there.between)
    assert (back.within_candidate, back.within_baseline) == (there.within_baseline, there.within_candidate)
    assert json.loads(json.dumps(there.to_dict(), allow_nan=False)) == there.to_dict()


def test_a_single_trial_leaves_its_noise_unknown_not_zero() -> None:
    result = paired_variance_components([[1.0], [3.0], [2.0]], [[0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
    assert result.within_candidate is None
    assert result.within_baseline == pytest.approx(2.5 / 3)


@pytest.mark.parametrize(
    ("candidate", "baseline", "message"),
    [
        ([[1.0], [2.0]], [[1.0]], "same items"),
        ([[1.0]], [[1.0]], "at least 2"),
        ([[1.0], [math.nan]], [[1.0]] * 2, "nan"),
    ],
)
def test_pairs_that_cannot_be_compared_are_refused(
    candidate: list[list[float]], baseline: list[list[float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        paired_variance_components(candidate, baseline)


@pytest.mark.nightly
def test_components_are_unbiased_with_missing_trials() -> None:
    random, runs = np.random.default_rng(12), 2000
    sizes = random.integers(1, 5, size=60)
    found = []
    for _ in range(runs):
        truth = random.normal(0, 0.5, 60)
        scores = [list(mean + random.normal(0, 0.8, k)) for mean, k in zip(truth, sizes, strict=True)]
        result = variance_components(scores)
        found.append((result.between, result.within))
    between, within = np.mean(found, axis=0)
    error_between, error_within = np.std(found, axis=0) / math.sqrt(runs)
    assert between == pytest.approx(0.25, abs=4 * error_between)
    assert within == pytest.approx(0.64, abs=4 * error_within)
    print(f"between {between:.4f} (true .25), within {within:.4f} (true .64)")
