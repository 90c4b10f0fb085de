"""The mathematics of a release gate: is the candidate at most a declared margin worse than the baseline?"""

import math
from dataclasses import dataclass
from typing import Literal

from scipy import special

from zirkel.stats.result import MeanInterval, Result
from zirkel.stats.samples import check_fraction, check_positive

Verdict = Literal["PASS", "SUPERIOR", "FAIL", "INCONCLUSIVE"]
Direction = Literal["higher", "lower"]
"""Which way a metric is better: pass rates are ``higher``, latency and cost are ``lower``."""

POWER = 0.8
MOST_ITEMS = 10**9
"""More items than this are not an answer to "how many more?"."""


@dataclass(frozen=True, slots=True)
class NonInferiority(Result):
    """The verdict of a non-inferiority test and the numbers it rests on, in the metric's own sign."""

    verdict: Verdict
    estimate: float
    """Candidate minus baseline."""
    lower: float
    """One-sided lower bound of the difference at confidence ``1 - alpha``."""
    upper: float
    """One-sided upper bound of the difference at confidence ``1 - alpha``."""
    margin: float
    """How much worse is still acceptable, above 0, in the metric's unit."""
    direction: Direction
    alpha: float
    """Probability of passing a candidate that is worse by the margin or more."""
    n: int
    n_clusters: int | None
    items_needed: int | None
    """INCONCLUSIVE only: items in total for 80 % power, if estimate and variance stay as they are. None if the
    candidate is worse by the margin or more, or the number is above a billion."""
    warnings: tuple[str, ...] = ()


def non_inferiority(
    difference: MeanInterval,
    *,
    margin: float,
    direction: Direction = "higher",
    alpha: float = 0.05,
    largest_difference: float = 1.0,
) -> NonInferiority:
    """Return whether the candidate is shown to be no worse than the baseline by ``margin``.

    With ``direction="higher"``: PASS if the lower bound is above ``-margin``, SUPERIOR if it is above 0, FAIL
    if the upper bound is below ``-margin``, otherwise INCONCLUSIVE. With ``"lower"`` the mirror image. Testing
    both PASS and SUPERIOR costs no alpha (closed testing). Bounds are t bounds of the paired difference.

    If the differences do not vary, t bounds would be a single point. Then the share of items that would
    change is bounded by ``1 - alpha ** (1 / n)`` (n clusters, if there are any) and each change is taken to
    cost ``largest_difference``: 3 identical items prove little, 300 much.

    Args:
        difference: Result of ``paired_difference(candidate, baseline)``; its confidence does not matter.
        margin: Above 0, in the metric's unit, declared before the run.
        direction: Which way the metric is better.
        alpha: Allowed probability of a false PASS, below 0.5.
        largest_difference: The largest difference one item can show; 1 for pass/fail and scores from 0 to 1.

    Raises:
        ValueError: If a bound above is broken.

    Source: ICH E9 (1998), section 3.3.2; Schuirmann (1987), J. Pharmacokinet. Biopharm. 15, 657-680.
        Zero variance: the exact binomial bound for no events (the "rule of three").
    """
    check_positive(margin, "margin")
    check_positive(largest_difference, "largest_difference")
    _check_alpha(alpha)
    if direction not in ("higher", "lower"):
        raise ValueError(f"direction is {direction!r}; it must be 'higher' or 'lower'")
    benefit = difference.estimate if direction == "higher" else -difference.estimate
    radius = _radius(difference, alpha, largest_difference)
    verdict = _verdict(benefit - radius, benefit + radius, margin)
    warnings = difference.warnings
    if difference.standard_error == 0:
        warnings = (*warnings, "the bounds allow for changes not seen yet, since the differences do not vary")
    return NonInferiority(
        verdict=verdict,
        estimate=difference.estimate,
        lower=difference.estimate - radius,
        upper=difference.estimate + radius,
        margin=float(margin),
        direction=direction,
        alpha=float(alpha),
        n=difference.n,
        n_clusters=difference.n_clusters,
        items_needed=(
            _items_needed(difference, benefit + margin, alpha, largest_difference)
            if verdict == "INCONCLUSIVE"
            else None
        ),
        warnings=warnings,
    )


def plan_non_inferiority_binary(margin: float, discordance: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return how many pass/fail items a non-inferiority gate needs if the versions are equally good.

    ``(z_(1-alpha) + z_power)^2 * discordance / margin^2``, and at least as many as it takes for a run without
    any change to PASS.

    Args:
        margin: How much lower a pass rate is acceptable, as a fraction between 0 and 1.
        discordance: Share of items on which the two versions disagree, above 0, at most 1.
        power: Wanted probability of PASS, as a fraction.
        alpha: Allowed probability of a false PASS, below 0.5.

    Raises:
        ValueError: If a bound above is broken.

    Source: Miller (2024), arXiv:2411.00640, section 5, one-sided, with a variance of ``discordance``.
    """
    check_fraction(margin, "margin")
    check_fraction(power, "power")
    _check_alpha(alpha)
    if not 0 < discordance <= 1:
        raise ValueError(f"discordance is {discordance}; it must be above 0 and at most 1")
    n = math.ceil(_normal_factor(alpha, power) * discordance / margin**2)
    return max(n, _units_without_change(margin, alpha))


def _radius(difference: MeanInterval, alpha: float, largest_difference: float) -> float:
    """Return the distance from the estimate to its one-sided bounds."""
    if difference.standard_error > 0:
        return float(special.stdtrit(difference.degrees_of_freedom, 1 - alpha)) * difference.standard_error
    units = difference.degrees_of_freedom + 1
    return -math.expm1(math.log(alpha) / units) * largest_difference


def _verdict(lower: float, upper: float, margin: float) -> Verdict:
    """Return the verdict for bounds of the benefit (positive is better)."""
    if lower > 0:
        return "SUPERIOR"
    if lower > -margin:
        return "PASS"
    if upper < -margin:
        return "FAIL"
    return "INCONCLUSIVE"


def _items_needed(difference: MeanInterval, gap: float, alpha: float, largest_difference: float) -> int | None:
    """Return the items for 80 % power; ``gap`` is how far the benefit lies above ``-margin``."""
    if gap <= 0:
        return None
    if difference.standard_error == 0:
        per_unit = difference.n / (difference.degrees_of_freedom + 1)
        needed = _units_without_change(gap / largest_difference, alpha) * per_unit
    else:
        # The variance of one item, times the design effect of its cluster, is n * standard_error^2.
        distance = gap / difference.standard_error
        needed = difference.n * _normal_factor(alpha, POWER) / max(distance**2, 1e-300)
    if needed > MOST_ITEMS:
        return None
    # With very few items t bounds are wider than the normal ones of the formula.
    return max(math.ceil(needed), difference.n + 1)


def _units_without_change(gap: float, alpha: float) -> int:
    """Return the smallest n with ``1 - alpha ** (1 / n) < gap``, for a gap between 0 and 1."""
    return math.floor(math.log(alpha) / math.log1p(-gap)) + 1


def _normal_factor(alpha: float, power: float) -> float:
    return float(special.ndtri(1 - alpha) + special.ndtri(power)) ** 2


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha is {alpha}; it must lie between 0 and 0.5, e.g. 0.05")
