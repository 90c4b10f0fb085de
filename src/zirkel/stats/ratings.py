"""Ratings of the same items by several raters, with gaps, as a table of counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zirkel.stats.samples import FloatArray, check_finite

Rating = str | int | float | bool
RatingMatrix = Sequence[Sequence[Rating | None]]
"""One row per rater, one column per item; None where a rater did not rate."""
Scale = Literal["nominal", "ordinal", "interval", "ratio"]
"""What differences between ratings mean: nothing, an order, a distance, a proportion."""
Weights = Literal["identity", "linear", "quadratic"]
"""How much two ratings agree: all or nothing, or less by (the square of) their distance."""

MOST_CATEGORIES = 1000


@dataclass(frozen=True, slots=True)
class RatingTable:
    """Ratings as codes of ordered categories."""

    codes: NDArray[np.intp]
    """Raters x items; -1 where there is no rating. Every item has at least one."""
    categories: tuple[Rating, ...]
    positions: FloatArray
    """Of each category on the scale: its number for interval and ratio scales, else its place in the order."""
    scale: Scale
    kept: NDArray[np.intp]
    """Which items of the matrix these are: those with a rating."""
    counts: FloatArray
    """How many raters put each item (row) into each category (column)."""

    @property
    def paired(self) -> NDArray[np.bool_]:
        """Which items have at least two ratings."""
        return np.asarray(self.counts.sum(axis=1) >= 2)

    def one_hot(self) -> FloatArray:
        """Return 1 where a rater put an item into a category: raters x items x categories."""
        return np.asarray(self.codes[:, :, None] == np.arange(len(self.categories)), dtype=np.float64)

    def weights(self, kind: Weights) -> FloatArray:
        """Return how much each two categories agree, 0 to 1.

        Source: Cohen (1968), Psychological Bulletin 70(4), 213-220.
        """
        if kind == "identity":
            return np.eye(len(self.categories))
        distance = np.abs(self.positions[:, None] - self.positions)
        share = distance / max(float(np.max(distance)), np.finfo(float).tiny)
        return np.asarray(1 - share if kind == "linear" else 1 - share**2)


def rating_table(ratings: RatingMatrix, scale: Scale, categories: Sequence[Rating] | None = None) -> RatingTable:
    """Return the ratings as a table; items that nobody rated are left out.

    Args:
        ratings: One row per rater, at least 2, all of the same length; None where a rater did not rate.
        scale: Of an ordinal scale the categories must be numbers, or ``categories`` gives their order. Interval and
            ratio scales need numbers, ratio scales none below 0.
        categories: All ratings that were possible, in order, also those that nobody gave. None takes the ones given.

    Raises:
        ValueError: If a bound above is broken, or there are more than 1000 categories.
    """
    rows = [list(row) for row in ratings]
    if len(rows) < 2 or len({len(row) for row in rows}) != 1:
        raise ValueError(f"{len(rows)} raters; at least 2 are needed, each with one rating or None per item")
    found = {value for row in rows for value in row if value is not None}
    order = tuple(categories) if categories is not None else _in_order(found, scale)
    if len(set(order)) != len(order):
        raise ValueError(f"categories are {order!r}; each must be given once")
    strange = sorted(map(str, found - set(order)))
    if strange:
        raise ValueError(f"ratings {', '.join(strange[:5])} are not among the categories {order!r}")
    if len(order) > MOST_CATEGORIES:
        raise ValueError(f"{len(order)} different ratings; at most {MOST_CATEGORIES} can be compared: round them")
    place = {value: code for code, value in enumerate(order)}
    codes = np.array([[-1 if v is None else place[v] for v in row] for row in rows], dtype=np.intp)
    kept = np.flatnonzero((codes >= 0).any(axis=0))
    codes = codes[:, kept]
    counts = np.zeros((len(kept), len(order)))
    for row in codes:
        rated = np.flatnonzero(row >= 0)
        counts[rated, row[rated]] += 1
    return RatingTable(codes, order, _positions(order, scale), scale, kept, counts)


def _in_order(found: set[Rating], scale: Scale) -> tuple[Rating, ...]:
    if all(isinstance(value, int | float) for value in found):
        return tuple(sorted(found, key=float))
    if scale == "nominal":
        return tuple(sorted(found, key=str))
    raise ValueError(f"ratings are words, which have no order: give categories in the order of the {scale} scale")


def _positions(order: Sequence[Rating], scale: Scale) -> FloatArray:
    if scale in ("nominal", "ordinal"):
        return np.arange(len(order), dtype=np.float64)
    words = [value for value in order if isinstance(value, str)]
    if words:
        raise ValueError(f"rating {words[0]!r} is no number; an {scale} scale has numbers only")
    positions = np.array(order, dtype=np.float64)
    check_finite(positions, "categories")
    if scale == "ratio" and np.any(positions < 0):
        raise ValueError(f"rating {np.min(positions):g} is below 0; a ratio scale has no such values")
    return positions
