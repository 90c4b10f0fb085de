"""Drift of one number between two windows."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zirkel.stats import ks_drift

SAMPLES = st.lists(st.integers(-100, 100), min_size=2, max_size=50)


def normal(seed: int, n: int, mean: float = 0.0) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.random.default_rng(seed).normal(mean, 1.0, n)


def test_numbers_equal_those_of_scipy() -> None:
    before, now = normal(1, 150), normal(2, 220, 0.4) * 3
    result = ks_drift(before, now, minimum_effect=0.1)
    reference = stats.ks_2samp(before, now, method="asymp")
    assert result.statistic == pytest.approx(reference.statistic)
    assert result.p_value == pytest.approx(reference.pvalue)
    assert result.effect == pytest.approx(stats.wasserstein_distance(before, now) / np.std(before, ddof=1))


def test_a_shift_is_measured_in_standard_deviations_of_the_reference() -> None:
    before = normal(3, 500) * 20
    result = ks_drift(before, before + 10, minimum_effect=0.3)
    assert result.state == "drift"
    assert result.effect == pytest.approx(10 / np.std(before, ddof=1))


def test_a_significant_shift_too_small_to_matter_is_no_drift() -> None:
    result = ks_drift(normal(4, 20_000), normal(5, 20_000, 0.1), minimum_effect=0.3)
    assert result.p_value is not None
    assert result.p_value < 0.01
    assert result.state == "no_drift"


def test_a_large_effect_by_chance_is_no_drift() -> None:
    result = ks_drift(normal(1, 20), normal(5, 20), minimum_effect=0.1, minimum_n=20)
    assert result.effect is not None
    assert result.effect > 0.1
    assert result.state == "no_drift"


@pytest.mark.parametrize(("n_reference", "n_current"), [(99, 100), (100, 99), (0, 500), (500, 0)])
def test_too_few_values_are_no_verdict(n_reference: int, n_current: int) -> None:
    result = ks_drift(normal(1, n_reference), normal(2, n_current, 9.0), minimum_effect=0.1)
    assert result.to_dict() == {
        "state": "not_enough_data",
        "statistic": None,
        "p_value": None,
        "effect": None,
        "n_reference": n_reference,
        "n_current": n_current,
        "minimum_n": 100,
        "minimum_effect": 0.1,
        "alpha": 0.01,
        "warnings": [],
    }


def test_exactly_enough_values_give_a_verdict() -> None:
    assert ks_drift(normal(1, 100), normal(2, 100, 2.0), minimum_effect=0.1).state == "drift"


@given(SAMPLES, SAMPLES, st.floats(0.01, 2), st.data())
def test_verdict_needs_both_and_order_does_not_matter(
    before: list[int], now: list[int], minimum_effect: float, data: st.DataObject
) -> None:
    result = ks_drift(before, now, minimum_effect=minimum_effect, alpha=0.05, minimum_n=2)
    assert result.statistic is not None
    assert result.p_value is not None
    assert result.effect is not None
    assert 0 <= result.statistic <= 1
    assert 0 <= result.p_value <= 1
    assert result.effect >= 0
    assert (result.state == "drift") is (result.p_value < 0.05 and result.effect >= minimum_effect)
    shuffled = ks_drift(
        data.draw(st.permutations(before)),
        data.draw(st.permutations(now)),
        minimum_effect=minimum_effect,
        alpha=0.05,
        minimum_n=2,
    )
    assert (shuffled.statistic, shuffled.p_value) == (result.statistic, result.p_value)
    assert shuffled.effect == pytest.approx(result.effect)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


@given(SAMPLES)
def test_a_window_has_not_drifted_from_itself(values: list[int]) -> None:
    result = ks_drift(values, values, minimum_effect=0.01, minimum_n=2)
    assert (result.state, result.statistic, result.effect) == ("no_drift", 0, 0)


@given(SAMPLES, SAMPLES, st.sampled_from([1e-90, 1e-6, 1e6, 1e90]))
def test_the_unit_of_the_values_does_not_matter(before: list[int], now: list[int], factor: float) -> None:
    plain = ks_drift(before, now, minimum_effect=0.1, minimum_n=2)
    scaled = ks_drift([factor * x for x in before], [factor * x for x in now], minimum_effect=0.1, minimum_n=2)
    assert scaled.effect == pytest.approx(plain.effect)
    assert scaled.p_value == plain.p_value


def test_a_constant_reference_is_measured_against_both_sides() -> None:
    result = ks_drift([0.1] * 100, [0.1] * 50 + [0.7] * 50, minimum_effect=0.1)
    assert result.state == "drift"
    assert result.effect == pytest.approx(0.3 / np.std([0.1] * 150 + [0.7] * 50, ddof=1))
    assert "reference does not vary" in result.warnings[0]


def test_the_same_constant_is_no_drift() -> None:
    result = ks_drift([0.1] * 100, [0.1] * 100, minimum_effect=0.1)
    assert (result.state, result.effect, result.warnings) == (
        "no_drift",
        0.0,
        ("all values are the same on both sides",),
    )


def test_a_value_that_is_no_number_is_named_even_with_too_little_data() -> None:
    with pytest.raises(ValueError, match=r"current\[1\] is nan"):
        ks_drift([1.0], [1.0, math.nan], minimum_effect=0.1)


@pytest.mark.parametrize(
    ("minimum_effect", "alpha", "minimum_n", "message"),
    [(0.0, 0.01, 100, "minimum_effect"), (0.1, 1.0, 100, "alpha"), (0.1, 0.01, 1, "minimum_n")],
)
def test_settings_out_of_range_are_refused(minimum_effect: float, alpha: float, minimum_n: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ks_drift([1.0], [1.0], minimum_effect=minimum_effect, alpha=alpha, minimum_n=minimum_n)


@pytest.mark.nightly
@pytest.mark.parametrize("n", [100, 400])
def test_false_alarms_stay_below_alpha(n: int) -> None:
    random, runs = np.random.default_rng(9), 2000
    alarms = sum(
        ks_drift(random.normal(size=1000), random.normal(size=n), minimum_effect=1e-6, alpha=0.05).state == "drift"
        for _ in range(runs)
    )
    assert 0.02 < alarms / runs < 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)
