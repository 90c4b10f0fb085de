"""Items that share a source: how alike they are, and how many independent items they are worth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zirkel.stats.result import Result
from zirkel.stats.samples import Clusters, FloatArray, Samples, check_clusters, check_samples

ALIKE_BY_CHANCE = "items of one cluster are no more alike than others: the correlation cannot be told from 0"


@dataclass(frozen=True, slots=True)
class ClusterEffect(Result):
    """What clustering costs: ``n`` items say as much about the mean as ``n / design_effect`` independent ones."""

    icc: float
    """Intraclass correlation: the share of the variance that items of one cluster have in common, 0 to 1."""
    cluster_size: float
    """The size of the cluster of an average item, ``sum(m^2) / sum(m)``: large clusters weigh more."""
    design_effect: float
    """Variance of the mean over what independent items would have, at least 1."""
    n: int
    n_clusters: int
    warnings: tuple[str, ...] = ()


def cluster_effect(values: Samples, clusters: Clusters) -> ClusterEffect:
    """Return the intraclass correlation of values and the design effect that follows.

    For planning a comparison give the paired differences: pairing often removes most of what a cluster has in common.

    Args:
        values: One value per item, or one paired difference per item.
        clusters: One label per item, at least 2 different ones; at least one cluster with 2 items.

    Raises:
        ValueError: If a bound above is broken, a value is not finite, or all values are the same.

    Source: analysis of variance estimator for unequal sizes: Donner (1986), International Statistical Review 54(1),
        67-82, equation (2.1); design effect: Kish (1965), Survey Sampling, section 5.4.
    """
    array = check_samples(values, "values")
    codes = check_clusters(clusters, len(array))
    raw = anova_icc(array - np.mean(array), codes)
    if raw is None:
        raise ValueError("every item is a cluster of its own, or all values are alike: no correlation can be estimated")
    sizes = np.bincount(codes)
    icc, size = max(raw, 0.0), float(np.sum(sizes**2) / len(array))
    warnings = () if raw >= 0 else (ALIKE_BY_CHANCE,)
    return ClusterEffect(icc, size, design_effect(icc, size), len(array), len(sizes), warnings)


def design_effect(icc: float, cluster_size: float) -> float:
    """Return how many times as many items clusters need as independent items do, ``1 + (m - 1) * icc``.

    Args:
        icc: Intraclass correlation, 0 to 1.
        cluster_size: Items of one cluster, at least 1; with unequal sizes ``sum(m^2) / sum(m)``.

    Raises:
        ValueError: If a bound above is broken.

    Source: Kish (1965), Survey Sampling, section 5.4.
    """
    if not 0 <= icc <= 1:
        raise ValueError(f"icc is {icc}; it must lie between 0 and 1")
    if not 1 <= cluster_size < float("inf"):
        raise ValueError(f"cluster_size is {cluster_size}; a cluster has at least 1 item")
    return 1 + (cluster_size - 1) * icc


def anova_icc(errors: FloatArray, codes: NDArray[np.intp]) -> float | None:
    """Return the intraclass correlation, below 0 if clusters differ less than chance would have it.

    Args:
        errors: Values minus their mean, shape (n,).
        codes: Cluster of each as a number from 0, all used.

    Returns:
        None if each item is a cluster of its own, or nothing varies.
    """
    sizes = np.bincount(codes)
    n, n_clusters = len(errors), len(sizes)
    if n == n_clusters:
        return None
    sum_between = float(np.sum(np.bincount(codes, weights=errors) ** 2 / sizes))
    # Not below 0, where rounding could put it.
    sum_within = max(float(np.sum(errors**2)) - sum_between, 0.0)
    between, within = sum_between / (n_clusters - 1), sum_within / (n - n_clusters)
    size = (n - float(np.sum(sizes**2)) / n) / (n_clusters - 1)
    total = between + (size - 1) * within
    return (between - within) / total if total > 0 else None
