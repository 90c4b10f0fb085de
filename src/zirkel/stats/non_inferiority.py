"""The mathematics of a release gate: is the candidate at most a declared margin worse than the baseline?"""

import math
from dataclasses import dataclass
from typing import Literal

from scipy import special

from zirkel.stats.paired_binary import tango_bounds
from zirkel.stats.result import MeanInterval, Result
from zirkel.stats.samples import check_alpha, check_fraction, check_positive

Verdict = Literal["PASS", "SUPERIOR", "FAIL", "INCONCLUSIVE"]
Direction = Literal["higher", "lower"]
"""Which way a metric is better: pass rates are ``higher``, latency and cost are ``lower``."""

POWER = 0.8
MOST_ITEMS = 10**9
"""More items than this are not an answer to "how many more?"."""
SMALLEST_GAP = 1e-12
"""Smaller gaps are rounding noise."""


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

    For independent pass/fail items use ``non_inferiority_binary``.

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
    check_alpha(alpha)
    _check_direction(direction)
    radius = _radius(difference, alpha, largest_difference)
    warnings = difference.warnings
    if difference.standard_error == 0:
        warnings = (*warnings, "the bounds allow for changes not seen yet, since the differences do not vary")
    lower, upper = difference.estimate - radius, difference.estimate + radius
    verdict = _verdict(lower, upper, margin, direction)
    gap = _gap(difference.estimate, margin, direction)
    return NonInferiority(
        verdict=verdict,
        estimate=difference.estimate,
        lower=lower,
        upper=upper,
        margin=float(margin),
        direction=direction,
        alpha=float(alpha),
        n=difference.n,
        n_clusters=difference.n_clusters,
        items_needed=_items_needed(difference, gap, alpha, largest_difference) if verdict == "INCONCLUSIVE" else None,
        warnings=warnings,
    )


def non_inferiority_binary(
    n_only_candidate: int,
    n_only_baseline: int,
    n: int,
    *,
    margin: float,
    direction: Direction = "higher",
    alpha: float = 0.05,
) -> NonInferiority:
    """Return whether the candidate's pass rate is shown to be no worse than the baseline's by ``margin``.

    The verdicts are those of ``non_inferiority``, with Tango's score bounds. Prefer it for independent pass/fail
    items: where few items change and most of them for the worse, t bounds pass a candidate that is worse by the
    margin up to four times as often as ``alpha`` allows.

    Args:
        n_only_candidate: Items that only the candidate passed.
        n_only_baseline: Items that only the baseline passed.
        n: All items, at least 1.
        margin: Difference of pass rates that is still acceptable, as a fraction, declared before the run.
        direction: ``lower`` if a "pass" is something bad, such as a refusal.
        alpha: Allowed probability of a false PASS, below 0.5.

    Raises:
        ValueError: If a bound above is broken.

    Source: Tango (1998), Statistics in Medicine 17(8), 891-908.
    """
    check_fraction(margin, "margin")
    _check_direction(direction)
    lower, upper = tango_bounds(n_only_candidate, n_only_baseline, n, check_alpha(alpha))
    verdict = _verdict(lower, upper, margin, direction)
    estimate = (n_only_candidate - n_only_baseline) / n
    items_needed = None
    if verdict == "INCONCLUSIVE":
        variance = (n_only_candidate + n_only_baseline) / n - estimate**2
        items_needed = _binary_items_needed(n, variance, _gap(estimate, margin, direction), alpha)
    return NonInferiority(
        verdict, estimate, lower, upper, float(margin), direction, float(alpha), int(n), None, items_needed
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
    check_alpha(alpha)
    if not 0 < discordance <= 1:
        raise ValueError(f"discordance is {discordance}; it must be above 0 and at most 1")
    n = math.ceil(_normal_factor(alpha, power) * discordance / max(margin, SMALLEST_GAP) ** 2)
    return max(n, _units_without_change(margin, alpha))


def _radius(difference: MeanInterval, alpha: float, largest_difference: float) -> float:
    """Return the distance from the estimate to its one-sided bounds."""
    if difference.standard_error > 0:
        return float(special.stdtrit(difference.degrees_of_freedom, 1 - alpha)) * difference.standard_error
    units = difference.degrees_of_freedom + 1
    return -math.expm1(math.log(alpha) / units) * largest_difference


def _verdict(lower: float, upper: float, margin: float, direction: Direction) -> Verdict:
    """Return the verdict for one-sided bounds of candidate minus baseline."""
    worst, best = (lower, upper) if direction == "higher" else (-upper, -lower)
    if worst > 0:
        return "SUPERIOR"
    if worst > -margin:
        return "PASS"
    if best < -margin:
        return "FAIL"
    return "INCONCLUSIVE"


def _gap(estimate: float, margin: float, direction: Direction) -> float:
    """Return how far the estimate lies on the good side of the margin."""
    return (estimate if direction == "higher" else -estimate) + margin


def _items_needed(difference: MeanInterval, gap: float, alpha: float, largest_difference: float) -> int | None:
    """Return the items for 80 % power, see ``NonInferiority.items_needed``."""
    if gap <= 0:
        return None
    if difference.standard_error == 0:
        per_unit = difference.n / (difference.degrees_of_freedom + 1)
        needed = _units_without_change(gap / largest_difference, alpha) * per_unit
    else:
        # The variance of one item, times the design effect of its cluster, is n * standard_error^2.
        distance = gap / difference.standard_error
        needed = difference.n * _normal_factor(alpha, POWER) / max(distance, SMALLEST_GAP) ** 2
    return _as_items(needed, difference.n)


def _binary_items_needed(n: int, variance: float, gap: float, alpha: float) -> int | None:
    """Return the items for 80 % power, see ``NonInferiority.items_needed``."""
    if gap <= 0:
        return None
    gap = max(gap, SMALLEST_GAP)
    # Without any change the score bound is -z^2 / (n + z^2).
    without_change = float(special.ndtri(alpha)) ** 2 * (1 / gap - 1)
    return _as_items(max(_normal_factor(alpha, POWER) * variance / gap**2, math.floor(without_change) + 1), n)


def _as_items(needed: float, n: int) -> int | None:
    """Return ``needed`` as a whole number above ``n``: with very few items the formulas can fall below it."""
    return None if needed > MOST_ITEMS else max(math.ceil(needed), n + 1)


def _units_without_change(gap: float, alpha: float) -> int:
    """Return the smallest n with ``1 - alpha ** (1 / n) < gap``, for a gap above 0 and below 1."""
    return math.floor(math.log(alpha) / math.log1p(-max(gap, SMALLEST_GAP))) + 1


def _normal_factor(alpha: float, power: float) -> float:
    return float(special.ndtri(1 - alpha) + special.ndtri(power)) ** 2


def _check_direction(direction: str) -> None:
    if direction not in ("higher", "lower"):
        raise ValueError(f"direction is {direction!r}; it must be 'higher' or 'lower'")
