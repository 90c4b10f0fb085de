"""Means of scores over items, with items that share a source taken for what they are: not independent."""

import math

import numpy as np
from scipy import special

from zirkel.stats.clusters import anova_icc
from zirkel.stats.result import INDEPENDENT_CLUSTERS, INDEPENDENT_ITEMS, MeanInterval
from zirkel.stats.samples import Clusters, FloatArray, Samples, check_clusters, check_fraction, check_samples

FEW_ITEMS = 30
FEW_CLUSTERS = 20
ROUNDING = 1e-12
"""A standard error below this fraction of the largest value is rounding noise, not variation."""


def mean_interval(values: Samples, clusters: Clusters | None = None, *, confidence: float = 0.95) -> MeanInterval:
    """Return the mean of ``values`` with a t interval, cluster-robust if ``clusters`` are given.

    With clusters the standard error is CR1 (``sqrt(C/(C-1)) * sqrt(sum_c (sum_{i in c} e_i)^2) / n``) and
    the t distribution has C - 1 degrees of freedom. Repeated trials of one item are one value (their
    mean), or items of one cluster: never independent items.

    Args:
        values: One score per item, at least 2. For pass/fail scores prefer ``wilson_interval``.
        clusters: One label per item, at least 2 different ones.
        confidence: Two-sided coverage as a fraction (0.95, not 95).

    Raises:
        ValueError: If a bound above is broken or a value is not finite.

    Source: Miller (2024), arXiv:2411.00640, section 2; CR1 and t(C-1): Cameron and Miller (2015),
        Journal of Human Resources 50(2), 317-372.
    """
    array = check_samples(values, "values")
    scale = float(np.max(np.abs(array))) if len(array) else 0.0
    return estimate_mean(array, clusters, confidence=confidence, scale=scale)


def estimate_mean(array: FloatArray, clusters: Clusters | None, *, confidence: float, scale: float) -> MeanInterval:
    """Return the interval of ``mean_interval`` for an array that is already checked.

    Args:
        array: One finite value per item.
        clusters: One label per item, or None.
        confidence: Two-sided coverage as a fraction.
        scale: Size of the numbers the values were computed from; tells variation from rounding.

    Raises:
        ValueError: If there are fewer than 2 values or clusters, or ``confidence`` is not a fraction.
    """
    n = len(array)
    if n < 2:
        raise ValueError(f"{n} values; the spread of a mean needs at least 2")
    check_fraction(confidence, "confidence")
    mean = float(np.mean(array))
    errors = array - mean
    naive = _unless_rounding(math.sqrt(float(np.sum(errors**2)) / (n - 1) / n), scale)
    icc = None
    if clusters is None:
        units, used = n, naive
    else:
        codes = check_clusters(clusters, n)
        icc = anova_icc(errors, codes) if naive > 0 else None
        sums = np.bincount(codes, weights=errors)
        units = len(sums)
        used = _unless_rounding(math.sqrt(units / (units - 1) * float(np.sum(sums**2))) / n, scale)
    radius = float(special.stdtrit(units - 1, (1 + confidence) / 2)) * used
    return MeanInterval(
        estimate=mean,
        low=mean - radius,
        high=mean + radius,
        confidence=float(confidence),
        method="t" if clusters is None else "cr1_t",
        n=n,
        n_clusters=None if clusters is None else units,
        standard_error=used,
        naive_standard_error=naive,
        degrees_of_freedom=units - 1,
        warnings=_warnings(n, None if clusters is None else units, used),
        icc=None if icc is None else max(icc, 0.0),
        assumptions=INDEPENDENT_ITEMS if clusters is None else INDEPENDENT_CLUSTERS,
    )


def _unless_rounding(standard_error: float, scale: float) -> float:
    return standard_error if standard_error > ROUNDING * scale else 0.0


def _warnings(n: int, n_clusters: int | None, standard_error: float) -> tuple[str, ...]:
    warnings = []
    if n < FEW_ITEMS:
        warnings.append(f"only {n} items: below {FEW_ITEMS} the interval may be too narrow")
    if n_clusters is not None and n_clusters < FEW_CLUSTERS:
        warnings.append(f"only {n_clusters} clusters: below {FEW_CLUSTERS} the interval may be too narrow")
    if standard_error == 0:
        unit = "items" if n_clusters is None else "clusters"
        warnings.append(f"the {unit} do not vary at all: an interval of no width does not mean certainty")
    return tuple(warnings)
