"""Places that intervals allow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.stats import rank_ranges

INTERVALS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), min_size=1, max_size=12)


def test_only_what_lies_wholly_above_or_below_is_placed() -> None:
    assert rank_ranges([0.0, 0.5, 0.9], [0.6, 0.8, 1.0]) == ((2, 3), (2, 3), (1, 1))
    assert rank_ranges([0.0, 0.0], [1.0, 1.0]) == ((1, 2), (1, 2))
    assert rank_ranges([], []) == ()


@given(INTERVALS, st.data())
def test_every_order_of_true_values_within_the_intervals_keeps_to_the_ranges(
    intervals: list[tuple[int, int]], data: st.DataObject
) -> None:
    lows, highs = [low for low, _ in intervals], [low + width for low, width in intervals]
    ranges = rank_ranges(lows, highs)
    truth = [data.draw(st.floats(low, high)) for low, high in zip(lows, highs, strict=True)]
    for value, (best, worst) in zip(truth, ranges, strict=True):
        assert best <= 1 + sum(other > value for other in truth) <= worst
        assert 1 <= best <= worst <= len(truth)


@pytest.mark.parametrize(("lows", "highs"), [([1.0], []), ([1.0], [0.0])])
def test_bounds_that_are_no_intervals_are_refused(lows: list[float], highs: list[float]) -> None:
    with pytest.raises(ValueError, match="upper one"):
        rank_ranges(lows, highs)
