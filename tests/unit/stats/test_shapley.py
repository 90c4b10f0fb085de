"""Sharing a difference out among factors."""

from decimal import Context, Decimal

from hypothesis import given
from hypothesis import strategies as st

from zirkel.stats.shapley import round_to_sum, shapley_parts

STEP = Decimal("1e-12")
EXACT = Context(prec=200)
amounts = st.decimals(min_value=0, max_value=10**6, places=6)


def product_of(before: dict[str, Decimal], after: dict[str, Decimal], changed: frozenset[str]) -> Decimal:
    result = Decimal(1)
    for name in before:
        result = EXACT.multiply(result, after[name] if name in changed else before[name])
    return result


def test_two_factors_share_what_both_caused_equally() -> None:
    # A rectangle that grows from 2 x 3 to 4 x 5: Shorrocks (2013), section 2.
    before, after = {"a": Decimal(2), "b": Decimal(3)}, {"a": Decimal(4), "b": Decimal(5)}
    parts = shapley_parts(["a", "b"], lambda changed: product_of(before, after, changed))
    assert parts == {"a": Decimal(8), "b": Decimal(6)}


def test_a_factor_that_did_not_change_has_no_part() -> None:
    before, after = (
        {"a": Decimal(2), "b": Decimal(3), "c": Decimal(7)},
        {"a": Decimal(4), "b": Decimal(3), "c": Decimal(5)},
    )
    parts = shapley_parts(list(before), lambda changed: product_of(before, after, changed))
    assert parts["b"] == 0
    assert parts["a"] > 0 > parts["c"]


@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=5))
def test_the_parts_sum_to_the_difference_whatever_changed(pairs: list[tuple[Decimal, Decimal]]) -> None:
    before = {str(number): old for number, (old, _) in enumerate(pairs)}
    after = {str(number): new for number, (_, new) in enumerate(pairs)}

    def value(changed: frozenset[str]) -> Decimal:
        return product_of(before, after, changed)

    total = EXACT.subtract(value(frozenset(before)), value(frozenset())).quantize(STEP, context=EXACT)
    parts = round_to_sum(shapley_parts(list(before), value), total, STEP)
    found = Decimal(0)
    for part in parts.values():
        found = EXACT.add(found, part)
    assert found == total


@given(st.permutations(["a", "b", "c"]))
def test_the_order_in_which_factors_are_named_does_not_matter(names: list[str]) -> None:
    before = {"a": Decimal(2), "b": Decimal(3), "c": Decimal(5)}
    after = {"a": Decimal(3), "b": Decimal(2), "c": Decimal(9)}
    parts = shapley_parts(names, lambda changed: product_of(before, after, changed))
    assert {name: parts[name].quantize(STEP) for name in "abc"} == {
        name: part.quantize(STEP)
        for name, part in shapley_parts(["a", "b", "c"], lambda changed: product_of(before, after, changed)).items()
    }
