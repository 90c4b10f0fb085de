"""What a judge can be asked for at most: to agree with people as often as people agree with each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zirkel.stats.mean import mean_interval
from zirkel.stats.paired import paired_difference
from zirkel.stats.ratings import Rating, RatingMatrix, Scale, Weights, rating_table
from zirkel.stats.report import Report
from zirkel.stats.result import MeanInterval
from zirkel.stats.samples import Clusters


@dataclass(frozen=True, slots=True)
class HumanCeiling(Report):
    """Agreement of people with each other and of a judge with people, on the same items. 1 is perfect."""

    human: MeanInterval
    """How often two people agree."""
    judge: MeanInterval
    """How often the judge agrees with one person."""
    difference: MeanInterval
    """Judge minus human: 0 or above means that the judge is as good as one more person."""


def human_ceiling(
    judged: Sequence[Rating | None],
    people: RatingMatrix,
    scale: Scale = "nominal",
    *,
    categories: Sequence[Rating] | None = None,
    clusters: Clusters | None = None,
    confidence: float = 0.95,
) -> HumanCeiling:
    """Return the judge's agreement with people beside people's agreement with each other.

    Only items that the judge and at least two people rated count. On an ordinal scale ratings agree less by their
    distance, on interval and ratio scales by its square.

    Args:
        judged: The judge's rating of each item; None where there is none.
        people: One row per person (at least 2), one column per item; None where a person did not rate.
        scale: What differences between ratings mean.
        categories: All ratings that were possible, in order.
        clusters: One label per item, for items that share a source.
        confidence: Two-sided coverage as a fraction (0.95, not 95).

    Raises:
        ValueError: If a bound above is broken, or fewer than 2 items can be compared.

    Source: Zheng et al. (2023), arXiv:2306.05685, section 4.2 (agreement of judge and people beside that of people).
    """
    if any(len(row) != len(judged) for row in people):
        raise ValueError(f"{len(judged)} verdicts of the judge; each person needs one rating or None per verdict")
    table = rating_table([judged, *people], scale, categories)
    kind: Weights = "identity" if scale == "nominal" else "linear" if scale == "ordinal" else "quadratic"
    weights = table.weights(kind)
    verdicts = table.codes[0]
    counts = table.counts.copy()
    rated = np.flatnonzero(verdicts >= 0)
    counts[rated, verdicts[rated]] -= 1
    sizes = counts.sum(axis=1)
    used = np.flatnonzero((verdicts >= 0) & (sizes >= 2))
    counts, sizes, verdicts = counts[used], sizes[used], verdicts[used]
    human = (counts * (counts @ weights - 1)).sum(axis=1) / (sizes * (sizes - 1))
    judge = (counts * weights[verdicts]).sum(axis=1) / sizes
    kept = None if clusters is None else [clusters[int(table.kept[place])] for place in used]
    return HumanCeiling(
        human=mean_interval(human, kept, confidence=confidence),
        judge=mean_interval(judge, kept, confidence=confidence),
        difference=paired_difference(judge, human, kept, confidence=confidence),
    )
