"""Do raters agree, beyond what chance alone would give: people among themselves, a judge with people."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from zirkel.stats.influence import influence_error, t_quantile
from zirkel.stats.krippendorff import krippendorff_alpha
from zirkel.stats.proportion import wilson_interval
from zirkel.stats.ratings import Rating, RatingMatrix, RatingTable, Scale, Weights, rating_table
from zirkel.stats.report import Report
from zirkel.stats.result import INDEPENDENT_CLUSTERS, INDEPENDENT_ITEMS, Result
from zirkel.stats.samples import Clusters, FloatArray, check_fraction

CoefficientName = Literal["raw", "kappa", "fleiss", "brennan_prediger", "gwet", "krippendorff"]
FEW_ITEMS = 30


@dataclass(frozen=True, slots=True)
class Coefficient(Result):
    """One coefficient of agreement: 1 is perfect, 0 is chance (for ``raw``: never)."""

    name: CoefficientName
    estimate: float
    low: float
    high: float
    confidence: float
    """Coverage as a fraction, e.g. 0.95."""
    standard_error: float
    method: str
    """``t`` or ``cr1_t`` (linearised), ``wilson`` (raw, two raters) or ``exact_no_disagreement``."""
    weights: str
    """``identity``, ``linear`` or ``quadratic``; of Krippendorff's alpha the scale."""
    n: int
    """Items with at least two ratings."""
    n_clusters: int | None
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreement(Report):
    """Every coefficient of agreement that is defined for the ratings.

    Where one category is rare, the kappas and alpha fall to 0 although raters hardly ever differ; Gwet's does not.
    """

    scale: Scale
    n: int
    """Items with at least two ratings."""
    n_raters: int
    coefficients: tuple[Coefficient, ...]
    """In the order of their names; on scales with an order again with linear and quadratic weights."""
    warnings: tuple[str, ...] = ()

    def find(self, name: CoefficientName, weights: Weights = "identity") -> Coefficient | None:
        """Return a coefficient; None if it is not defined for these ratings. Alpha has no weights but the scale."""
        wanted = self.scale if name == "krippendorff" else weights
        return next((each for each in self.coefficients if (each.name, each.weights) == (name, wanted)), None)


@dataclass(frozen=True, slots=True)
class _Linearised:
    """A coefficient before its interval: estimate, chance agreement, influence of each item."""

    estimate: float
    chance: float
    influence: FloatArray


def agreement(
    ratings: RatingMatrix,
    scale: Scale = "nominal",
    *,
    categories: Sequence[Rating] | None = None,
    clusters: Clusters | None = None,
    confidence: float = 0.95,
) -> Agreement:
    """Return how much raters agree: raw, kappa, Fleiss, Brennan-Prediger, Gwet and Krippendorff, with t intervals.

    ``kappa`` is Cohen's for two raters and Conger's for more; ``gwet`` is AC1, with weights AC2; weighted kappa is
    ``kappa`` with linear or quadratic weights. If nobody ever disagrees, a t interval would be a point: the lower bound
    is then the exact one for no disagreement in n items (or clusters).

    Items with one rating tell what raters tend to say, not whether they agree, and widen the intervals. Leave them out
    where there are many, as where a judge rated everything and people a sample.

    Args:
        ratings: One row per rater (at least 2), one column per item, None where a rater did not rate. At least two
            items must have two ratings.
        scale: What differences between ratings mean.
        categories: All ratings that were possible, in order. Give them: chance agreement depends on how many there are.
        clusters: One label per item (column), for items that share a source.
        confidence: Two-sided coverage as a fraction (0.95, not 95).

    Raises:
        ValueError: If a bound above is broken.

    Source: Gwet (2014), Handbook of Inter-Rater Reliability, 4th edition, chapters 2 to 6 (coefficients and their
        linearised variance); Conger (1980), Psychological Bulletin 88(2), 322-328; Krippendorff (2011).
    """
    check_fraction(confidence, "confidence")
    table = rating_table(ratings, scale, categories)
    n = int(np.count_nonzero(table.paired))
    if n < 2:
        raise ValueError(f"{n} items have two ratings; agreement needs at least 2 of them")
    kept = None if clusters is None else [clusters[int(place)] for place in table.kept]
    kinds: tuple[Weights, ...] = ("identity",) if scale == "nominal" else ("identity", "linear", "quadratic")
    found: list[Coefficient] = []
    for kind in kinds:
        for name, chance in _CHANCE:
            made = _beyond_chance(table, table.weights(kind), chance)
            if made is not None:
                found.append(_interval(name, kind, table, made, kept, confidence))
    alpha = krippendorff_alpha(table)
    if alpha is not None:
        estimate, expected, influence = alpha
        made = _Linearised(estimate, 1 - expected, influence)
        found.append(_interval("krippendorff", scale, table, made, kept, confidence))
    return Agreement(scale, n, len(table.codes), tuple(found), _warnings(n, table, alpha is None))


def _beyond_chance(table: RatingTable, weights: FloatArray, chance: "_Chance | None") -> _Linearised | None:
    """Return ``(agreement - chance) / (1 - chance)``; None where chance alone gives perfect agreement."""
    counts = table.counts
    sizes, paired = counts.sum(axis=1), table.paired
    pairs = np.where(paired, sizes * (sizes - 1), 1)
    agreed = np.where(paired, (counts * (counts @ weights - 1)).sum(axis=1) / pairs, 0)
    observed = float(agreed[paired].mean())
    expected, moved = chance(table, weights) if chance else (0.0, np.zeros(len(sizes)))
    if 1 - expected < 1e-12:
        return None
    estimate = (observed - expected) / (1 - expected)
    scale = len(sizes) / np.count_nonzero(paired)
    own = scale * np.where(paired, agreed - expected, 0) / (1 - expected)
    return _Linearised(estimate, expected, own - (1 - estimate) / (1 - expected) * moved)


_Chance = Callable[[RatingTable, FloatArray], tuple[float, FloatArray]]
"""Return the agreement expected by chance, and each item's influence on it (their mean is 0)."""


def _uniform_chance(table: RatingTable, weights: FloatArray) -> tuple[float, FloatArray]:
    return float(weights.mean()), np.zeros(table.codes.shape[1])


def _pooled_chance(table: RatingTable, weights: FloatArray) -> tuple[float, FloatArray]:
    shares = _shares(table)
    used = shares.mean(axis=0)
    return float(used @ weights @ used), 2 * (shares - used) @ weights @ used


def _gwet_chance(table: RatingTable, weights: FloatArray) -> tuple[float, FloatArray]:
    shares = _shares(table)
    used, q = shares.mean(axis=0), len(weights)
    if q == 1:
        return 1.0, np.zeros(len(shares))
    factor = float(weights.sum()) / (q * (q - 1))
    return factor * float(used @ (1 - used)), factor * (shares - used) @ (1 - 2 * used)


def _own_habits_chance(table: RatingTable, weights: FloatArray) -> tuple[float, FloatArray]:
    """Each two raters agree by chance as their own habits have it: Cohen's idea, over all pairs of raters."""
    one_hot = table.one_hot()
    raters, n = table.codes.shape
    rated = one_hot.sum(axis=2)
    given = rated.sum(axis=1)
    habits = one_hot.sum(axis=1) / np.maximum(given, 1)[:, None]
    others = (habits.sum(axis=0) - habits) @ weights
    pairs = raters * (raters - 1)
    own = np.einsum("giq,gq->gi", one_hot, others) - rated * np.einsum("gq,gq->g", habits, others)[:, None]
    expected = float(np.sum(habits * others)) / pairs
    return expected, 2 / pairs * (n / np.maximum(given, 1)) @ own


_CHANCE: tuple[tuple[CoefficientName, _Chance | None], ...] = (
    ("raw", None),
    ("kappa", _own_habits_chance),
    ("fleiss", _pooled_chance),
    ("brennan_prediger", _uniform_chance),
    ("gwet", _gwet_chance),
)


def _shares(table: RatingTable) -> FloatArray:
    counts = table.counts
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _interval(
    name: CoefficientName,
    weights: str,
    table: RatingTable,
    made: _Linearised,
    clusters: Clusters | None,
    confidence: float,
) -> Coefficient:
    """Return the coefficient with its t interval, or the exact lower bound if nobody ever disagrees."""
    error, df = influence_error(made.influence, clusters)
    n = int(np.count_nonzero(table.paired))
    radius = t_quantile(confidence, df) * error
    low, high, method = made.estimate - radius, made.estimate + radius, "t" if clusters is None else "cr1_t"
    if name == "raw" and weights == "identity" and len(table.codes) == 2 and clusters is None:
        share = wilson_interval(round(made.estimate * n), n, confidence=confidence)
        low, high, method = share.low, share.high, share.method
    elif made.estimate > 1 - 1e-12:
        agreed = math.exp(math.log((1 - confidence) / 2) / (df + 1))
        low, high, error, method = (agreed - made.chance) / (1 - made.chance), 1.0, 0.0, "exact_no_disagreement"
    return Coefficient(
        name=name,
        estimate=made.estimate,
        low=max(low, 0.0) if name == "raw" else low,
        high=min(high, 1.0),
        confidence=float(confidence),
        standard_error=error,
        method=method,
        weights=weights,
        n=n,
        n_clusters=None if clusters is None else df + 1,
        assumptions=INDEPENDENT_ITEMS if clusters is None else INDEPENDENT_CLUSTERS,
    )


def _warnings(n: int, table: RatingTable, is_alpha_missing: bool) -> tuple[str, ...]:
    said = []
    if n < FEW_ITEMS:
        said.append(f"only {n} items have two ratings: below {FEW_ITEMS} the intervals may be too narrow")
    singles = len(table.paired) - n
    if singles > n / 10:
        said.append(f"{singles} items have one rating, which widens the intervals: leave them out")
    if is_alpha_missing:
        said.append("all ratings are alike: agreement beyond chance is not defined where nothing varies")
    largest = float(_shares(table).mean(axis=0).max())
    if not is_alpha_missing and largest > 0.8:
        said.append(f"{largest:.0%} of the ratings are of one category: kappa and alpha are low there, read gwet")
    return tuple(said)
