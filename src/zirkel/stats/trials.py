"""Repeated trials of an item that pass or fail: what a user gets who may try k times, or who needs k in a row."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zirkel.stats.samples import FloatArray

Counts = Sequence[int] | NDArray[np.int64]
"""One whole number per item."""


def pass_at_k(passes: Counts, trials: Counts, k: int) -> FloatArray:
    """Return for each item the probability that at least one of ``k`` trials passes, estimated without bias.

    ``1 - C(n - c, k) / C(n, k)``. The mean over items and its interval are those of ``mean_interval``, two versions
    are compared by ``paired_difference``: trials of one item are not independent items.

    Args:
        passes: Trials that passed, c, shape (n items,).
        trials: Trials scored, n, shape (n items,), each at least ``k``.
        k: How many tries are allowed, at least 1.

    Returns:
        Shape (n items,), each from 0 to 1.

    Raises:
        ValueError: If a bound above is broken.

    Source: Chen et al. (2021), arXiv:2107.03374, equation (1).
    """
    c, n = _check_counts(passes, trials, k)
    return 1 - _share_of_draws(n - c, n, k)


def pass_hat_k(passes: Counts, trials: Counts, k: int) -> FloatArray:
    """Return for each item the probability that all of ``k`` trials pass, estimated without bias.

    ``C(c, k) / C(n, k)``; for intervals see ``pass_at_k``.

    Args:
        passes: Trials that passed, c, shape (n items,).
        trials: Trials scored, n, shape (n items,), each at least ``k``.
        k: How many trials must pass, at least 1.

    Returns:
        Shape (n items,), each from 0 to 1.

    Raises:
        ValueError: If a bound above is broken.

    Source: Yao et al. (2024), tau-bench, arXiv:2406.12045, section 3 (pass^k).
    """
    c, n = _check_counts(passes, trials, k)
    return _share_of_draws(c, n, k)


def flip_rate(passes: Counts, trials: Counts) -> FloatArray:
    """Return for each item the probability that two different trials of it disagree, ``2c(n - c) / (n(n - 1))``.

    Args:
        passes: Trials that passed, c, shape (n items,).
        trials: Trials scored, n, shape (n items,), each at least 2.

    Returns:
        Shape (n items,), each from 0 to 1.

    Raises:
        ValueError: If a bound above is broken.

    Source: the share of unequal pairs, an unbiased estimate of ``2p(1 - p)``: Hoeffding (1948), Annals of
        Mathematical Statistics 19(3), 293-325 (U-statistics).
    """
    c, n = _check_counts(passes, trials, 2)
    return 2 * c * (n - c) / (n * (n - 1))


def _share_of_draws(kind: FloatArray, n: FloatArray, k: int) -> FloatArray:
    """Return the probability that ``k`` draws without replacement are all of a kind, as a product of ratios."""
    share = np.ones_like(n)
    for drawn in range(k):
        share *= np.maximum(kind - drawn, 0.0) / (n - drawn)
    return share


def _check_counts(passes: Counts, trials: Counts, k: int) -> tuple[FloatArray, FloatArray]:
    c, n = np.asarray(passes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    if c.shape != n.shape or c.ndim != 1:
        raise ValueError(f"passes has shape {c.shape} and trials {n.shape}; one count per item is needed in both")
    if k < 1:
        raise ValueError(f"k is {k}; it must be at least 1")
    for place in np.flatnonzero(~((c >= 0) & (c <= n) & (n >= k))):
        raise ValueError(
            f"item {place} has {c[place]:g} passes in {n[place]:g} trials; it needs 0 <= passes <= trials, and at "
            f"least {k} trials"
        )
    return c, n
