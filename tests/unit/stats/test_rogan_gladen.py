"""Pass rates corrected for a judge's sensitivity and specificity."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.stats.rogan_gladen import allocate_calibration, rogan_gladen

COUNTS = st.integers(1, 500)


def test_interval_equals_that_of_the_authors_code() -> None:
    found = rogan_gladen(0.4, 1000, 0.7, 200, 0.9, 200)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.166667, 0.056351, 0.262733), abs=1e-6)
    assert found.method == "rogan_gladen"
    assert found.warnings == ()


def test_allocation_equals_that_of_the_authors_code() -> None:
    assert allocate_calibration(200, 0.4, 0.7, 0.9, 10) == (136, 64)


@given(st.floats(0, 1), COUNTS, st.floats(0.5, 1), COUNTS, st.floats(0.51, 1), COUNTS)
def test_interval_holds_the_estimate_and_stays_between_0_and_1(
    rate: float, n: int, specificity: float, n_fails: int, sensitivity: float, n_passes: int
) -> None:
    found = rogan_gladen(rate, n, specificity, n_fails, sensitivity, n_passes)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


@given(st.floats(0, 1), st.floats(0.6, 1), st.floats(0.6, 1))
def test_more_confidence_takes_a_wider_interval(rate: float, specificity: float, sensitivity: float) -> None:
    """Of fewer items not always: its centre is shifted by the confidence too, and it is cut at 0 and 1."""
    narrow = rogan_gladen(rate, 1000, specificity, 200, sensitivity, 200)
    wide = rogan_gladen(rate, 1000, specificity, 200, sensitivity, 200, confidence=0.99)
    assert wide.high - wide.low >= narrow.high - narrow.low - 1e-12


@given(st.floats(0, 1), st.floats(0.6, 1), st.floats(0.6, 1))
def test_exchanging_pass_and_fail_mirrors_the_interval(rate: float, specificity: float, sensitivity: float) -> None:
    found = rogan_gladen(rate, 300, specificity, 50, sensitivity, 80)
    mirror = rogan_gladen(1 - rate, 300, sensitivity, 80, specificity, 50)
    assert (mirror.estimate, mirror.low, mirror.high) == pytest.approx(
        (1 - found.estimate, 1 - found.high, 1 - found.low), abs=1e-9
    )


def test_a_perfect_judge_needs_no_correction() -> None:
    assert rogan_gladen(0.37, 1000, 1.0, 10**6, 1.0, 10**6).estimate == pytest.approx(0.37)


def test_a_weak_judge_is_told_and_a_useless_one_refused() -> None:
    assert "below 0.5" in rogan_gladen(0.6, 1000, 0.6, 100, 0.7, 100).warnings[0]
    with pytest.raises(ValueError, match="no better than a coin"):
        rogan_gladen(0.6, 1000, 0.4, 100, 0.6, 100)


@given(st.integers(2, 1000), st.floats(0.01, 0.99), st.floats(0, 1), st.floats(0, 1), st.integers(1, 100))
def test_allocation_uses_all_labels_and_starves_no_side(
    n_labels: int, rate: float, specificity: float, sensitivity: float, n_pilot: int
) -> None:
    fails, passes = allocate_calibration(n_labels, rate, specificity, sensitivity, n_pilot)
    assert fails + passes == n_labels
    assert min(fails, passes) >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.2, 10, 0.9, 10, 0.9, 10), "judged_pass_rate is 1.2"),
        ((0.5, 0, 0.9, 10, 0.9, 10), "n_judged is 0"),
        ((0.5, 10, 0.9, 0, 0.9, 10), "n_fails is 0"),
        ((0.5, 10, 0.9, 10, math.nan, 10), "sensitivity is nan"),
    ],
)
def test_rates_and_counts_out_of_range_are_refused(
    arguments: tuple[float, int, float, int, float, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        rogan_gladen(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 0.5, 0.9, 0.9, 1), "1 labels"),
        ((10, 0.0, 0.9, 0.9, 1), "judged_pass_rate"),
        ((9, 0.5, 2, 0.9, 1), "specificity 2"),
    ],
)
def test_allocations_that_make_no_sense_are_refused(
    arguments: tuple[int, float, float, float, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        allocate_calibration(*arguments)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("sensitivity", "specificity", "n_labels"), [(0.95, 0.95, 100), (0.9, 0.75, 200), (0.7, 0.6, 200)]
)
def test_interval_covers_the_true_rate(sensitivity: float, specificity: float, n_labels: int) -> None:
    # Reference simulation, true rate .7, 1,000 judged: coverage .959, .950, .978; width .132, .179, .489.
    random, runs, covered, width = np.random.default_rng(20261123), 4000, 0, 0.0
    for _ in range(runs):
        n_passes = min(max(int(random.binomial(n_labels, 0.7)), 1), n_labels - 1)
        q1 = random.binomial(n_passes, sensitivity) / n_passes
        q0 = random.binomial(n_labels - n_passes, specificity) / (n_labels - n_passes)
        rate = random.binomial(1000, 0.7 * sensitivity + 0.3 * (1 - specificity)) / 1000
        if q0 + q1 <= 1:
            covered, width = covered + 1, width + 1
            continue
        found = rogan_gladen(rate, 1000, q0, n_labels - n_passes, q1, n_passes)
        covered, width = covered + (found.low <= 0.7 <= found.high), width + found.high - found.low
    print(
        f"Rogan-Gladen {sensitivity}/{specificity} {n_labels}: coverage {covered / runs:.3f}, width {width / runs:.3f}"
    )
    assert covered / runs > 0.95 - 4 * math.sqrt(0.95 * 0.05 / runs)
