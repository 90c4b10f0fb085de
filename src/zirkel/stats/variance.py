"""Where the variance of scores comes from: the items, or repeated trials of one item."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from zirkel.stats.result import Result
from zirkel.stats.samples import FloatArray, check_finite, check_samples

Trials = Sequence[Sequence[float]] | FloatArray
"""The scores of each item's trials: shape (n items, K trials), or lists of unequal length."""

NOT_APART = "the items differ less than repeated trials do: the variance between items cannot be told from 0"


@dataclass(frozen=True, slots=True)
class VarianceComponents(Result):
    """Where the variance of a score comes from: the items, or repeated trials of one item."""

    between: float
    """Variance of the items' true means; more items average it out, more trials do not."""
    within: float
    """Variance of repeated trials of one item, averaged over items."""
    standard_error: float
    """Of the mean over items, each the mean of its trials."""
    n: int
    """Number of items."""
    n_trials: float
    """Trials per item; the harmonic mean, if items have different numbers of them."""
    warnings: tuple[str, ...] = ()

    def standard_error_at(self, n_trials: int, n: int | None = None) -> float:
        """Return the standard error to expect with other numbers of trials per item and of independent items.

        Args:
            n_trials: Trials per item, at least 1.
            n: Items, at least 1; as many as there were, if None.

        Raises:
            ValueError: If a number is below 1.
        """
        items = self.n if n is None else n
        if min(n_trials, items) < 1:
            raise ValueError(f"{n_trials} trials of {items} items; at least 1 of each is needed")
        return math.sqrt((self.between + self.within / n_trials) / items)


@dataclass(frozen=True, slots=True)
class PairedVarianceComponents(Result):
    """Where the variance of a paired difference comes from; the input of a plan."""

    between: float
    """Variance of the items' true differences (omega squared)."""
    within_candidate: float | None
    """Variance of repeated trials of one item; None if there was one trial each, so that it is part of ``between``."""
    within_baseline: float | None
    standard_error: float
    """Of the mean difference, items taken as independent."""
    n: int
    """Number of items."""
    warnings: tuple[str, ...] = ()


def variance_components(scores: Trials) -> VarianceComponents:
    """Return how much of the variance lies between items and how much within items (between trials).

    One-way analysis of variance: ``within`` is the mean square within items, ``between`` is the variance of the items'
    means less ``within / K``, not below 0. The variance of the overall mean with K trials per item is
    ``(between + within / K) / n``. Where trials are missing, K is their harmonic mean and each item keeps its weight.

    Args:
        scores: Shape (n items, K trials), n at least 2, or a list of trials per item, each with at least 1 and one of
            them with at least 2.

    Raises:
        ValueError: If the shape is another or a value is not finite.

    Source: Miller (2024), arXiv:2411.00640, section 3; Searle, Casella and McCulloch (1992), Variance Components,
        chapter 3 (unweighted means).
    """
    flat, sizes = _flatten(scores, "scores")
    if len(sizes) < 2 or sizes.max() < 2:
        raise ValueError(f"{_shape(sizes)}; at least 2 items with at least 2 trials each are needed")
    means, within = _means_and_within(flat, sizes)
    of_means = float(np.var(means, ddof=1))
    share = float(np.mean(1 / sizes))
    between = of_means - (within or 0.0) * share
    return VarianceComponents(
        between=max(between, 0.0),
        within=within or 0.0,
        standard_error=math.sqrt(of_means / len(sizes)),
        n=len(sizes),
        n_trials=1 / share,
        warnings=() if between >= 0 else (NOT_APART,),
    )


def paired_variance_components(candidate: Trials, baseline: Trials) -> PairedVarianceComponents:
    """Return the variance components of ``candidate - baseline`` over the same items.

    ``between`` is the variance of the differences of item means, less what the trials of both sides add to it, not
    below 0.

    Args:
        candidate: Trials of each item, at least 1 per item, at least 2 items; lists may differ in length.
        baseline: The same items in the same order, with their own numbers of trials.

    Raises:
        ValueError: If a bound above is broken or a value is not finite.

    Source: Miller (2024), arXiv:2411.00640, section 5.
    """
    new, new_sizes = _flatten(candidate, "candidate")
    old, old_sizes = _flatten(baseline, "baseline")
    if len(new_sizes) != len(old_sizes):
        raise ValueError(f"{len(new_sizes)} candidate and {len(old_sizes)} baseline items; both must be the same items")
    if len(new_sizes) < 2:
        raise ValueError(f"{_shape(new_sizes)}; a variance between items needs at least 2")
    new_means, within_new = _means_and_within(new, new_sizes)
    old_means, within_old = _means_and_within(old, old_sizes)
    of_means = float(np.var(new_means - old_means, ddof=1))
    from_trials = (within_new or 0.0) * float(np.mean(1 / new_sizes)) + (within_old or 0.0) * float(
        np.mean(1 / old_sizes)
    )
    between = of_means - from_trials
    return PairedVarianceComponents(
        between=max(between, 0.0),
        within_candidate=within_new,
        within_baseline=within_old,
        standard_error=math.sqrt(of_means / len(new_sizes)),
        n=len(new_sizes),
        warnings=() if between >= 0 else (NOT_APART,),
    )


def _flatten(scores: Trials, name: str) -> tuple[FloatArray, NDArray[np.intp]]:
    """Return all scores in one row and the number of trials of each item."""
    if isinstance(scores, np.ndarray):
        if scores.ndim != 2 or scores.shape[1] < 1:
            raise ValueError(
                f"{name} has shape {scores.shape}; at least 2 items with at least 2 trials each are needed"
            )
        array = np.asarray(scores, dtype=np.float64)
        check_finite(array, name)
        return array.ravel(), np.full(len(array), array.shape[1], dtype=np.intp)
    sizes = np.fromiter((len(trials) for trials in scores), dtype=np.intp, count=len(scores))
    if len(sizes) and sizes.min() < 1:
        raise ValueError(f"{name}[{int(np.argmin(sizes))}] has no trial; leave out items without a score")
    flat = np.fromiter(chain.from_iterable(scores), dtype=np.float64, count=int(sizes.sum()))
    return check_samples(flat, name), sizes


def _means_and_within(flat: FloatArray, sizes: NDArray[np.intp]) -> tuple[FloatArray, float | None]:
    """Return the items' means and the variance within items; None if every item has one trial."""
    means = np.add.reduceat(flat, np.cumsum(sizes) - sizes) / sizes
    spare = len(flat) - len(sizes)
    if spare == 0:
        return means, None
    return means, float(np.sum((flat - np.repeat(means, sizes)) ** 2)) / spare


def _shape(sizes: NDArray[np.intp]) -> str:
    return f"{len(sizes)} items with at most {int(sizes.max()) if len(sizes) else 0} trials"
