"""Items that a judge scored, some of which people labelled: a mean of both, and what each item adds to its error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zirkel.stats.samples import Clusters, FloatArray, Samples, check_clusters, check_samples

ROUNDING = 1e-12
"""A spread below this fraction of the largest value is rounding noise."""


@dataclass(frozen=True, slots=True)
class JudgedPool:
    """All items, the labelled ones first."""

    labels: FloatArray
    judged: FloatArray
    """Of all items: n labelled, then N others."""
    shares: FloatArray
    """The weight of each label in their mean; they sum to 1."""
    codes: NDArray[np.intp] | None
    is_weighted: bool
    extremes: tuple[tuple[float, float], ...]
    """A label and a score that are as far apart as can be, in both directions; none if that is not known."""

    @property
    def unit(self) -> float:
        """The weight in here of what the papers call 1.

        In here the judge's mean is over all items; in the papers, for labels drawn with equal probability, over those
        without a label.
        """
        n, n_all = len(self.labels), len(self.judged)
        return 1.0 if self.is_weighted or n == n_all else n_all / (n_all - n)

    def residuals(self, weight: float) -> FloatArray:
        """Return what the labels say that the judge's scores, times ``weight``, do not."""
        return self.labels - weight * self.judged[: len(self.labels)]

    def estimate(self, weight: float) -> float:
        """Return the mean label over all items."""
        return float(self.shares @ self.residuals(weight) + weight * np.mean(self.judged))

    def parts(self, weight: float) -> FloatArray:
        """Return what each item adds to the error of the estimate."""
        parts = weight * (self.judged - np.mean(self.judged)) / len(self.judged)
        residuals = self.residuals(weight)
        parts[: len(self.labels)] += self.shares * (residuals - self.shares @ residuals)
        return parts

    def variance(self, weight: float, codes: NDArray[np.intp] | None) -> float:
        """Return the sum of squared parts, of items or of clusters, before any correction for few."""
        parts = self.parts(weight)
        sums = parts if codes is None else np.bincount(codes, weights=parts)
        return float(sums @ sums)

    def smoothing(self, weight: float) -> float:
        """Return the variance that half a label of either extreme adds."""
        centre = float(self.shares @ self.residuals(weight))
        distances = [(label - weight * score - centre) ** 2 for label, score in self.extremes]
        return 0.5 * sum(distances) * float(self.shares @ self.shares) / len(self.labels)

    def tuned_weight(self) -> float:
        """Return the weight that makes the variance smallest, not below 0 and not above ``unit``.

        Source: Angelopoulos, Duchi and Zrnic (2023), PPI++, arXiv:2311.01453, section 6.
        """
        if np.ptp(self.judged) <= ROUNDING * float(np.max(np.abs(self.judged))) or len(self.labels) == len(self.judged):
            return 0.0
        if self.is_weighted:
            of_labels = self.parts(0.0)
            of_judge = of_labels - self.parts(1.0)
            gain, spread = float(of_labels @ of_judge), float(of_judge @ of_judge)
        else:
            judged = self.judged[: len(self.labels)]
            gain = float(np.mean((self.labels - np.mean(self.labels)) * (judged - np.mean(judged))))
            spread = float(np.var(self.judged, ddof=1))
        return min(max(gain / spread, 0.0), self.unit) if spread > 0 else 0.0

    def independent_labels(self) -> float:
        """Return how many labels there are, counting clusters with labels, and unequal weights as Kish does."""
        if self.codes is None:
            return 1 / float(self.shares @ self.shares)
        return float(len(np.unique(self.codes[: len(self.labels)])))


def judged_pool(
    labels: Samples, judged: Samples, others: Samples, inclusion: Samples | None, clusters: Clusters | None
) -> JudgedPool:
    """Return the items, checked.

    Args:
        labels: Of the labelled items, at least 2.
        judged: The judge's scores of the labelled items.
        others: The judge's scores of the other items.
        inclusion: The probability with which each label's item was drawn, or None if they are equal.
        clusters: One label per item, labelled ones first; at least 2 of them with labels.

    Raises:
        ValueError: If a bound above is broken, lengths do not fit or a value is not finite.
    """
    known = check_samples(labels, "labels")
    scores = check_samples(judged, "judged")
    rest = check_samples(others, "judged_unlabelled")
    n = len(known)
    if len(scores) != n:
        raise ValueError(f"{n} labels and {len(scores)} scores of the judge; both must cover the same items")
    if n < 2:
        raise ValueError(f"{n} labels; the spread of a mean needs at least 2")
    shares = np.full(n, 1 / n)
    if inclusion is not None:
        chances = check_samples(inclusion, "inclusion")
        if len(chances) != n or not (np.min(chances) > 0 and np.max(chances) <= 1):
            raise ValueError(f"inclusion needs a probability above 0, at most 1, for each of {n} labels")
        shares = 1 / chances / float(np.sum(1 / chances))
    codes = None if clusters is None else check_clusters(clusters, n + len(rest))
    if codes is not None and len(np.unique(codes[:n])) < 2:
        raise ValueError("all labels are of one cluster; the spread between clusters needs at least 2")
    return JudgedPool(known, np.concatenate([scores, rest]), shares, codes, inclusion is not None, _extremes(known))


def _extremes(labels: FloatArray) -> tuple[tuple[float, float], ...]:
    """Return the two errors a judge of pass/fail items can make; nothing for other labels."""
    return ((1.0, 0.0), (0.0, 1.0)) if set(np.unique(labels)) <= {0.0, 1.0} else ()
