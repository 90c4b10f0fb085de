"""Two versions on the same pass/fail items: the difference of their pass rates, also when few items change."""

import math

from scipy import special

from zirkel.stats.result import INDEPENDENT_ITEMS, Interval
from zirkel.stats.samples import check_fraction

HALVINGS = 60
"""Of the search interval, at most 2 wide: enough for the last bit of a float."""


def paired_binary_difference(
    n_only_candidate: int, n_only_baseline: int, n: int, *, confidence: float = 0.95
) -> Interval:
    """Return the difference of two pass rates on the same items with Tango's score interval.

    Unlike the t interval of ``paired_difference`` it keeps its coverage when only a few items change, and does
    not collapse when none does. It takes items as independent.

    Args:
        n_only_candidate: Items that only the candidate passed.
        n_only_baseline: Items that only the baseline passed.
        n: All items, at least 1.
        confidence: Two-sided coverage as a fraction (0.95, not 95).

    Raises:
        ValueError: If a bound above is broken, or the counts do not fit in ``n``.

    Source: Tango (1998), Statistics in Medicine 17(8), 891-908.
    """
    tail = (1 - check_fraction(confidence, "confidence")) / 2
    low, high = tango_bounds(n_only_candidate, n_only_baseline, n, tail)
    estimate = (n_only_candidate - n_only_baseline) / n
    return Interval(estimate, low, high, float(confidence), "tango", int(n), assumptions=INDEPENDENT_ITEMS)


def tango_bounds(n_only_candidate: int, n_only_baseline: int, n: int, tail: float) -> tuple[float, float]:
    """Return the lower and upper score bound, each wrong with probability about ``tail``.

    Raises:
        ValueError: If a count is negative, ``n`` is below 1 or the counts do not fit in it.
    """
    if n < 1 or min(n_only_candidate, n_only_baseline) < 0 or n_only_candidate + n_only_baseline > n:
        raise ValueError(f"{n_only_candidate} and {n_only_baseline} changed items do not fit in {n} items")
    z = -float(special.ndtri(tail))
    return (
        _lower_bound(n_only_candidate, n_only_baseline, n, z),
        -_lower_bound(n_only_baseline, n_only_candidate, n, z),
    )


def _lower_bound(gained: int, lost: int, n: int, z: float) -> float:
    """Return the difference below the estimate at which the falling score reaches ``z``, by bisection."""
    low, high = -1.0, (gained - lost) / n
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _score(gained, lost, n, middle) > z:
            low = middle
        else:
            high = middle
    return low


def _score(gained: int, lost: int, n: int, difference: float) -> float:
    """Return Tango's score statistic for a true difference below the estimate."""
    variance = n * restricted_variance(gained / n, lost / n, difference)
    return (gained - lost - n * difference) / math.sqrt(variance) if variance > 0 else math.inf


def restricted_variance(gained: float, lost: float, difference: float) -> float:
    """Return the variance of one item's difference, most likely given the shares that changed, under a difference.

    Args:
        gained: Share of items that only the candidate passed.
        lost: Share of items that only the baseline passed.
        difference: The true difference that is supposed, -1 to 1.

    Source: Tango (1998), Statistics in Medicine 17(8), 891-908, section 3.
    """
    b = -gained - lost + (2 - gained + lost) * difference
    c = -lost * difference * (1 - difference)
    # The most likely share of lost items, if the true difference were this one.
    share_lost = (math.sqrt(max(b * b - 8 * c, 0.0)) - b) / 4
    return 2 * share_lost + difference * (1 - difference)
