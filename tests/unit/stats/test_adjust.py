"""Many tests at once."""

import json
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zirkel.stats import Adjustment, adjust, adjust_e_values

# Benjamini and Hochberg (1995), section 4.1.
PUBLISHED = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528, 0.759, 1.0,
]  # fmt: skip
METHODS: list[Adjustment] = ["bonferroni", "holm", "bh", "by"]
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@pytest.mark.parametrize(("method", "rejections"), [("bonferroni", 3), ("holm", 3), ("bh", 4), ("by", 3)])
def test_rejections_equal_the_published_ones(method: Adjustment, rejections: int) -> None:
    result = adjust(PUBLISHED, method=method)
    assert result.rejected == (True,) * rejections + (False,) * (15 - rejections)
    assert (result.method, result.n, result.alpha) == (method, 15, 0.05)


def test_adjusted_values_equal_hand_computed_ones() -> None:
    assert adjust([0.04, 0.01, 0.03], method="holm").adjusted == pytest.approx((0.06, 0.03, 0.06))
    assert adjust([0.04, 0.01, 0.03], method="bonferroni").adjusted == pytest.approx((0.12, 0.03, 0.09))
    assert adjust([0.04, 0.01, 0.03], method="bh").adjusted == pytest.approx((0.04, 0.03, 0.04))
    assert adjust([0.04, 0.01, 0.03], method="by").adjusted == pytest.approx(tuple(np.array([4, 3, 4]) * 11 / 600))


@pytest.mark.parametrize("method", ["bh", "by"])
@given(p_values=P_VALUES)
def test_false_discovery_rates_are_those_of_scipy(method: Literal["bh", "by"], p_values: list[float]) -> None:
    expected = stats.false_discovery_control(p_values, method=method)
    assert adjust(p_values, method=method).adjusted == pytest.approx(tuple(expected))


@given(P_VALUES, st.sampled_from(METHODS), st.data())
def test_order_of_tests_does_not_matter(p_values: list[float], method: Adjustment, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(p_values))))
    before, after = adjust(p_values, method=method), adjust([p_values[i] for i in order], method=method)
    assert after.adjusted == pytest.approx(tuple(before.adjusted[i] for i in order))


@given(P_VALUES, st.floats(0.001, 0.5))
def test_stricter_guarantees_reject_less(p_values: list[float], alpha: float) -> None:
    found = {method: set(np.flatnonzero(adjust(p_values, method=method, alpha=alpha).rejected)) for method in METHODS}
    assert found["bonferroni"] <= found["holm"] <= found["bh"]
    assert found["by"] <= found["bh"]
    for method in METHODS:
        result = adjust(p_values, method=method, alpha=alpha)
        assert all(p <= adjusted + 1e-15 <= 1 + 1e-12 for p, adjusted in zip(p_values, result.adjusted, strict=True))
        assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.floats(0.001, 0.5))
def test_e_values_are_rejected_by_the_definition(e_values: list[float], alpha: float) -> None:
    n, ordered = len(e_values), sorted(e_values, reverse=True)
    passing = [k for k in range(1, n + 1) if ordered[k - 1] >= n / (alpha * k) * (1 + 1e-12)]
    level = ordered[max(passing) - 1] if passing else float("inf")
    rejected = adjust_e_values(e_values, alpha=alpha).rejected
    assert all(found for found, e in zip(rejected, e_values, strict=True) if e >= level)
    unsure = [k for k in range(1, n + 1) if abs(ordered[k - 1] * alpha * k / n - 1) < 1e-9]
    if not unsure:
        assert not any(found for found, e in zip(rejected, e_values, strict=True) if e < level)


def test_one_e_value_is_rejected_at_its_inverse() -> None:
    assert adjust_e_values([20.0]).rejected == (True,)
    assert adjust_e_values([19.9]).rejected == (False,)
    assert adjust_e_values([40.0, 19.0, 0.0]).rejected == (False, False, False)
    assert adjust_e_values([60.0, 30.0, 0.0]).rejected == (True, True, False)


@pytest.mark.parametrize("p_values", [[], [-0.1], [1.1], [float("nan")]])
def test_p_values_out_of_range_are_refused(p_values: list[float]) -> None:
    with pytest.raises(ValueError, match="p_values"):
        adjust(p_values)


def test_unknown_methods_and_negative_e_values_are_refused() -> None:
    with pytest.raises(ValueError, match="'sidak'"):
        adjust([0.1], method="sidak")  # type: ignore[arg-type]
    for e_values in ([], [-1.0]):
        with pytest.raises(ValueError, match="e_values"):
            adjust_e_values(e_values)


@pytest.mark.nightly
def test_error_rates_are_held_when_most_nulls_are_true() -> None:
    random, runs, n, real = np.random.default_rng(9), 4000, 20, 5
    family: dict[str, float] = dict.fromkeys(METHODS, 0.0)
    discovery: dict[str, float] = dict.fromkeys(METHODS, 0.0)
    for _ in range(runs):
        z = random.normal(size=n)
        z[:real] += 3
        p_values = stats.norm.sf(z)
        for method in METHODS:
            rejected = np.array(adjust(p_values, method=method).rejected)
            false = int(rejected[real:].sum())
            family[method] += (false > 0) / runs
            discovery[method] += false / max(int(rejected.sum()), 1) / runs
    bound = 0.05 + 4 * np.sqrt(0.05 * 0.95 / runs)
    assert family["holm"] <= bound
    assert family["bonferroni"] <= family["holm"]
    # Independent tests: exactly alpha times the share of true nulls.
    assert discovery["bh"] == pytest.approx(0.05 * 15 / 20, abs=4 * np.sqrt(0.05 * 0.95 / runs))
    assert discovery["by"] <= discovery["bh"]
    print({"any false": family, "share false": discovery})
