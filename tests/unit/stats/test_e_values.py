"""E-values: from and to p-values, and together."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from zirkel.stats import combine_e_values, e_to_p, p_to_e

E_VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=20)


def test_an_e_value_of_a_p_value_equals_the_reference() -> None:
    assert p_to_e(0.01) == pytest.approx(5)
    assert p_to_e(1.0) == 0.5


def test_an_e_value_of_a_uniform_p_value_has_mean_one() -> None:
    assert integrate.quad(p_to_e, 0, 1)[0] == pytest.approx(1, abs=1e-6)


@given(st.floats(1e-12, 1))
def test_there_and_back_never_gains_evidence(p_value: float) -> None:
    assert p_value <= e_to_p(p_to_e(p_value)) <= 1


@pytest.mark.parametrize(("e_value", "p_value"), [(0.0, 1.0), (0.5, 1.0), (20.0, 0.05), (math.inf, 0.0)])
def test_a_p_value_of_an_e_value_is_its_inverse_at_most_one(e_value: float, p_value: float) -> None:
    assert e_to_p(e_value) == pytest.approx(p_value)


@given(E_VALUES)
def test_mean_and_product_are_those_of_the_numbers(e_values: list[float]) -> None:
    assert combine_e_values(e_values) == pytest.approx(float(np.mean(e_values)))
    small = [min(e, 30.0) for e in e_values]
    assert combine_e_values(small, method="product") == pytest.approx(math.prod(small))


def test_weights_say_how_much_each_counts() -> None:
    assert combine_e_values([10.0, 2.0], weights=[3, 1]) == pytest.approx(8)


@pytest.mark.parametrize("p_value", [0.0, -0.1, 1.1, math.nan])
def test_an_impossible_p_value_is_refused(p_value: float) -> None:
    with pytest.raises(ValueError, match="p_value"):
        p_to_e(p_value)


@pytest.mark.parametrize("e_value", [-1.0, math.nan])
def test_an_impossible_e_value_is_refused(e_value: float) -> None:
    with pytest.raises(ValueError, match="e_value"):
        e_to_p(e_value)


def test_combinations_that_make_no_sense_are_refused() -> None:
    for e_values in ([], [-1.0]):
        with pytest.raises(ValueError, match="e_values"):
            combine_e_values(e_values)
    for weights in ([1.0], [1.0, -1.0], [0.0, 0.0]):
        with pytest.raises(ValueError, match="weights"):
            combine_e_values([1.0, 2.0], weights=weights)
    with pytest.raises(ValueError, match="a product has none"):
        combine_e_values([1.0], method="product", weights=[1.0])
    with pytest.raises(ValueError, match="too large"):
        combine_e_values([1e99] * 4, method="product")
    with pytest.raises(ValueError, match="'max'"):
        combine_e_values([1.0], method="max")  # type: ignore[arg-type]
