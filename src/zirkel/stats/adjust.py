"""Many tests at once: which findings stand when chance had many goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from zirkel.stats.result import Result
from zirkel.stats.samples import FloatArray, Samples, check_fraction, check_samples

Adjustment = Literal["bonferroni", "holm", "bh", "by"]


@dataclass(frozen=True, slots=True)
class Adjusted(Result):
    """Tests in the order they were given, with what is left of each after the others are taken into account."""

    adjusted: tuple[float, ...]
    """Adjusted p-values: the smallest alpha at which the test would be rejected; at most 1."""
    rejected: tuple[bool, ...]
    alpha: float
    """The error rate that is held: for ``bonferroni`` and ``holm`` the probability of any false rejection, else the
    expected share of false ones among the rejected."""
    method: str
    n: int
    """Number of tests."""
    assumptions: tuple[str, ...] = ()


def adjust(p_values: Sequence[float] | FloatArray, *, method: Adjustment = "holm", alpha: float = 0.05) -> Adjusted:
    """Return p-values adjusted for there being several of them.

    ``holm`` for alarms ("is any metric worse?"): it rejects whatever Bonferroni does and more, at the same guarantee.
    ``bh`` for exploring ("which segments differ?"); ``by`` if the tests may depend on each other in any way. A ship
    gate needs none of them: there all metrics must pass (an intersection-union test).

    Args:
        p_values: At least one, each from 0 to 1.
        method: What is held at ``alpha``, see ``Adjusted.alpha``.
        alpha: The error rate as a fraction.

    Raises:
        ValueError: If a bound above is broken or the method is unknown.

    Source: Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70; Benjamini and Hochberg (1995), JRSS B 57(1),
        289-300; Benjamini and Yekutieli (2001), Annals of Statistics 29(4), 1165-1188, theorem 1.3.
    """
    p = check_samples(p_values, "p_values")
    check_fraction(alpha, "alpha")
    n = len(p)
    if n == 0 or p.min() < 0 or p.max() > 1:
        raise ValueError("p_values must be at least one number from 0 to 1")
    order = np.argsort(p, kind="stable")
    rank = np.arange(1, n + 1)
    if method == "bonferroni":
        adjusted = n * p[order]
    elif method == "holm":
        adjusted = np.maximum.accumulate((n + 1 - rank) * p[order])
    elif method in ("bh", "by"):
        factor = n * (float(np.sum(1 / rank)) if method == "by" else 1.0)
        adjusted = np.minimum.accumulate((factor * p[order] / rank)[::-1])[::-1]
    else:
        raise ValueError(f"method is {method!r}; it must be 'bonferroni', 'holm', 'bh' or 'by'")
    assumption = "tests are independent or positively dependent" if method == "bh" else "none on the tests' dependence"
    return _in_given_order(adjusted, order, alpha, method, assumption)


def adjust_e_values(e_values: Samples, *, alpha: float = 0.05) -> Adjusted:
    """Return which e-values stand, at an expected share of false ones of at most ``alpha``, however they depend.

    The k largest are rejected, for the largest k whose k-th e-value is at least ``n / (alpha * k)``.

    Args:
        e_values: At least one, each at least 0, e.g. of ``BettingTest``.
        alpha: Expected share of false rejections, as a fraction.

    Raises:
        ValueError: If a bound above is broken.

    Source: Wang and Ramdas (2022), JRSS B 84(3), 822-852, section 3 (e-BH).
    """
    e = check_samples(e_values, "e_values")
    check_fraction(alpha, "alpha")
    if len(e) == 0 or e.min() < 0:
        raise ValueError("e_values must be at least one number from 0 up")
    order = np.argsort(-e, kind="stable")
    # Below 1 there is no evidence at all; the clip also keeps 1 / e finite.
    per_rank = len(e) / (np.arange(1, len(e) + 1) * np.maximum(e[order], 1.0))
    adjusted = np.minimum.accumulate(per_rank[::-1])[::-1]
    return _in_given_order(adjusted, order, alpha, "ebh", "none on the tests' dependence")


def _in_given_order(
    sorted_values: FloatArray,
    order: "np.ndarray[tuple[int], np.dtype[np.intp]]",
    alpha: float,
    method: str,
    assumption: str,
) -> Adjusted:
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(sorted_values, 1.0)
    return Adjusted(
        adjusted=tuple(adjusted.tolist()),
        rejected=tuple((adjusted <= alpha).tolist()),
        alpha=float(alpha),
        method=method,
        n=len(order),
        assumptions=(assumption,),
    )
