"""Ratios of two means on the same items."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from zirkel.stats import mean_interval, paired_ratio

COSTS = st.lists(st.tuples(st.floats(0.5, 2.0), st.floats(0.5, 2.0)), min_size=5, max_size=30)


@given(COSTS, st.booleans())
def test_a_bound_is_where_the_t_test_of_that_ratio_turns(pairs: list[tuple[float, float]], has_clusters: bool) -> None:
    new, old = (np.asarray(side) for side in zip(*pairs, strict=True))
    clusters = [n // 2 for n in range(len(new))] if has_clusters else None
    found = paired_ratio(new, old, clusters, alpha=0.05)
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower <= found.estimate <= found.upper
    for bound in (found.lower, found.upper):
        contrast = mean_interval(new - bound * old, clusters)
        quantile = float(special.stdtrit(contrast.degrees_of_freedom, 0.95))
        assert abs(contrast.estimate) == pytest.approx(quantile * contrast.standard_error, abs=1e-6)


@given(COSTS, st.floats(0.01, 100))
def test_a_ratio_does_not_depend_on_the_unit(pairs: list[tuple[float, float]], unit: float) -> None:
    new, old = (np.asarray(side) for side in zip(*pairs, strict=True))
    one, other = paired_ratio(new, old), paired_ratio(new * unit, old * unit)
    assert other.estimate == pytest.approx(one.estimate)
    assert other.upper == pytest.approx(one.upper)


def test_a_baseline_that_may_be_0_gives_no_bounds() -> None:
    found = paired_ratio([1.0, 2.0, 3.0], [5.0, -4.0, 0.5])
    assert (found.lower, found.upper) == (None, None)


def test_a_value_worked_out_by_hand() -> None:
    # Means 2 and 2; deviations -1, 0, 1 and 0, 0, 0: the variance of the candidate's mean is 1/3, t(2) at .95 is 2.92.
    found = paired_ratio([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
    radius = 2.9199855803537256 * (1 / 3) ** 0.5 / 2
    assert found.lower == pytest.approx(1 - radius)
    assert found.upper == pytest.approx(1 + radius)


@pytest.mark.parametrize(
    ("new", "old", "said"),
    [([1.0], [1.0], "at least 2"), ([1.0, 2.0], [0.0, 0.0], "above 0"), ([1.0, 2.0], [1.0], "the same items")],
)
def test_what_has_no_ratio_is_refused(new: list[float], old: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        paired_ratio(new, old)
