"""Two versions compared within parts of a data set, with the many looks taken into account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zirkel.stats.adjust import Adjustment, adjust
from zirkel.stats.paired import mcnemar, paired_difference, t_p_value
from zirkel.stats.result import MeanInterval, Result
from zirkel.stats.samples import Clusters, FloatArray, Samples, check_differences


@dataclass(frozen=True, slots=True)
class SegmentDifference(Result):
    """The paired difference within one segment. What cannot be estimated is None, and a warning says why."""

    segment: str
    estimate: float | None
    """Mean of candidate minus baseline; None without any item."""
    low: float | None
    """Of the segment's own interval, not adjusted for there being several."""
    high: float | None
    confidence: float
    method: str
    """``t`` or ``cr1_t``; the p-value is McNemar's mid-p where items pass or fail and stand alone, else of that t."""
    p_value: float | None
    """Two-sided, of no difference."""
    adjusted_p: float | None
    """Adjusted for the number of segments."""
    stands_out: bool
    """Whether ``adjusted_p`` is at most the ``alpha`` that was asked for."""
    n: int
    n_clusters: int | None
    warnings: tuple[str, ...] = ()


def compare_segments(
    candidate: Samples,
    baseline: Samples,
    segments: Mapping[str, Sequence[int]],
    clusters: Clusters | None = None,
    *,
    confidence: float = 0.95,
    alpha: float = 0.05,
    method: Adjustment = "bh",
) -> tuple[SegmentDifference, ...]:
    """Return the paired difference within each segment, in the order given.

    Segments may overlap, as tags do; ``bh`` holds its rate under the positive dependence that this brings. A segment of
    fewer than 2 items (or clusters) is listed without a test.

    Args:
        candidate: One value per item: the mean over its trials.
        baseline: The same items in the same order.
        segments: Positions of each segment's items, from 0, each position once.
        clusters: One label per item.
        confidence: Coverage of each interval, as a fraction.
        alpha: What ``method`` holds, as a fraction.
        method: How p-values are adjusted, see ``adjust``.

    Raises:
        ValueError: If a bound above is broken, the lengths differ or a value is not finite.

    Source: see ``paired_difference``, ``mcnemar`` and ``adjust``.
    """
    check_differences(candidate, baseline)
    new, old = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if clusters is not None and len(clusters) != len(new):
        raise ValueError(f"{len(clusters)} cluster labels for {len(new)} items; one per item is needed")
    found = [_compare(name, new, old, places, clusters, confidence) for name, places in segments.items()]
    tested = [place for place, segment in enumerate(found) if segment.p_value is not None]
    if tested:
        p_values = [segment.p_value for segment in found if segment.p_value is not None]
        adjusted = adjust(p_values, method=method, alpha=alpha)
        for place, p_value, stands_out in zip(tested, adjusted.adjusted, adjusted.rejected, strict=True):
            found[place] = replace(found[place], adjusted_p=p_value, stands_out=stands_out)
    return tuple(found)


def _compare(
    name: str,
    new: FloatArray,
    old: FloatArray,
    places: Sequence[int],
    clusters: Clusters | None,
    confidence: float,
) -> SegmentDifference:
    chosen = np.asarray(places, dtype=np.intp)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(new) or len(np.unique(chosen)) < len(chosen)):
        raise ValueError(f"segment {name!r} has a position twice, or one that is not among the {len(new)} items")
    labels = None if clusters is None else [clusters[place] for place in places]
    units = len(chosen) if labels is None else len(set(labels))
    unknown = SegmentDifference(
        segment=name,
        estimate=float(np.mean(new[chosen] - old[chosen])) if len(chosen) else None,
        low=None,
        high=None,
        confidence=confidence,
        method="t" if labels is None else "cr1_t",
        p_value=None,
        adjusted_p=None,
        stands_out=False,
        n=len(chosen),
        n_clusters=None if labels is None else units,
        warnings=(f"only {units} {'items' if labels is None else 'clusters'}: no spread can be estimated",),
    )
    if units < 2:
        return unknown
    result = paired_difference(new[chosen], old[chosen], labels, confidence=confidence)
    p_value = _p_value(new[chosen] - old[chosen], result)
    return replace(unknown, low=result.low, high=result.high, p_value=p_value, warnings=result.warnings)


def _p_value(differences: FloatArray, result: MeanInterval) -> float:
    if result.n_clusters is None and bool(np.isin(differences, (-1.0, 0.0, 1.0)).all()):
        return mcnemar(int((differences > 0).sum()), int((differences < 0).sum())).p_mid
    return t_p_value(result)
