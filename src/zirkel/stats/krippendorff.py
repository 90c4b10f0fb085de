"""Krippendorff's alpha: agreement beyond chance for any number of raters, with gaps, on any scale."""

import numpy as np
from numpy.typing import NDArray

from zirkel.stats.ratings import RatingTable
from zirkel.stats.samples import FloatArray


def krippendorff_alpha(table: RatingTable) -> tuple[float, float, FloatArray] | None:
    """Return alpha, the disagreement expected by chance, and each item's influence on alpha.

    Alpha is ``1 - (N - 1) * observed / expected`` over the N ratings of items that have at least two:
    ``observed = sum o_ck d_ck`` over coincidences, ``expected = sum n_c n_k d_ck`` over all ratings, ``d`` the scale's
    squared difference. The expected disagreement that is returned is a share of the largest difference, 0 to 1. The
    influence is ``n`` times the derivative of alpha in the item's weight, 0 for an item with one rating.

    Returns:
        None if there are no two ratings that differ, so that alpha is not defined.

    Source: Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, departmental paper 43, section E.
    """
    counts = table.counts
    paired = table.paired
    items = counts[paired]
    totals = items.sum(axis=0)
    scores = _midranks(totals) if table.scale == "ordinal" else table.positions
    difference = _squared_differences(scores, table)
    expected = float(totals @ difference @ totals)
    if expected <= 0:
        return None
    sizes, n_ratings = items.sum(axis=1), float(totals.sum())
    per_item = np.einsum("ic,ic->i", items @ difference, items) / (sizes - 1)
    observed = float(per_item.sum())
    d_observed, d_expected = per_item, 2 * items @ (difference @ totals)
    if table.scale == "ordinal":
        # The scale itself, the midranks, moves with the weight of an item.
        moved = _midranks(items)
        d_observed = d_observed + moved @ _pull(_coincidences(items, sizes), scores)
        d_expected = d_expected + moved @ _pull(np.outer(totals, totals), scores)
    ratio = observed / expected
    influence = np.zeros(len(counts))
    influence[paired] = -len(counts) * (sizes * ratio + (n_ratings - 1) * (d_observed - ratio * d_expected) / expected)
    chance = expected / (n_ratings * (n_ratings - 1) * float(np.max(difference)))
    return 1 - (n_ratings - 1) * ratio, min(chance, 1.0), influence


def _squared_differences(scores: FloatArray, table: RatingTable) -> FloatArray:
    """Return how much two ratings differ on the scale, for each two categories."""
    if table.scale == "nominal":
        return 1 - np.eye(len(scores))
    distance = scores[:, None] - scores
    if table.scale == "ratio":
        total = scores[:, None] + scores
        return np.asarray(np.divide(distance, total, out=np.zeros_like(distance), where=total > 0) ** 2)
    return np.asarray(distance**2)


def _midranks(totals: FloatArray) -> FloatArray:
    """Return the middle rank of each category (last axis), from how often each was given.

    The ordinal difference, the number of ratings between two categories with half of each end, is the difference of
    their middle ranks.
    """
    return np.asarray(np.cumsum(totals, axis=-1) - totals / 2)


def _coincidences(items: FloatArray, sizes: FloatArray) -> FloatArray:
    """Return how often each two categories were given to the same item (each item counts as its number of ratings)."""
    weights = 1 / (sizes - 1)
    return np.asarray((items * weights[:, None]).T @ items - np.diag(weights @ items))


def _pull(pairs: FloatArray, scores: FloatArray) -> NDArray[np.float64]:
    """Return the derivative of ``sum pairs_ck (x_c - x_k)^2`` in the scores x, for symmetric pairs."""
    return np.asarray(4 * (scores * pairs.sum(axis=1) - pairs @ scores))
