"""Bounds that hold however often one looked: for experiments that were stopped when they looked decided. Pure."""

from typing import Literal

import numpy as np
from scipy import special

from zirkel.evaluate.measure import FloatArray
from zirkel.stats import Interval, asymptotic_cs, bet_on

HALVINGS = 40
"""Of the range from -1 to 1: to the twelfth digit."""


def betting_bounds(differences: FloatArray, alpha: float) -> Interval:
    """Return the mean of differences from -1 to 1 with bounds that hold at every look.

    A mean is outside a bound if a bet against it has won ``1 / alpha`` times its stake at any time: the same bets as
    those of ``stats.early_stop``, so that a gate agrees with whoever stopped by that.

    Args:
        differences: Of independent items, in the order in which they were asked.
        alpha: Error probability of each bound.

    Source: Waudby-Smith and Ramdas (2024), JRSS B 86(1), 1-27, section 4 (confidence sequences from tests).
    """
    estimate = float(np.mean(differences))
    low = _edge(differences, estimate, alpha, "greater")
    high = _edge(differences, estimate, alpha, "less")
    return Interval(estimate, low, high, 1 - 2 * alpha, "betting", len(differences))


def anytime_alpha(alpha: float, units: int, tightest_n: int) -> float:
    """Return the alpha at which t bounds are as wide as bounds that hold at every look.

    For values without known bounds, and for clusters: asymptotic, so for a hundred units or more.

    Args:
        alpha: Error probability of each bound over all looks.
        units: Independent units so far.
        tightest_n: Where the bounds should be tightest, fixed before the data: the units that were planned.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Annals of Statistics 52(6), 2613-2640, theorem 2.2.
    """
    sequence = asymptotic_cs(0.0, 1.0, units, confidence=1 - 2 * alpha, tightest_n=tightest_n)
    return float(special.stdtr(units - 1, -sequence.high * np.sqrt(units)))


def _edge(differences: FloatArray, estimate: float, alpha: float, side: Literal["greater", "less"]) -> float:
    """Return the mean farthest from the end of the range that a bet still wins against, by bisection."""
    end = -1.0 if side == "greater" else 1.0

    def is_out(mean: float) -> bool:
        return bet_on(side, null=mean).update(differences).p_value <= alpha

    out, inside = end, min(max(estimate, -1 + 1e-9), 1 - 1e-9)
    if is_out(inside):
        return inside
    for _ in range(HALVINGS):
        middle = (out + inside) / 2
        if abs(middle) < 1 and is_out(middle):
            out = middle
        else:
            inside = middle
    return out
