"""Is a difference shown to be small in both directions? For changes that should change nothing."""

from dataclasses import dataclass
from typing import Literal

from zirkel.stats.non_inferiority import one_sided_radius
from zirkel.stats.paired import t_p_value
from zirkel.stats.result import MeanInterval, Result
from zirkel.stats.samples import check_alpha, check_positive

EquivalenceVerdict = Literal["EQUIVALENT", "DIFFERENT", "INCONCLUSIVE"]


@dataclass(frozen=True, slots=True)
class Equivalence(Result):
    """The verdict of two one-sided tests and the numbers it rests on."""

    verdict: EquivalenceVerdict
    estimate: float
    """Candidate minus baseline."""
    lower: float
    """One-sided lower bound of the difference at confidence ``1 - alpha``."""
    upper: float
    """One-sided upper bound of the difference at confidence ``1 - alpha``."""
    p_value: float
    """The larger of the two; EQUIVALENT if it is below ``alpha``."""
    margin: float
    alpha: float
    """Probability of calling versions equivalent that differ by the margin or more."""
    method: str
    n: int
    n_clusters: int | None
    warnings: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()


def equivalence(
    difference: MeanInterval, *, margin: float, alpha: float = 0.05, largest_difference: float = 1.0
) -> Equivalence:
    """Return whether two versions are shown to differ by less than ``margin`` in either direction (TOST).

    EQUIVALENT if both one-sided bounds lie within the margin, DIFFERENT if both lie beyond it on the same side,
    otherwise INCONCLUSIVE. "No significant difference" shows neither. Without any variation the bounds allow for
    changes not seen yet, as in ``non_inferiority``: few identical items prove little.

    Args:
        difference: Result of ``paired_difference(candidate, baseline)``; its confidence does not matter.
        margin: Above 0, in the metric's unit, declared before the run.
        alpha: Allowed probability of a false EQUIVALENT, below 0.5.
        largest_difference: The largest difference one item can show; 1 for pass/fail and scores from 0 to 1.

    Raises:
        ValueError: If a bound above is broken.

    Source: Schuirmann (1987), J. Pharmacokinet. Biopharm. 15, 657-680.
    """
    check_positive(margin, "margin")
    check_positive(largest_difference, "largest_difference")
    radius = one_sided_radius(difference, check_alpha(alpha), largest_difference)
    lower, upper = difference.estimate - radius, difference.estimate + radius
    verdict: EquivalenceVerdict = "INCONCLUSIVE"
    if -margin < lower and upper < margin:
        verdict = "EQUIVALENT"
    elif upper < -margin or lower > margin:
        verdict = "DIFFERENT"
    return Equivalence(
        verdict=verdict,
        estimate=difference.estimate,
        lower=lower,
        upper=upper,
        p_value=_p_value(difference, margin, largest_difference),
        margin=float(margin),
        alpha=float(alpha),
        method="tost_t" if difference.n_clusters is None else "tost_cr1_t",
        n=difference.n,
        n_clusters=difference.n_clusters,
        warnings=difference.warnings,
        assumptions=difference.assumptions,
    )


def _p_value(difference: MeanInterval, margin: float, largest_difference: float) -> float:
    """Return the smallest alpha at which both one-sided bounds lie within the margin."""
    if difference.standard_error > 0:
        above = t_p_value(difference, null=-margin, alternative="greater")
        return max(above, t_p_value(difference, null=margin, alternative="less"))
    share = min(max((margin - abs(difference.estimate)) / largest_difference, 0.0), 1.0)
    return (1 - share) ** (difference.degrees_of_freedom + 1)
