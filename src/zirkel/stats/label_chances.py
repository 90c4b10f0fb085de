"""How probable it should be that an item is labelled, so that labels go where a judge errs most."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zirkel.stats.samples import FloatArray, Samples, check_samples

FEWEST_LABELS = 20
"""With fewer labels nothing is known about where the judge errs: every item is as good as any other."""
UNIFORM_PART = 0.25
"""Of each item's chance that does not depend on what is known, so that no label gets an enormous weight."""
PRIOR_LABELS = 5.0
"""How many labels of average error each stratum starts with."""
MOST_STRATA = 9
BINS = 5


def label_chances(
    judged: Samples,
    labels: Sequence[float | None],
    n_labels: float,
    *,
    judged_baseline: Samples | None = None,
    inclusion: Samples | None = None,
) -> FloatArray:
    """Return with which probability each item should be labelled, for the narrowest interval of ``ppi_mean``.

    The variance that labels leave is ``sum e_i^2 (1 / p_i - 1) / M^2``, with e the difference of label and scaled score
    and p the chance of being labelled; it is smallest with p in proportion to the size of e. That size is estimated
    for strata of items with like scores from the labels there are, drawn towards the average error, and a quarter of
    each chance is the same for all. With fewer than 20 labels all chances are equal.

    ``label_priorities`` draws the sample too; this is for those who draw it in their own way.

    Args:
        judged: The judge's score of each item; for a paired gate the candidate's.
        labels: The label of each item, None without; for a paired gate candidate's minus baseline's label.
        n_labels: Labels wanted in total, above 0; the chances sum to it, or to all items.
        judged_baseline: For a paired gate, the judge's score of the baseline's answer to each item.
        inclusion: The probability with which each label there is was drawn; None if they were equal.

    Raises:
        ValueError: If a bound above is broken or lengths do not fit.

    Source: Zrnic and Candes (2024), Active Statistical Inference, arXiv:2403.03208, section 3; Neyman (1934), JRSS
        97(4), 558-625.
    """
    scores = check_samples(judged, "judged")
    n = len(scores)
    baseline = None if judged_baseline is None else check_samples(judged_baseline, "judged_baseline")
    before = np.ones(n) if inclusion is None else check_samples(inclusion, "inclusion")
    if len({n, len(labels), len(before), n if baseline is None else len(baseline)}) != 1 or not n:
        raise ValueError(f"{n} scores, {len(labels)} labels, {len(before)} chances; all must cover the same items")
    if not n_labels > 0:
        raise ValueError(f"n_labels is {n_labels}; it must be above 0")
    is_labelled = np.array([label is not None for label in labels])
    if is_labelled.any() and not (np.min(before[is_labelled]) > 0 and np.max(before) <= 1):
        raise ValueError("inclusion must be above 0 where there is a label, and at most 1")
    values = check_samples([label for label in labels if label is not None], "labels")
    return _capped(chance_sizes(error_sizes(scores, baseline, values, is_labelled, before), n), n_labels)


def chance_sizes(errors: FloatArray | None, n: int) -> FloatArray:
    """Return what the chances of n items are in proportion to, 1 on average; all 1 if errors are not known."""
    return np.ones(n) if errors is None else UNIFORM_PART + (1 - UNIFORM_PART) * errors / np.mean(errors)


def error_sizes(
    scores: FloatArray,
    baseline: FloatArray | None,
    values: FloatArray,
    is_labelled: NDArray[np.bool_],
    before: FloatArray,
) -> FloatArray | None:
    """Return how far label and scaled score are apart in each item's stratum; None as long as that is not known.

    Args:
        scores: The judge's, of each item.
        baseline: The judge's of the baseline's answer to each item, for a paired metric.
        values: The labels, in the order of the items that have one.
        is_labelled: Which items have a label.
        before: The chance each item had to have one, above 0 where it has.
    """
    if len(values) < FEWEST_LABELS:
        return None
    metric = scores if baseline is None else scores - baseline
    weights = 1 / before[is_labelled]
    weights = weights / weights.sum()
    seen = metric[is_labelled]
    spread = float(np.var(metric))
    centred = values - weights @ values
    slope = float(weights @ (centred * seen)) / spread if spread > 0 else 0.0
    residuals = values - min(max(slope, 0.0), 1.0) * seen
    squares = (residuals - weights @ residuals) ** 2
    average = float(weights @ squares)
    if average <= 0:
        return None
    strata = _strata(scores, baseline)
    sums = np.bincount(strata[is_labelled], squares, strata.max() + 1)
    counts = np.bincount(strata[is_labelled], minlength=strata.max() + 1)
    return np.asarray(np.sqrt((sums + PRIOR_LABELS * average) / (counts + PRIOR_LABELS))[strata])


def _strata(scores: FloatArray, baseline: FloatArray | None) -> NDArray[np.intp]:
    """Return the stratum of each item: its score, or both scores; in fifths of the metric if there are many."""
    columns = scores[:, None] if baseline is None else np.stack([scores, baseline], axis=1)
    distinct, codes = np.unique(columns, axis=0, return_inverse=True)
    if len(distinct) <= MOST_STRATA:
        return np.asarray(codes, dtype=np.intp).ravel()
    metric = scores if baseline is None else scores - baseline
    edges = np.unique(np.quantile(metric, np.arange(1, BINS) / BINS))
    return np.asarray(np.searchsorted(edges, metric, side="left"), dtype=np.intp)


def _capped(sizes: FloatArray, total: float) -> FloatArray:
    """Return chances in proportion to ``sizes``, at most 1, that sum to ``total``."""
    chances = np.ones(len(sizes))
    free = np.ones(len(sizes), dtype=bool)
    while free.any() and total < len(sizes):
        # What is cut off at 1 goes to the others, which can bring more of them to 1.
        scaled = sizes * (total - np.count_nonzero(~free)) / float(np.sum(sizes[free]))
        over = free & (scaled > 1)
        if not over.any():
            return np.asarray(np.where(free, scaled, 1.0))
        free &= ~over
    return chances
