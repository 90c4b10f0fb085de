"""Paired differences judged by resampling, for few or skewed values, where t is not to be trusted."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from zirkel.stats.mean import FEW_CLUSTERS, ROUNDING
from zirkel.stats.result import INDEPENDENT_CLUSTERS, INDEPENDENT_ITEMS, Interval, Result
from zirkel.stats.samples import (
    Alternative,
    Clusters,
    FloatArray,
    Samples,
    check_alternative,
    check_clusters,
    check_differences,
    check_fraction,
)

CHUNK = 2**20
"""Numbers drawn at a time, so that memory stays small."""
MOST_EXACT = 16
"""Units of which all sign patterns are enumerated: 65,536 of them."""
FEWEST_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class BootstrapInterval(Interval):
    """An interval from resampling, with what it takes to draw the same again."""

    standard_error: float = 0.0
    """Standard deviation of the resampled means."""
    resamples: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class SignFlipTest(Result):
    """Whether the mean paired difference is 0, judged by what it would be had sides been swapped by chance."""

    estimate: float
    p_value: float
    alternative: Alternative
    method: str
    """``sign_flip_exact`` (all patterns) or ``sign_flip_random``."""
    n: int
    n_clusters: int | None
    resamples: int
    """Sign patterns looked at."""
    seed: int
    assumptions: tuple[str, ...] = ("without an effect each unit's difference is as likely with the other sign",)


def paired_bootstrap(
    candidate: Samples,
    baseline: Samples,
    clusters: Clusters | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 5000,
    seed: int = 0,
) -> BootstrapInterval:
    """Return the mean of ``candidate - baseline`` with a bias-corrected and accelerated bootstrap interval.

    Whole clusters are drawn with replacement, never items of them. The same arguments give the same interval.

    Args:
        candidate: One value per item: the mean over its trials. At least 2.
        baseline: The same items in the same order.
        clusters: One label per item, at least 2 different ones.
        confidence: Two-sided coverage as a fraction (0.95, not 95).
        resamples: Drawings, at least 1000.
        seed: Start of the random numbers, at least 0.

    Raises:
        ValueError: If a bound above is broken, the lengths differ or a value is not finite.

    Source: Efron (1987), JASA 82(397), 171-185, equations (2.3) and (6.6); clusters: Davison and Hinkley (1997),
        Bootstrap Methods and Their Application, section 3.8.
    """
    differences, scale = check_differences(candidate, baseline)
    check_fraction(confidence, "confidence")
    _check_size(len(differences), resamples)
    sums, sizes = _units(differences, clusters)
    n, units = len(differences), len(sums)
    estimate = float(np.mean(differences))
    means = _resampled_means(sums, sizes, resamples, np.random.default_rng(seed))
    varies = float(np.std(sums / sizes)) > ROUNDING * scale
    low, high = _bca(means, estimate, sums, sizes, confidence) if varies else (estimate, estimate)
    return BootstrapInterval(
        estimate=estimate,
        low=low,
        high=high,
        confidence=float(confidence),
        method="bca_bootstrap",
        n=n,
        n_clusters=None if clusters is None else units,
        warnings=_warnings(units, clusters is not None, varies=varies),
        assumptions=INDEPENDENT_ITEMS if clusters is None else INDEPENDENT_CLUSTERS,
        standard_error=float(np.std(means, ddof=1)) if varies else 0.0,
        resamples=resamples,
        seed=seed,
    )


def sign_flip_test(
    candidate: Samples,
    baseline: Samples,
    clusters: Clusters | None = None,
    *,
    alternative: Alternative = "two-sided",
    resamples: int = 10_000,
    seed: int = 0,
) -> SignFlipTest:
    """Return the sign-flip permutation test of a mean paired difference of 0.

    The signs of all differences of a cluster flip together. Up to 16 clusters (or items) that differ at all every
    pattern is looked at and the p-value is exact; beyond, ``resamples`` random ones are, and the p-value is
    ``(1 + as extreme) / (1 + resamples)``, which is valid too.

    Args:
        candidate: One value per item: the mean over its trials. At least 2.
        baseline: The same items in the same order.
        clusters: One label per item, at least 2 different ones.
        alternative: ``greater`` asks whether the candidate is above the baseline.
        resamples: Random patterns, at least 1000.
        seed: Start of the random numbers, at least 0.

    Raises:
        ValueError: If a bound above is broken, the lengths differ or a value is not finite.

    Source: Fisher (1935), The Design of Experiments, section 21; random patterns: Phipson and Smyth (2010),
        Statistical Applications in Genetics and Molecular Biology 9(1), article 39.
    """
    check_alternative(alternative)
    differences, scale = check_differences(candidate, baseline)
    _check_size(len(differences), resamples)
    sums, sizes = _units(differences, clusters)
    noise = ROUNDING * scale * len(differences)
    moved = sums[np.abs(sums) > noise]
    exact = len(moved) <= MOST_EXACT
    totals = _all_flips(moved) if exact else _random_flips(moved, resamples, np.random.default_rng(seed))
    extreme = int(np.count_nonzero(_at_least(totals, float(np.sum(moved)), alternative, noise)))
    return SignFlipTest(
        estimate=float(np.mean(differences)),
        p_value=extreme / len(totals) if exact else (1 + extreme) / (1 + resamples),
        alternative=alternative,
        method="sign_flip_exact" if exact else "sign_flip_random",
        n=len(differences),
        n_clusters=None if clusters is None else len(sizes),
        resamples=len(totals),
        seed=seed,
    )


def _units(differences: FloatArray, clusters: Clusters | None) -> tuple[FloatArray, FloatArray]:
    """Return the sum and the number of items of each independent unit."""
    if clusters is None:
        return differences, np.ones(len(differences))
    codes = check_clusters(clusters, len(differences))
    sums, sizes = np.bincount(codes, weights=differences), np.bincount(codes)
    return sums.astype(np.float64), sizes.astype(np.float64)


def _resampled_means(sums: FloatArray, sizes: FloatArray, resamples: int, random: np.random.Generator) -> FloatArray:
    units = len(sums)
    rows = max(CHUNK // units, 1)
    equal = bool(np.ptp(sizes) == 0)
    parts = []
    for start in range(0, resamples, rows):
        drawn = random.integers(0, units, size=(min(rows, resamples - start), units), dtype=np.int32)
        weight = units * sizes[0] if equal else sizes[drawn].sum(axis=1)
        parts.append(sums[drawn].sum(axis=1) / weight)
    return np.concatenate(parts)


def _bca(
    means: FloatArray, estimate: float, sums: FloatArray, sizes: FloatArray, confidence: float
) -> tuple[float, float]:
    """Return the quantiles of the resampled means that allow for their bias and skewness."""
    resamples = len(means)
    # Means that equal the estimate count half: pass/fail differences have few different means.
    tie = 1e-9 * float(np.ptp(means))
    below = np.count_nonzero(means < estimate - tie) + np.count_nonzero(np.abs(means - estimate) <= tie) / 2
    bias = float(special.ndtri(min(max(below, 0.5), resamples - 0.5) / resamples))
    left_out = (np.sum(sums) - sums) / (np.sum(sizes) - sizes)
    pull = np.mean(left_out) - left_out
    size = float(np.max(np.abs(pull)))
    # In units of the largest pull no cube can underflow.
    acceleration = float(np.sum((pull / size) ** 3)) / (6 * float(np.sum((pull / size) ** 2)) ** 1.5) if size else 0.0
    z = bias + special.ndtri(np.array([(1 - confidence) / 2, (1 + confidence) / 2]))
    low, high = np.quantile(means, special.ndtr(bias + z / (1 - acceleration * z)))
    return min(float(low), estimate), max(float(high), estimate)


def _all_flips(values: FloatArray) -> FloatArray:
    totals = np.zeros(1)
    for value in values:
        totals = np.concatenate([totals + value, totals - value])
    return totals


def _random_flips(values: FloatArray, resamples: int, random: np.random.Generator) -> FloatArray:
    rows = max(CHUNK // len(values), 1)
    parts = []
    for start in range(0, resamples, rows):
        flips = random.integers(0, 2, size=(min(rows, resamples - start), len(values)), dtype=np.int8)
        parts.append(np.sum(values) - 2 * (flips @ values))
    return np.concatenate(parts)


def _at_least(
    totals: FloatArray, observed: float, alternative: Alternative, noise: float
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    if alternative == "greater":
        return totals >= observed - noise
    if alternative == "less":
        return totals <= observed + noise
    return np.abs(totals) >= abs(observed) - noise


def _check_size(n: int, resamples: int) -> None:
    if n < 2:
        raise ValueError(f"{n} values; the spread of a mean needs at least 2")
    if resamples < FEWEST_RESAMPLES:
        raise ValueError(f"resamples is {resamples}; below {FEWEST_RESAMPLES} chance would show in the result")


def _warnings(units: int, clustered: bool, *, varies: bool) -> tuple[str, ...]:
    word = "clusters" if clustered else "items"
    if not varies:
        return (f"the {word} do not vary at all: an interval of no width does not mean certainty",)
    return (
        (f"only {units} {word}: below {FEW_CLUSTERS} the interval may be too narrow",) if units < FEW_CLUSTERS else ()
    )
