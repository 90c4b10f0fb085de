"""How many items a comparison needs, and what it could find, before money is spent."""

import math
from dataclasses import dataclass
from typing import Literal

from scipy import special

from zirkel.stats.clusters import design_effect
from zirkel.stats.paired_binary import restricted_variance
from zirkel.stats.result import Result
from zirkel.stats.samples import check_alpha, check_fraction, check_positive

Sides = Literal[1, 2]
"""2 for "is there any difference?", 1 for a gate: a difference in one direction."""

FEW_UNITS = 100
"""Below so many independent units quantiles of t are used; above, the normal ones err by less than a point of power."""
LARGE_NONCENTRALITY = 30.0
"""From here on the noncentral t distribution underflows."""
SMALLEST_GAP = 1e-12
"""Smaller gaps are rounding noise."""


@dataclass(frozen=True, slots=True)
class DifferenceDesign(Result):
    """What the mean of paired differences will vary by: variances (of a pilot, or guessed), trials and clusters."""

    between: float
    """Variance of the items' true differences, omega squared; from a pilot with one trial, of its differences."""
    within_candidate: float = 0.0
    """Variance of repeated trials of one item."""
    within_baseline: float = 0.0
    trials_candidate: int = 1
    """Trials per item, at least 1."""
    trials_baseline: int = 1
    icc: float = 0.0
    """Intraclass correlation of the differences, 0 to 1; see ``cluster_effect``."""
    cluster_size: float = 1.0
    """Items of one cluster, at least 1."""

    def __post_init__(self) -> None:
        # Named: a class with slots is built anew, and ``super()`` without arguments would look for the first one.
        Result.__post_init__(self)
        if min(self.trials_candidate, self.trials_baseline) < 1:
            raise ValueError("trials_candidate and trials_baseline must be at least 1")
        if min(self.between, self.within_candidate, self.within_baseline) < 0 or self.variance <= 0:
            raise ValueError("variances must be at least 0, and one of them above: nothing would vary")

    @property
    def variance(self) -> float:
        """One item's share in the variance of the mean: the mean of n items has ``variance / n``.

        Raises:
            ValueError: If ``icc`` or ``cluster_size`` is out of range.
        """
        from_trials = self.within_candidate / self.trials_candidate + self.within_baseline / self.trials_baseline
        return (self.between + from_trials) * design_effect(self.icc, self.cluster_size)


def plan_difference(
    effect: float, design: DifferenceDesign, *, power: float = 0.8, alpha: float = 0.05, sides: Sides = 2
) -> int:
    """Return how many items it takes to find a mean paired difference.

    ``(z_(1-alpha/sides) + z_power)^2 * variance / effect^2``; with fewer than 100 clusters (or items) quantiles of t
    stand in for those of z. For a non-inferiority gate ``effect`` is the margin plus the difference that is expected
    (in the good direction), and ``sides`` is 1.

    Args:
        effect: Smallest difference worth finding, above 0, in the metric's unit.
        design: What varies, in the metric's unit squared.
        power: Wanted probability of finding it, above ``alpha``.
        alpha: Allowed probability of a false finding, below 0.5.
        sides: 1 or 2.

    Raises:
        ValueError: If a bound above is broken.

    Source: Miller (2024), arXiv:2411.00640, section 5; clusters: design effect of Kish (1965).
    """
    check_positive(effect, "effect")
    _check_error_rates(power, alpha, sides)
    needed = design.variance * _normal_factor(alpha / sides, power) / max(effect, SMALLEST_GAP) ** 2
    units = needed / design.cluster_size
    if units >= FEW_UNITS:
        return math.ceil(needed)
    for few in range(max(2, math.floor(units)), FEW_UNITS):
        if (
            minimum_detectable_effect(
                math.ceil(few * design.cluster_size), design, power=power, alpha=alpha, sides=sides
            )
            <= effect
        ):
            return math.ceil(few * design.cluster_size)
    return math.ceil(FEW_UNITS * design.cluster_size)


def minimum_detectable_effect(
    n: int, design: DifferenceDesign, *, power: float = 0.8, alpha: float = 0.05, sides: Sides = 2
) -> float:
    """Return the smallest mean paired difference that ``n`` items would find with probability ``power``.

    Args:
        n: Items, at least 2 clusters of them.
        design: What varies, in the metric's unit squared.
        power: Wanted probability of finding it, above ``alpha``.
        alpha: Allowed probability of a false finding, below 0.5.
        sides: 1 or 2.

    Returns:
        In the metric's unit.

    Raises:
        ValueError: If a bound above is broken.

    Source: Miller (2024), arXiv:2411.00640, section 5.
    """
    _check_error_rates(power, alpha, sides)
    units = _units(n, design)
    if units >= FEW_UNITS:
        quantiles = math.sqrt(_normal_factor(alpha / sides, power))
    else:
        quantiles = float(special.stdtrit(units - 1, 1 - alpha / sides) + special.stdtrit(units - 1, power))
    return quantiles * math.sqrt(design.variance / n)


def power_of_difference(
    n: int, effect: float, design: DifferenceDesign, *, alpha: float = 0.05, sides: Sides = 2
) -> float:
    """Return the probability that ``n`` items find a mean paired difference of ``effect``, with the right sign.

    Args:
        n: Items, at least 2 clusters of them.
        effect: The true difference, at least 0, in the metric's unit.
        design: What varies, in the metric's unit squared.
        alpha: Allowed probability of a false finding, below 0.5.
        sides: 1 or 2.

    Raises:
        ValueError: If a bound above is broken.

    Source: the noncentral t distribution, and its normal approximation where power is about 1: Johnson and Welch
        (1940), Biometrika 31(3/4), 362-389.
    """
    if not effect >= 0:
        raise ValueError(f"effect is {effect}; it must be at least 0: turn the difference round")
    _check_error_rates(0.8, alpha, sides)
    units = _units(n, design)
    noncentrality = effect / math.sqrt(design.variance / n)
    critical = float(special.stdtrit(units - 1, 1 - alpha / sides))
    if noncentrality < LARGE_NONCENTRALITY:
        return 1 - float(special.nctdtr(units - 1, noncentrality, critical))
    distance = noncentrality - critical * (1 - 1 / (4 * (units - 1)))
    return float(special.ndtr(distance / math.sqrt(1 + critical**2 / (2 * (units - 1)))))


def plan_non_inferiority_binary(margin: float, discordance: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return how many pass/fail items a non-inferiority gate needs if the versions are equally good.

    ``(z_(1-alpha) + z_power)^2 * discordance / margin^2``. Where less than two margins of items disagree this promises
    too much, since Tango's test supposes at least a margin of them to be lost; then its own variance is used. And
    there are at least as many as it takes for a run without any change to PASS. With clusters multiply by the
    ``design_effect``.

    Args:
        margin: How much lower a pass rate is acceptable, as a fraction between 0 and 1.
        discordance: Share of items on which the two versions disagree, above 0, at most 1.
        power: Wanted probability of PASS, as a fraction.
        alpha: Allowed probability of a false PASS, below 0.5.

    Raises:
        ValueError: If a bound above is broken.

    Source: Miller (2024), arXiv:2411.00640, section 5, one-sided, with a variance of ``discordance``; few changes:
        Tango (1998), Statistics in Medicine 17(8), 891-908, section 5.
    """
    check_fraction(margin, "margin")
    check_fraction(power, "power")
    check_alpha(alpha)
    if not 0 < discordance <= 1:
        raise ValueError(f"discordance is {discordance}; it must be above 0 and at most 1")
    needed = binary_items(discordance / 2, discordance / 2, margin, alpha=alpha, power=power)
    return max(math.ceil(needed), units_without_change(margin, alpha))


def plan_two_proportions(
    rate_first: float,
    rate_second: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    sides: Sides = 2,
    pooled: bool = True,
) -> int:
    """Return how many items each side needs for two pass rates on different items to be told apart.

    Args:
        rate_first: True pass rate of the first version, 0 to 1.
        rate_second: Of the second, another one.
        power: Wanted probability of finding the difference, above ``alpha``.
        alpha: Allowed probability of a false finding, below 0.5.
        sides: 1 or 2.
        pooled: Whether the test supposes equal rates for its standard error (the usual z test), or not.

    Returns:
        Items per side.

    Raises:
        ValueError: If a bound above is broken.

    Source: Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions, equations (4.14) and (4.17).
    """
    _check_error_rates(power, alpha, sides)
    if not (0 <= rate_first <= 1 and 0 <= rate_second <= 1) or abs(rate_first - rate_second) < SMALLEST_GAP:
        raise ValueError(f"rates are {rate_first} and {rate_second}; they must be different, each from 0 to 1")
    apart = rate_first * (1 - rate_first) + rate_second * (1 - rate_second)
    mean = (rate_first + rate_second) / 2
    under_null = 2 * mean * (1 - mean) if pooled else apart
    spread = float(special.ndtri(1 - alpha / sides)) * math.sqrt(under_null)
    spread += float(special.ndtri(power)) * math.sqrt(apart)
    return max(math.ceil((spread / (rate_first - rate_second)) ** 2), 1)


def binary_items(gained: float, lost: float, margin: float, *, alpha: float, power: float) -> float:
    """Return the items a non-inferiority test of pass rates needs, not rounded; infinite at or beyond the margin.

    Args:
        gained: Share of items that only the candidate passes.
        lost: Share of items that only the baseline passes.
        margin: How much worse is still acceptable, above 0.
        alpha: Allowed probability of a false PASS, below 0.5.
        power: Wanted probability of PASS.

    Source: see ``plan_non_inferiority_binary``.
    """
    gap = gained - lost + margin
    if gap < SMALLEST_GAP:
        return math.inf
    variance = gained + lost - (gained - lost) ** 2
    if gained + lost >= 2 * margin:
        return _normal_factor(alpha, power) * variance / gap**2
    spread = float(special.ndtri(1 - alpha)) * math.sqrt(restricted_variance(gained, lost, -margin))
    spread += float(special.ndtri(power)) * math.sqrt(variance)
    return (spread / gap) ** 2


def units_without_change(gap: float, alpha: float) -> int:
    """Return the smallest n with ``1 - alpha ** (1 / n) < gap``, for a gap above 0 and below 1.

    Source: the exact binomial bound for no events (the "rule of three").
    """
    return math.floor(math.log(alpha) / math.log1p(-max(gap, SMALLEST_GAP))) + 1


def _units(n: int, design: DifferenceDesign) -> float:
    units = n / design.cluster_size
    if units < 2:
        raise ValueError(f"{n} items make {units:g} clusters; the spread of a mean needs at least 2")
    return units


def _normal_factor(alpha: float, power: float) -> float:
    return float(special.ndtri(1 - alpha) + special.ndtri(power)) ** 2


def _check_error_rates(power: float, alpha: float, sides: int) -> None:
    check_alpha(alpha)
    check_fraction(power, "power")
    if sides not in (1, 2):
        raise ValueError(f"sides is {sides}; it must be 1 or 2")
    if power <= alpha:
        raise ValueError(f"power is {power}; it must be above alpha, which chance alone reaches")
