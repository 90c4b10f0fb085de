"""Two pass rates on different items: their difference, when the versions could not be compared item by item."""

import math
from typing import Literal

from scipy import special

from zirkel.stats.proportion import wilson_interval
from zirkel.stats.result import Interval
from zirkel.stats.samples import check_fraction

TwoProportionMethod = Literal["newcombe", "miettinen_nurminen", "mee"]

HALVINGS = 60
"""Of the search interval, at most 1 wide: enough for the last bit of a float."""


def two_proportion_interval(
    passes_first: int,
    trials_first: int,
    passes_second: int,
    trials_second: int,
    *,
    method: TwoProportionMethod = "newcombe",
    confidence: float = 0.95,
) -> Interval:
    """Return the difference of two pass rates (first minus second) on independent items.

    With the same items on both sides use ``paired_binary_difference``: it needs far fewer of them. ``newcombe`` joins
    two Wilson intervals. The other two invert a score test; ``miettinen_nurminen`` has the factor N/(N-1) that
    ``mee`` has not.

    Args:
        passes_first: Items the first version passed, at most ``trials_first``.
        trials_first: Items scored of the first version, at least 1.
        passes_second: Items the second version passed, at most ``trials_second``.
        trials_second: Items scored of the second version, at least 1.
        method: How the interval is computed.
        confidence: Two-sided coverage as a fraction (0.95, not 95).

    Raises:
        ValueError: If a bound above is broken or the method is unknown.

    Source: Newcombe (1998), Statistics in Medicine 17(8), 873-890, method 10; Miettinen and Nurminen (1985),
        Statistics in Medicine 4(2), 213-226, equations (7) to (9); Mee (1984), Biometrics 40(4), 1175-1176.
    """
    check_fraction(confidence, "confidence")
    first = wilson_interval(passes_first, trials_first, confidence=confidence)
    second = wilson_interval(passes_second, trials_second, confidence=confidence)
    estimate = first.estimate - second.estimate
    if method == "newcombe":
        low = estimate - math.hypot(first.estimate - first.low, second.high - second.estimate)
        high = estimate + math.hypot(first.high - first.estimate, second.estimate - second.low)
    elif method in ("miettinen_nurminen", "mee"):
        total = trials_first + trials_second
        z = float(special.ndtri((1 + confidence) / 2))
        if method == "miettinen_nurminen":
            z *= math.sqrt(total / (total - 1))
        low = _score_bound(passes_first, trials_first, passes_second, trials_second, z)
        high = -_score_bound(passes_second, trials_second, passes_first, trials_first, z)
    else:
        raise ValueError(f"method is {method!r}; it must be 'newcombe', 'miettinen_nurminen' or 'mee'")
    return Interval(
        estimate=estimate,
        low=max(low, -1.0),
        high=min(high, 1.0),
        confidence=float(confidence),
        method=method,
        n=int(trials_first + trials_second),
        assumptions=("items are independent, also between the two sides",),
    )


def _score_bound(x1: int, n1: int, x2: int, n2: int, z: float) -> float:
    """Return the difference below the estimate at which the falling score reaches ``z``, by bisection."""
    estimate = x1 / n1 - x2 / n2
    low, high = -1.0, estimate
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        variance = _restricted_variance(x1, n1, x2, n2, middle)
        if estimate - middle > z * math.sqrt(variance):
            low = middle
        else:
            high = middle
    return low


def _restricted_variance(x1: int, n1: int, x2: int, n2: int, difference: float) -> float:
    """Return the variance of the estimate with the most likely rates whose difference is ``difference``."""
    rate = _restricted_rate(x1, n1, x2, n2, difference)
    other = min(max(rate + difference, 0.0), 1.0)
    return other * (1 - other) / n1 + rate * (1 - rate) / n2


def _restricted_rate(x1: int, n1: int, x2: int, n2: int, difference: float) -> float:
    """Return the most likely second rate if the first is ``difference`` more: a root of a cubic, in closed form."""
    n, x = n1 + n2, x1 + x2
    c3 = n
    c2 = (n1 + 2 * n2) * difference - n - x
    c1 = (n2 * difference - n - 2 * x2) * difference + x
    c0 = x2 * difference * (1 - difference)
    q = (c2 / (3 * c3)) ** 3 - c1 * c2 / (6 * c3**2) + c0 / (2 * c3)
    p = math.copysign(math.sqrt(max((c2 / (3 * c3)) ** 2 - c1 / (3 * c3), 0.0)), q)
    if p == 0:
        root = -c2 / (3 * c3)
    else:
        angle = (math.pi + math.acos(min(max(q / p**3, -1.0), 1.0))) / 3
        root = 2 * p * math.cos(angle) - c2 / (3 * c3)
    return min(max(root, 0.0, -difference), 1.0, 1 - difference)
