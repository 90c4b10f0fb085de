"""Which items people should label next, so that an interval narrows most and labelled items stay a random sample."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zirkel.stats.label_chances import FEWEST_LABELS, chance_sizes, error_sizes
from zirkel.stats.report import Report
from zirkel.stats.samples import Clusters, FloatArray, Samples, check_clusters, check_samples


@dataclass(frozen=True, slots=True)
class LabelPriorities(Report):
    """The order in which to label, and the chance that each item had."""

    order: tuple[int, ...]
    """Places of all unlabelled items, the one to label first at the front. Skipping items makes the sample biased."""
    n_next: int
    """How many of them the numbers below suppose to be labelled: the budget, or all there are."""
    inclusion: tuple[float, ...]
    """Of every item, the probability that it is labelled after the next ``n_next``; for ``ppi_mean(inclusion=…)``."""
    label_error_now: float | None
    """The part of the standard error that more labels can take away; None as long as there are too few labels."""
    label_error_next: float | None
    """The same after the next ``n_next`` labels, as expected."""
    warnings: tuple[str, ...] = ()


def label_priorities(
    judged: Samples,
    labels: Sequence[float | None],
    numbers: Samples,
    *,
    n_next: int,
    judged_baseline: Samples | None = None,
    inclusion: Samples | None = None,
    clusters: Clusters | None = None,
) -> LabelPriorities:
    """Return which items to label next, for the interval of ``ppi_mean`` or ``ppi_difference``.

    Chances are those of ``label_chances``: labels go where the judge errs most, as far as the labels there are can
    tell; with fewer than 20 the order is a random one.

    Each item keeps one random number for good. Items are labelled in the order of number over chance, so at every
    moment those below a threshold are labelled, and the chance to be below it is known: the sample stays a probability
    sample however far one gets, and when the chances are computed anew after more labels. Labels whose item had no
    chance (``inclusion`` 0) stand for themselves alone. Within a cluster the numbers are spread evenly, so that few of
    its items come up together.

    Args:
        judged: The judge's score of each item; for a paired gate the candidate's.
        labels: The label of each item, None without; for a paired gate candidate's minus baseline's label.
        numbers: One random number per item, above 0 and below 1, e.g. from a hash of seed and item id. Never drawn
            anew: give the same ones each time.
        n_next: How many labels come next, at least 1. If people stop earlier, call this again with the same labels and
            the number they gave, for the ``inclusion`` that is true then.
        judged_baseline: For a paired gate, the judge's score of the baseline's answer to each item.
        inclusion: What this function returned before, None if it was not called before.
        clusters: One label per item, for items that share a source. The same each time.

    Raises:
        ValueError: If a bound above is broken, lengths do not fit or there is no unlabelled item.

    Source: allocation: Zrnic and Candes (2024), Active Statistical Inference, arXiv:2403.03208, section 3 (Neyman,
        1934); order: Duffield, Lund and Thorup (2007), Journal of the ACM 54(6), 32 (priority sampling); permanent
        numbers: Ohlsson (1995), in Business Survey Methods, chapter 9; even spread: Brewer, Early and Hanif (1984),
        JSPI 10, 15-30 (collocated sampling). Chances that were adapted to earlier labels make it approximate.
    """
    scores = check_samples(judged, "judged")
    n = len(scores)
    baseline = None if judged_baseline is None else check_samples(judged_baseline, "judged_baseline")
    before = np.zeros(n) if inclusion is None else check_samples(inclusion, "inclusion")
    drawn = check_samples(numbers, "numbers")
    _check(n, len(labels), drawn, before, baseline, n_next)
    is_labelled = np.array([label is not None for label in labels])
    if is_labelled.all():
        raise ValueError("every item has a label; there is nothing to label next")
    before = np.where(is_labelled & (before == 0), 1.0, before)
    values = check_samples([label for label in labels if label is not None], "labels")
    errors = error_sizes(scores, baseline, values, is_labelled, before)
    sizes = chance_sizes(errors, n)
    keys = (drawn if clusters is None else _spread(drawn, check_clusters(clusters, n))) / sizes
    waiting = np.flatnonzero(~is_labelled)
    order = waiting[np.lexsort((waiting, keys[waiting]))]
    # Below the first key that is left over everything is labelled; with nothing left over, everything there is.
    threshold = float(keys[order[n_next]]) if n_next < len(order) else math.inf
    after = np.maximum(before, np.minimum(1.0, threshold * sizes))
    return LabelPriorities(
        order=tuple(int(place) for place in order),
        n_next=min(n_next, len(order)),
        inclusion=tuple(float(chance) for chance in after),
        label_error_now=None if errors is None else _label_error(errors, before),
        label_error_next=None if errors is None else _label_error(errors, after),
        warnings=()
        if errors is not None
        else (f"{len(values)} labels: with fewer than {FEWEST_LABELS}, or labels all alike, the order is random",),
    )


def _spread(numbers: FloatArray, codes: NDArray[np.intp]) -> FloatArray:
    """Return numbers that are each still uniform, but evenly apart within a cluster.

    The order within a cluster and the fraction of the sum of its numbers are independent of each other, so the two
    together make one uniform number per item.
    """
    order = np.lexsort((numbers, codes))
    sizes = np.bincount(codes)
    ranks = np.empty(len(numbers))
    ranks[order] = np.arange(len(numbers)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    start = np.bincount(codes, numbers) % 1.0
    # A number of exactly 0 would come first whatever its chance.
    return np.asarray(np.maximum((ranks + start[codes]) / sizes[codes], np.finfo(float).tiny))


def _label_error(errors: FloatArray, chances: FloatArray) -> float | None:
    """Return the standard error that labelling by these chances leaves; None if some item has no chance yet."""
    if np.min(chances) <= 0:
        return None
    return math.sqrt(float(np.sum(errors**2 * (1 / chances - 1)))) / len(errors)


def _check(
    n: int, n_labels: int, numbers: FloatArray, before: FloatArray, baseline: FloatArray | None, n_next: int
) -> None:
    lengths = {n, n_labels, len(numbers), len(before), n if baseline is None else len(baseline)}
    if len(lengths) != 1 or not n:
        raise ValueError(f"scores, labels, numbers and chances of {sorted(lengths)} items; all must cover the same")
    if not (np.min(numbers) > 0 and np.max(numbers) < 1):
        raise ValueError("numbers must lie between 0 and 1, both excluded")
    if not (np.min(before) >= 0 and np.max(before) <= 1):
        raise ValueError("inclusion must lie between 0 and 1")
    if n_next < 1:
        raise ValueError(f"n_next is {n_next}; at least 1 item is labelled next")
