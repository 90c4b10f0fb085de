"""Input of the statistics: arrays of finite numbers, cluster labels and fractions, checked once here."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Samples = Sequence[float] | FloatArray
"""One number per item."""
Clusters = Sequence[str | int] | NDArray[np.int64]
"""One label per item; items that share a source (document, conversation, user) share a label."""
Alternative = Literal["two-sided", "greater", "less"]
"""What a test looks for: a mean other than the null, above it, or below it."""

LARGEST_VALUE = 1e100
"""Beyond this a sum of squares can overflow."""


def check_samples(values: Samples, name: str) -> FloatArray:
    """Return ``values`` as a float array of shape (n,).

    Raises:
        ValueError: If it is not one-dimensional, or a value is not finite or larger than 1e100 in size.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} dimensions; one number per item is needed")
    check_finite(array, name)
    return array


def check_differences(candidate: Samples, baseline: Samples) -> tuple[FloatArray, float]:
    """Return ``candidate - baseline`` of shape (n,), and the size of the numbers it was computed from.

    Raises:
        ValueError: If the lengths differ, or a value is not finite.
    """
    new, old = check_samples(candidate, "candidate"), check_samples(baseline, "baseline")
    if len(new) != len(old):
        raise ValueError(f"{len(new)} candidate values and {len(old)} baseline values; both must cover the same items")
    scale = float(max(np.max(np.abs(new)), np.max(np.abs(old)))) if len(new) else 0.0
    return new - old, scale


def check_finite(array: FloatArray, name: str) -> None:
    """Return if all numbers of ``array`` can be computed with.

    Raises:
        ValueError: If one is NaN, infinite or larger than 1e100 in size; the message names the first.
    """
    bad = np.argwhere(~(np.abs(array) <= LARGEST_VALUE))
    if len(bad):
        place = ", ".join(str(i) for i in bad[0])
        raise ValueError(
            f"{name}[{place}] is {array[tuple(bad[0])]}; every value must be a finite number: leave out unscored items"
        )


def check_clusters(clusters: Clusters, n: int) -> NDArray[np.intp]:
    """Return the labels as codes 0..C-1 of shape (n,), in order of first appearance.

    Raises:
        ValueError: If there is not one label per item, a label is missing, or all are the same.
    """
    if len(clusters) != n:
        raise ValueError(f"{len(clusters)} cluster labels for {n} items; one per item is needed")
    codes: dict[str | int, int] = {}
    for place, label in enumerate(clusters):
        if label is None:
            raise ValueError(f"clusters[{place}] is None; give an item that stands alone a label of its own")
        codes.setdefault(label, len(codes))
    if len(codes) < 2:
        raise ValueError("all items are of one cluster; the spread between clusters needs at least 2")
    return np.fromiter((codes[label] for label in clusters), dtype=np.intp, count=n)


def check_fraction(value: float, name: str) -> float:
    """Return ``value`` as a float.

    Raises:
        ValueError: If it does not lie strictly between 0 and 1.
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} is {value}; it must lie between 0 and 1, e.g. 0.95, not 95")
    return float(value)


def check_positive(value: float, name: str) -> float:
    """Return ``value`` as a float.

    Raises:
        ValueError: If it is not a finite number above 0.
    """
    if not 0 < value <= LARGEST_VALUE:
        raise ValueError(f"{name} is {value}; it must be a finite number above 0")
    return float(value)


def check_alpha(value: float) -> float:
    """Return ``value`` as a float.

    Raises:
        ValueError: If it is not a one-sided error probability: between 0 and 0.5.
    """
    if not 0 < value < 0.5:
        raise ValueError(f"alpha is {value}; it must lie between 0 and 0.5, e.g. 0.05")
    return float(value)


def check_alternative(value: str) -> None:
    """Return if ``value`` is an ``Alternative``.

    Raises:
        ValueError: If it is not.
    """
    if value not in ("two-sided", "greater", "less"):
        raise ValueError(f"alternative is {value!r}; it must be 'two-sided', 'greater' or 'less'")
