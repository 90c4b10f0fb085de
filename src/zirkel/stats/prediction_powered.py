"""Means that people's labels make true and a judge's scores make precise: prediction-powered inference."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from zirkel.stats.influence import t_quantile
from zirkel.stats.judged_pool import ROUNDING, JudgedPool, judged_pool
from zirkel.stats.result import INDEPENDENT_CLUSTERS, INDEPENDENT_ITEMS, MeanInterval
from zirkel.stats.samples import Clusters, Samples, check_fraction

IntervalKind = Literal["t", "normal"]
"""``t`` keeps its coverage with few labels and good judges; ``normal`` is the interval of the paper."""

FEW_LABELS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionPowered(MeanInterval):
    """A mean of labels that a judge's scores made more precise. ``n`` counts labels; a ``MeanInterval`` for gates."""

    n_unlabelled: int
    """Items with the judge's score alone."""
    weight: float
    """How much the judge was trusted (lambda of PPI++): 0 uses the labels alone."""
    effective_labels: float
    """Labels, drawn as these were, that alone would give this standard error."""
    judge_estimate: float
    """The mean of the judge's scores over all items: what would be reported without labels."""
    label_estimate: float
    """The mean of the labels alone."""


@dataclass(frozen=True, slots=True)
class JudgedSample:
    """One system's labels and judge's scores, in the order of the items."""

    labels: Samples
    """People's labels, one per labelled item."""
    judged: Samples
    """The judge's score of each labelled item."""
    judged_unlabelled: Samples
    """The judge's score of each other item; may be empty."""


def ppi_mean(
    labels: Samples,
    judged: Samples,
    judged_unlabelled: Samples,
    *,
    weight: float | None = None,
    inclusion: Samples | None = None,
    clusters: Clusters | None = None,
    confidence: float = 0.95,
    interval: IntervalKind = "t",
) -> PredictionPowered:
    """Return the mean label over all items, from labels on some of them and a judge's scores on all.

    ``w * mean(judged_unlabelled) + mean(labels - w * judged)``: valid for any judge, since the labels measure its
    error. The weight w that makes the variance smallest is taken, so that a bad judge is ignored (PPI++).

    The t interval has labels (or clusters with a label) minus 1 degrees of freedom, one less for a tuned weight.
    Where labels are pass or fail, half a label of either kind of error is added to its variance: a good judge errs so
    seldom that a few dozen labels show no error, and the plain interval covers 60 to 90 % then instead of 95 %.

    Args:
        labels: People's labels of a random sample of the items, at least 2.
        judged: The judge's scores of these items.
        judged_unlabelled: The judge's scores of all other items; may be empty.
        weight: Trust in the judge; None tunes it (between 0 and 1), 1 is plain PPI, 0 the labels alone.
        inclusion: Of each label, the probability with which its item was drawn for labelling, above 0, if these
            differed (``label_priorities``). The judge's mean is then taken over all items, labelled ones too.
        clusters: One label per item: first the labelled ones, then the others. At least 2 of them with labels.
        confidence: Two-sided coverage as a fraction (0.95, not 95).
        interval: ``t``, or ``normal`` for the interval of the paper, which needs a few hundred labels.

    Raises:
        ValueError: If a bound above is broken, lengths do not fit or a value is not finite.

    Source: Angelopoulos, Bates, Fannjiang, Jordan and Zrnic (2023), arXiv:2301.09633; weight: Angelopoulos, Duchi and
        Zrnic (2023), PPI++, arXiv:2311.01453, section 6; unequal probabilities: Zrnic and Candes (2024), Active
        Statistical Inference, arXiv:2403.03208; half a label: as Jeffreys' prior for a proportion.
    """
    pool = judged_pool(labels, judged, judged_unlabelled, inclusion, clusters)
    return _estimate(pool, weight, confidence, interval)


def ppi_difference(
    candidate: JudgedSample,
    baseline: JudgedSample,
    *,
    weight: float | None = None,
    inclusion: Samples | None = None,
    clusters: Clusters | None = None,
    confidence: float = 0.95,
    interval: IntervalKind = "t",
) -> PredictionPowered:
    """Return the mean of candidate minus baseline over all items, from labels of both on some of them.

    It is ``ppi_mean`` of the differences item by item, for ``non_inferiority``.

    Args:
        candidate: Labels and scores; a labelled item has a label of both systems.
        baseline: The same items in the same order.
        weight: See ``ppi_mean``.
        inclusion: See ``ppi_mean``.
        clusters: See ``ppi_mean``.
        confidence: Two-sided coverage as a fraction (0.95, not 95).
        interval: See ``ppi_mean``.

    Raises:
        ValueError: If a bound above is broken, lengths do not fit or a value is not finite.

    Source: see ``ppi_mean``.
    """
    first, second = (
        judged_pool(each.labels, each.judged, each.judged_unlabelled, inclusion, clusters)
        for each in (candidate, baseline)
    )
    if (len(first.labels), len(first.judged)) != (len(second.labels), len(second.judged)):
        raise ValueError(
            f"{len(first.labels)} of {len(first.judged)} items of the candidate and {len(second.labels)} of "
            f"{len(second.judged)} of the baseline have labels; both must cover the same items"
        )
    step = max((label for label, _ in (*first.extremes, *second.extremes)), default=0.0)
    both = JudgedPool(
        first.labels - second.labels,
        first.judged - second.judged,
        first.shares,
        first.codes,
        first.is_weighted,
        ((step, 0.0), (-step, 0.0)) if first.extremes and second.extremes else (),
    )
    return _estimate(both, weight, confidence, interval)


def _estimate(pool: JudgedPool, weight: float | None, confidence: float, interval: IntervalKind) -> PredictionPowered:
    check_fraction(confidence, "confidence")
    if weight is not None and not -1e6 <= weight <= 1e6:
        raise ValueError(f"weight is {weight}; it must be a number, usually 0 to 1")
    n, n_all, unit = len(pool.labels), len(pool.judged), pool.unit
    trust = pool.tuned_weight() if weight is None else weight * unit
    units = pool.independent_labels()
    df = max(math.floor(units + 1e-9) - (2 if weight is None else 1), 1)
    is_t = interval == "t"
    correction = units / df if is_t else 1.0
    smooth = pool.smoothing(trust) if is_t else 0.0
    total = pool.variance(trust, pool.codes) + smooth
    alone = pool.variance(0.0, pool.codes) + (pool.smoothing(0.0) if is_t else 0.0)
    scale = float(max(np.max(np.abs(pool.labels)), np.max(np.abs(pool.judged))))
    error = _unless_rounding(math.sqrt(correction * total), scale)
    naive = _unless_rounding(math.sqrt(correction * (pool.variance(trust, None) + smooth)), scale)
    radius = t_quantile(confidence, df if is_t else math.inf) * error
    estimate = pool.estimate(trust)
    return PredictionPowered(
        estimate=estimate,
        low=estimate - radius,
        high=estimate + radius,
        confidence=float(confidence),
        method=_method(trust, weight, interval, pool),
        n=n,
        n_clusters=None if pool.codes is None else len(np.unique(pool.codes)),
        standard_error=error,
        naive_standard_error=naive,
        degrees_of_freedom=df,
        warnings=_warnings(pool, units, error),
        assumptions=_assumptions(pool),
        n_unlabelled=n_all - n,
        weight=trust / unit,
        effective_labels=n * alone / total if error > 0 else float(n),
        judge_estimate=float(np.mean(pool.judged)),
        label_estimate=float(pool.shares @ pool.labels),
    )


def _method(trust: float, weight: float | None, interval: IntervalKind, pool: JudgedPool) -> str:
    kind = "labels" if trust == 0 else "ppi++" if weight is None else "ppi"
    return f"{kind}_{'cr1_' if pool.codes is not None else ''}{interval}"


def _assumptions(pool: JudgedPool) -> tuple[str, ...]:
    drawn = "with the given probabilities" if pool.is_weighted else "with equal probability"
    units = INDEPENDENT_ITEMS if pool.codes is None else INDEPENDENT_CLUSTERS
    return (f"labelled items were drawn by chance from the same items, {drawn}", *units)


def _warnings(pool: JudgedPool, units: float, error: float) -> tuple[str, ...]:
    said = []
    what = "labels" if pool.codes is None else "clusters with labels"
    if units < FEW_LABELS:
        said.append(f"only {units:.0f} {what}: below {FEW_LABELS} the interval may be too narrow")
    if np.ptp(pool.labels) == 0:
        said.append("all labels are alike: they cannot tell how the judge errs")
    if error == 0:
        said.append("neither labels nor scores vary: an interval of no width does not mean certainty")
    return tuple(said)


def _unless_rounding(standard_error: float, scale: float) -> float:
    return standard_error if standard_error > ROUNDING * scale else 0.0
