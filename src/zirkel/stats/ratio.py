"""How many times as much: the ratio of two versions' means on the same items, for what has no natural scale."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from zirkel.stats.result import Result
from zirkel.stats.samples import Clusters, FloatArray, Samples, check_alpha, check_clusters, check_samples


@dataclass(frozen=True, slots=True)
class RatioBounds(Result):
    """The ratio of two means with its one-sided bounds, each wrong with probability ``alpha``."""

    estimate: float
    """Mean of the candidate by mean of the baseline."""
    lower: float | None
    """None, as is ``upper``, if the baseline's mean cannot be told from 0: then the ratio has no bounds."""
    upper: float | None
    alpha: float
    method: str
    """``fieller_t`` or ``fieller_cr1_t``."""
    n: int
    n_clusters: int | None


def paired_ratio(
    candidate: Samples, baseline: Samples, clusters: Clusters | None = None, *, alpha: float = 0.05
) -> RatioBounds:
    """Return ``mean(candidate) / mean(baseline)`` over the same items, with Fieller's bounds.

    The bounds are the ratios r that a t test of ``mean(candidate - r * baseline) = 0`` does not reject, so testing
    "at most 10 % more" by the upper bound and by the test of 1.1 is the same. With clusters the test is cluster-robust
    (CR1, t with C - 1 degrees of freedom).

    Args:
        candidate: One value per item, at least 2.
        baseline: The same items in the same order; their mean must be above 0.
        clusters: One label per item, at least 2 different ones.
        alpha: Error probability of each bound, below 0.5.

    Raises:
        ValueError: If a bound above is broken, the lengths differ or a value is not finite.

    Source: Fieller (1954), J. Royal Statistical Society B 16(2), 175-185.
    """
    new, old = check_samples(candidate, "candidate"), check_samples(baseline, "baseline")
    if len(new) != len(old) or len(new) < 2:
        raise ValueError(f"{len(new)} candidate and {len(old)} baseline values; both need the same items, at least 2")
    new_mean, old_mean = float(np.mean(new)), float(np.mean(old))
    if old_mean <= 0:
        raise ValueError(f"the baseline's mean is {old_mean}; a ratio needs one above 0")
    codes = np.arange(len(new)) if clusters is None else check_clusters(clusters, len(new))
    first = np.asarray(np.bincount(codes, weights=new - new_mean), dtype=np.float64)
    second = np.asarray(np.bincount(codes, weights=old - old_mean), dtype=np.float64)
    units = len(first)
    quantile = float(special.stdtrit(units - 1, 1 - check_alpha(alpha)))
    lower, upper = _roots(new_mean, old_mean, first, second, quantile, len(new))
    return RatioBounds(
        estimate=new_mean / old_mean,
        lower=lower,
        upper=upper,
        alpha=float(alpha),
        method="fieller_t" if clusters is None else "fieller_cr1_t",
        n=len(new),
        n_clusters=None if clusters is None else units,
    )


def _roots(
    new_mean: float, old_mean: float, first: FloatArray, second: FloatArray, quantile: float, n: int
) -> tuple[float | None, float | None]:
    """Return the ratios r with ``(new - r * old)^2 = quantile^2 * variance(new - r * old)``."""
    factor = quantile**2 * len(first) / (len(first) - 1) / n**2
    a = old_mean**2 - factor * float(np.sum(second**2))
    if a <= 0:
        return None, None
    b = new_mean * old_mean - factor * float(np.sum(first * second))
    c = new_mean**2 - factor * float(np.sum(first**2))
    root = math.sqrt(max(b * b - a * c, 0.0))
    return (b - root) / a, (b + root) / a
