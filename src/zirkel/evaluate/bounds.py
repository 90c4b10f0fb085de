"""One-sided bounds of a mean, of a paired difference and of a ratio: what a gate holds against its margins. Pure.

Bounds are intervals of the confidence ``1 - 2 * alpha``: each end is wrong with probability ``alpha``.
"""

from dataclasses import replace

import numpy as np
from scipy import special

from zirkel.evaluate.compare import Pair, mean_of
from zirkel.evaluate.measure import FloatArray, IntArray
from zirkel.evaluate.metrics import Metric
from zirkel.stats import (
    Interval,
    MeanInterval,
    clopper_pearson_interval,
    mean_interval,
    paired_binary_difference,
    paired_difference,
    paired_ratio,
)

FEW_CHANGES = 10
"""Below so many changed sources a t bound trusts a variance that it has hardly seen."""
FEWEST_CHANGES = 5
"""Below so many they do not even show how large a change can be."""
NO_WIDTH = 1e-12
RULE_OF_THREE = "rule_of_three"
"""The method where nothing varies."""


def difference_bounds(pair: Pair, metric: Metric, alpha: float) -> Interval:
    """Return the difference, candidate minus baseline, in the metric's unit.

    Independent pass/fail items get Tango's score bounds. Otherwise they are t bounds, by clusters where there are some;
    with few changed sources as if one more had changed for the worse (for the better, of the upper bound): by as much
    as the largest change seen, with very few by as much as there can be. Without any they are by the rule of three.

    Args:
        pair: Of at least 2 independent sources.
        metric: What is compared; what is no share has no largest difference but the largest value seen.
        alpha: Error probability of each bound.

    Source: Tango (1998), Statistics in Medicine 17(8), 891-908; CR1: Cameron and Miller (2015), Journal of Human
        Resources 50(2), 317-372. The added source is after the adjusted intervals of Agresti and Caffo (2000), The
        American Statistician 54(4), 280-288.
    """
    if pair.is_pass_fail and pair.clusters is None and metric.unit == "share":
        gained, lost = int(np.sum(pair.differences > 0)), int(np.sum(pair.differences < 0))
        return paired_binary_difference(gained, lost, len(pair.rows), confidence=1 - 2 * alpha)
    found = paired_difference(pair.candidate, pair.baseline, pair.clusters, confidence=1 - 2 * alpha)
    largest = 1.0 if metric.unit == "share" else pair.scale
    if found.standard_error == 0:
        return _unseen(found, alpha, largest)
    by_source = np.abs(_source_means(pair.differences, pair.sources))
    changed = int(np.sum(by_source > NO_WIDTH * pair.scale))
    if changed >= FEW_CHANGES:
        return _as_bounds(found, alpha)
    return _with_one_more(pair, found, alpha, largest if changed < FEWEST_CHANGES else float(np.max(by_source)))


def relative_bounds(pair: Pair, alpha: float) -> Interval | str:
    """Return the difference as a share of the baseline's mean; why there is none, if so.

    Source: Fieller (1954), J. Royal Statistical Society B 16(2), 175-185.
    """
    if pair.scale == 0:
        zeros = ("all values are 0, in both releases",)
        return Interval(0.0, 0.0, 0.0, 1 - 2 * alpha, "fieller_t", len(pair.rows), _clusters(pair), zeros)
    if float(np.mean(pair.baseline)) <= 0:
        return "the baseline's mean is not above 0, so there is no share of it; use margin"
    found = paired_ratio(pair.candidate, pair.baseline, pair.clusters, alpha=alpha)
    if found.lower is None or found.upper is None:
        return "the baseline's mean cannot be told from 0, so there is no share of it; use margin"
    radius = 0.0
    said: tuple[str, ...] = ()
    if found.upper - found.lower < NO_WIDTH:
        # As for differences without variance, where a change is taken to be as large as the mean.
        radius = _unseen_share(pair.n_sources, alpha)
        said = ("the ratio does not vary at all: the bounds allow for changes not seen yet",)
    return Interval(
        estimate=found.estimate - 1,
        low=found.lower - 1 - radius,
        high=found.upper - 1 + radius,
        confidence=1 - 2 * alpha,
        method=found.method,
        n=found.n,
        n_clusters=found.n_clusters,
        warnings=said,
    )


def mean_bounds(values: FloatArray, sources: IntArray, metric: Metric, alpha: float) -> Interval | None:
    """Return the mean of items' values; None if they are fewer than 2, or all of one source.

    Independent pass/fail items get exact (Clopper-Pearson) bounds, others t bounds, by clusters where there are some.
    """
    interval = mean_of(values, sources)
    if interval is None:
        return None
    is_share = metric.unit == "share"
    if is_share and interval.n_clusters is None and bool(np.all((values == 0) | (values == 1))):
        return clopper_pearson_interval(round(float(np.sum(values))), len(values), confidence=1 - 2 * alpha)
    clusters = sources if interval.n_clusters is not None else None
    found = mean_interval(values, clusters, confidence=1 - 2 * alpha)
    if found.standard_error > 0:
        return _as_bounds(found, alpha)
    bounds = _unseen(found, alpha, 1.0 if is_share else float(np.max(np.abs(values))))
    if not is_share:
        return bounds
    return replace(bounds, low=max(bounds.low, 0.0), high=min(bounds.high, 1.0))


def bounds_of(interval: MeanInterval, alpha: float) -> Interval:
    """Return the bounds of a mean that was estimated elsewhere, by its standard error and degrees of freedom."""
    radius = float(special.stdtrit(interval.degrees_of_freedom, 1 - alpha)) * interval.standard_error
    return _interval(interval, interval.estimate - radius, interval.estimate + radius, alpha)


def _as_bounds(found: MeanInterval, alpha: float) -> Interval:
    return _interval(found, found.low, found.high, alpha)


def _interval(
    found: MeanInterval, low: float, high: float, alpha: float, *, method: str = "", said: tuple[str, ...] = ()
) -> Interval:
    return Interval(
        estimate=found.estimate,
        low=low,
        high=high,
        confidence=1 - 2 * alpha,
        method=method or found.method,
        n=found.n,
        n_clusters=found.n_clusters,
        warnings=(*found.warnings, *said),
        assumptions=found.assumptions,
    )


def _unseen(found: MeanInterval, alpha: float, largest: float) -> Interval:
    """Return bounds where nothing varies: the share of sources that could still change, times the largest change."""
    radius = _unseen_share(found.n_clusters or found.n, alpha) * largest
    said = ("the bounds allow for changes not seen yet, since nothing varies",)
    return _interval(found, found.estimate - radius, found.estimate + radius, alpha, method=RULE_OF_THREE, said=said)


def _unseen_share(units: int, alpha: float) -> float:
    """Return the largest share of changes that ``units`` without any are compatible with: ``1 - alpha ** (1 / n)``."""
    return -float(np.expm1(np.log(alpha) / units))


def _with_one_more(pair: Pair, found: MeanInterval, alpha: float, largest: float) -> Interval:
    size = max(round(len(pair.rows) / pair.n_sources), 1)
    ends = []
    for sign in (-1.0, 1.0):
        differences = np.r_[pair.differences, np.full(size, sign * largest)]
        sources = np.r_[pair.sources, np.full(size, pair.sources.max() + 1)]
        clusters = None if pair.clusters is None else sources
        ends.append(mean_interval(differences, clusters, confidence=1 - 2 * alpha))
    return _interval(found, ends[0].low, ends[1].high, alpha, method=f"{found.method}_plus_one")


def _source_means(values: FloatArray, sources: IntArray) -> FloatArray:
    _, codes = np.unique(sources, return_inverse=True)
    return np.bincount(codes, weights=values) / np.bincount(codes)


def _clusters(pair: Pair) -> int | None:
    return None if pair.clusters is None else pair.n_sources
