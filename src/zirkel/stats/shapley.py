"""Which factor moved a product of factors, and by how much: parts that sum to the whole difference."""

from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from itertools import combinations
from math import factorial

_CONTEXT = Context(prec=60)


def shapley_parts(factors: Sequence[str], value: Callable[[frozenset[str]], Decimal]) -> dict[str, Decimal]:
    """Return how much each factor contributed to ``value(all) - value(none)``.

    A factor's part is what its change adds, averaged over all orders in which the factors could have changed one after
    the other. No order is preferred, a factor that did not change has no part, and the parts sum to the difference: to
    within the rounding of 60 digits.

    Source: A. F. Shorrocks (2013), "Decomposition procedures for distributional analysis: a unified framework based on
    the Shapley value", Journal of Economic Inequality 11, 99-126, equation (10).

    Args:
        factors: Names; the time grows with 2 to the power of their number.
        value: The whole, with the named factors as they are after and all others as they were before.
    """
    count = len(factors)
    known = {
        frozenset(chosen): value(frozenset(chosen))
        for size in range(count + 1)
        for chosen in combinations(factors, size)
    }
    weights = [
        _CONTEXT.divide(Decimal(factorial(size) * factorial(count - size - 1)), Decimal(factorial(count)))
        for size in range(count)
    ]
    return {factor: _part(factor, known, weights) for factor in factors}


def _part(factor: str, known: dict[frozenset[str], Decimal], weights: Sequence[Decimal]) -> Decimal:
    part = Decimal(0)
    for chosen, before in known.items():
        if factor not in chosen:
            gain = _CONTEXT.subtract(known[chosen | {factor}], before)
            part = _CONTEXT.fma(gain, weights[len(chosen)], part)
    return part


def round_to_sum(parts: dict[str, Decimal], total: Decimal, step: Decimal) -> dict[str, Decimal]:
    """Return the parts rounded to multiples of ``step`` such that they sum to ``total`` exactly.

    What rounding leaves over goes to the largest part, where it is least seen.

    Args:
        parts: At least one; they sum to about ``total``.
        total: A multiple of ``step``.
        step: The unit, e.g. ``Decimal("1e-12")``.
    """
    rounded = {name: part.quantize(step, context=_CONTEXT) for name, part in parts.items()}
    rest = total
    for part in rounded.values():
        rest = _CONTEXT.subtract(rest, part)
    largest = max(rounded, key=lambda name: abs(rounded[name]))
    rounded[largest] = _CONTEXT.add(rounded[largest], rest)
    return rounded
