"""Standard errors of statistics that are not means, from what each item adds to them."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from zirkel.stats.samples import Clusters, FloatArray, check_clusters


def influence_error(influence: FloatArray, clusters: Clusters | None) -> tuple[float, int]:
    """Return the standard error of a statistic, and the degrees of freedom of its t interval.

    The statistic is taken for the mean of the items' influence values (the infinitesimal jackknife), so the error
    is that of a mean: over items, or over clusters (CR1) with as many degrees of freedom as clusters minus 1.

    Args:
        influence: One value per item, at least 2: n times the derivative of the statistic in the item's weight.
            A constant may be added.
        clusters: One label per item, at least 2 different ones, or None for independent items.

    Raises:
        ValueError: If a bound above is broken.

    Source: Efron (1982), The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6; CR1: Cameron and
        Miller (2015), Journal of Human Resources 50(2), 317-372.
    """
    n = len(influence)
    if n < 2:
        raise ValueError(f"{n} items; the spread of a statistic needs at least 2")
    codes: NDArray[np.intp] = np.arange(n) if clusters is None else check_clusters(clusters, n)
    sums = np.bincount(codes, weights=influence - np.mean(influence))
    units = len(sums)
    return math.sqrt(units / (units - 1) * float(sums @ sums)) / n, units - 1


def t_quantile(confidence: float, degrees_of_freedom: float) -> float:
    """Return how many standard errors a two-sided t interval reaches to each side.

    Args:
        confidence: Two-sided coverage as a fraction (0.95, not 95).
        degrees_of_freedom: At least 1; infinity gives the normal quantile.
    """
    if math.isinf(degrees_of_freedom):
        return float(special.ndtri((1 + confidence) / 2))
    return float(special.stdtrit(degrees_of_freedom, (1 + confidence) / 2))
