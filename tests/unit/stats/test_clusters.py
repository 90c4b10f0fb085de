"""Intraclass correlation and design effect."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.stats import cluster_effect, design_effect, mean_interval, variance_components

LABELLED = st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 4)), min_size=6, max_size=40).filter(
    lambda rows: 1 < len({label for _, label in rows}) < len(rows) and len({value for value, _ in rows}) > 1
)


def test_correlation_of_clusters_of_one_size_is_the_ratio_of_the_variance_components() -> None:
    scores = np.array([[1.0, 3.0, 2.0], [6.0, 5.0, 7.0], [0.0, 4.0, 2.0], [9.0, 5.0, 7.0]])
    parts = variance_components(scores)
    result = cluster_effect(scores.ravel(), [place // 3 for place in range(12)])
    assert result.icc == pytest.approx(parts.between / (parts.between + parts.within))
    assert result.cluster_size == 3
    assert result.design_effect == pytest.approx(1 + 2 * result.icc)


def test_clusters_of_unequal_sizes_equal_a_hand_computed_table() -> None:
    # Means 1 and 5; squares within 2 + 2 over 3; between 2 * 2.4^2 + 3 * 1.6^2 = 19.2; m0 = 5 - 13 / 5 = 2.4.
    result = cluster_effect([0.0, 2.0, 4.0, 5.0, 6.0], ["a", "a", "b", "b", "b"])
    within, between = 4 / 3, 19.2
    assert result.icc == pytest.approx((between - within) / (between + 1.4 * within))
    assert result.cluster_size == pytest.approx(13 / 5)
    assert (result.n, result.n_clusters, result.warnings) == (5, 2, ())


@given(LABELLED, st.data())
def test_order_shift_and_scale_do_not_matter(rows: list[tuple[int, int]], data: st.DataObject) -> None:
    values, labels = [float(value) for value, _ in rows], [label for _, label in rows]
    before = cluster_effect(values, labels)
    shuffled = data.draw(st.permutations(rows))
    after = cluster_effect([7 - 3.0 * value for value, _ in shuffled], [f"c{label}" for _, label in shuffled])
    assert after.icc == pytest.approx(before.icc, abs=1e-9)
    assert 0 <= before.icc <= 1
    assert 1 <= before.design_effect <= before.cluster_size
    assert json.loads(json.dumps(before.to_dict(), allow_nan=False)) == before.to_dict()


def test_items_that_are_copies_of_their_cluster_are_worth_one() -> None:
    result = cluster_effect(np.repeat([1.0, 4.0, 2.0], 5), np.repeat([0, 1, 2], 5))
    assert (result.icc, result.design_effect) == (1.0, 5.0)


def test_clusters_that_differ_less_than_chance_are_told() -> None:
    result = cluster_effect([0.0, 1.0, 0.0, 1.0], [0, 0, 1, 1])
    assert (result.icc, result.design_effect) == (0.0, 1.0)
    assert "cannot be told from 0" in result.warnings[0]


@pytest.mark.parametrize(("values", "labels"), [([1.0, 2.0, 3.0], [0, 1, 2]), ([1.0] * 4, [0, 0, 1, 1])])
def test_a_correlation_that_cannot_be_estimated_is_refused(values: list[float], labels: list[int]) -> None:
    with pytest.raises(ValueError, match="no correlation"):
        cluster_effect(values, labels)
    assert mean_interval(values, labels).icc is None


def test_a_clustered_mean_tells_its_correlation() -> None:
    values, labels = [1.0, 2.0, 6.0, 7.0], [0, 0, 1, 1]
    assert mean_interval(values, labels).icc == pytest.approx(cluster_effect(values, labels).icc)
    assert mean_interval(values).icc is None


@pytest.mark.parametrize(("icc", "size", "message"), [(-0.1, 2, "icc"), (1.1, 2, "icc"), (0.1, 0.5, "at least 1")])
def test_a_design_effect_of_impossible_numbers_is_refused(icc: float, size: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        design_effect(icc, size)


@pytest.mark.nightly
def test_design_effect_is_what_the_variance_of_the_mean_grows_by() -> None:
    random, runs = np.random.default_rng(5), 4000
    sizes = np.array([2, 5, 8, 12, 3] * 6)
    labels = np.repeat(np.arange(30), sizes)
    draws = np.repeat(random.normal(0, np.sqrt(0.3), (runs, 30)), sizes, axis=1) + random.normal(
        0, np.sqrt(0.7), (runs, 180)
    )
    grown = float(np.var(draws.mean(axis=1))) * 180
    assert grown == pytest.approx(design_effect(0.3, float(np.sum(sizes**2) / 180)), rel=4 * np.sqrt(2 / runs))
    found = float(np.mean([cluster_effect(row, labels).icc for row in draws[:500]]))
    assert found == pytest.approx(0.3, abs=0.02)
    print(f"design effect {grown:.3f}, mean icc {found:.3f}")
