"""The chances that a gate passes an equally good release, by the very tests it uses. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats

from zirkel.evaluate.bounds import FEW_CHANGES
from zirkel.evaluate.plan_basis import Basis
from zirkel.stats import DifferenceDesign, non_inferiority_binary, power_of_difference, proportion_lower_bound

MOST_TRIALS = 100
MOST_ITEMS = 10**7
MOST_EXACT = 3000
"""Up to so many items chances are enumerated; with more the normal approximation is as good."""
TAIL = 6.0
"""Standard deviations of a count that exact powers sum over."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a planned evaluation is."""

    items: int
    sources: int
    """Independent sources of the items: clusters, where the data set has some."""
    trials: int
    cluster_size: float
    """Of an average item's cluster; 1 if items stand alone."""

    @property
    def has_spread(self) -> bool:
        """Whether there are enough independent sources to tell how much they vary."""
        return min(self.sources, self.items / self.cluster_size) >= 2


@dataclass(frozen=True, slots=True)
class Chances:
    """What one test of a metric can do."""

    power: Callable[[Size], float]
    """Probability of a PASS at a size, if both releases are equally good."""
    can_pass: Callable[[Size], bool]
    """Whether a result in which nothing changed, or every item passed, would pass."""


def margin_chances(margin: float, basis: Basis, alpha: float) -> Chances:
    """Return the chances of a margin."""

    def power(size: Size) -> float:
        design = design_of(basis, size)
        if basis.is_pass_fail and size.trials == 1 and size.cluster_size == 1 and size.items <= MOST_EXACT:
            return pass_power(margin, min(design.variance, 1.0), size.items, alpha)
        if not size.has_spread:
            return 0.0
        return power_of_difference(size.items, margin, design, alpha=alpha, sides=1)

    def can_pass(size: Size) -> bool:
        if not basis.is_pass_fail:
            return size.sources > 1
        if min(size.sources, design_of(basis, size).variance * size.items) >= FEW_CHANGES:
            return size.has_spread
        # Next to nothing changes: the rule of three, on what is independent.
        return -math.expm1(math.log(alpha) / size.sources) < margin

    return Chances(power, can_pass)


def floor_chances(floor: float, direction: str, basis: Basis, alpha: float) -> Chances:
    """Return the chances of a floor (of a ceiling, if lower is better)."""
    if direction == "lower":
        floor, basis = 1 - floor, _mirrored(basis)

    def power(size: Size) -> float:
        if basis.is_pass_fail and size.trials == 1 and size.cluster_size == 1:
            return _floor_power(floor, basis.mean, size.items, alpha)
        if basis.mean <= floor or not size.has_spread:
            return 0.0
        if basis.mean_variance <= 0:
            # Items that all score alike say the same at each run: then the gate counts sources.
            return float(basis.mean - (1 - alpha ** (1 / size.sources)) >= floor)
        variance = basis.mean_variance * (1 + (size.cluster_size - 1) * basis.icc)
        distance = (basis.mean - floor) / math.sqrt(variance / size.items)
        critical = float(special.stdtrit(size.sources - 1, 1 - alpha))
        return 1 - float(special.nctdtr(size.sources - 1, distance, critical))

    def can_pass(size: Size) -> bool:
        return not basis.is_pass_fail or alpha ** (1 / size.sources) >= floor

    return Chances(power, can_pass)


def _floor_power(floor: float, mean: float, n: int, alpha: float) -> float:
    """Return the probability that the exact lower bound of ``n`` items reaches a floor."""
    low, high = 0, n + 1
    while low < high:
        middle = (low + high) // 2
        if middle <= n and proportion_lower_bound(middle, n, alpha=alpha).low < floor:
            low = middle + 1
        else:
            high = middle
    return float(stats.binom.sf(low - 1, n, mean)) if low <= n else 0.0


def _mirrored(basis: Basis) -> Basis:
    return replace(basis, mean=1 - basis.mean)


def design_of(basis: Basis, size: Size) -> DifferenceDesign:
    """Return what a mean difference varies by at a size."""
    return DifferenceDesign(
        between=max(basis.between, 1e-12),
        within_candidate=basis.within_candidate,
        within_baseline=basis.within_baseline,
        trials_candidate=size.trials,
        trials_baseline=size.trials,
        icc=basis.icc,
        cluster_size=size.cluster_size,
    )


def _resized(size: Size, items: int) -> Size:
    sources = max(round(size.sources * items / max(size.items, 1)), 2)
    return Size(items, min(sources, items), size.trials, size.cluster_size)


def first_items(parts: Sequence[Chances], size: Size, target: float, asked: int) -> int | None:
    """Return the fewest items at which every part reaches the target, by doubling and bisection."""

    def is_enough(items: int) -> bool:
        return all(part.power(_resized(size, items)) >= target for part in parts)

    low, high = 1, max(asked, 4)
    while not is_enough(high):
        low, high = high, high * 2
        if high > MOST_ITEMS:
            return None
    while high - low > max(1, low // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return max(high, asked)


def first_trials(parts: Sequence[Chances], size: Size, target: float) -> int | None:
    """Return the fewest trials of these items at which every part reaches the target, about; None if none do."""
    tried: list[int] = [*range(size.trials + 1, 11), 15, 20, 30, 50, MOST_TRIALS]
    for trials in tried:
        more = Size(size.items, size.sources, trials, size.cluster_size)
        if all(part.power(more) >= target for part in parts):
            return trials
    return None


def pass_power(margin: float, discordance: float, n: int, alpha: float) -> float:
    """Return the probability that ``n`` independent pass/fail items PASS if both releases are equally good, exactly.

    Args:
        margin: Above 0 and below 1.
        discordance: Share of items on which the releases disagree, above 0.
        n: Items.
        alpha: Of the gate.

    Source: enumeration of the items that change, under Tango's test (``stats.non_inferiority_binary``).
    """
    spread = TAIL * math.sqrt(n * discordance * (1 - discordance)) + TAIL
    low, high = max(0, math.floor(n * discordance - spread)), min(n, math.ceil(n * discordance + spread))
    changed = np.arange(low, high + 1)
    weights = stats.binom.pmf(changed, n, discordance)
    most = [_most_lost(int(count), n, margin, alpha) for count in changed]
    passes = stats.binom.cdf(most, changed, 0.5)
    return float(np.sum(weights * np.where(np.asarray(most) < 0, 0.0, passes)))


def _most_lost(changed: int, n: int, margin: float, alpha: float) -> int:
    """Return the most of ``changed`` items that may be lost for a PASS; -1 if none may."""

    def passes(lost: int) -> bool:
        found = non_inferiority_binary(changed - lost, lost, n, margin=margin, alpha=alpha)
        return found.verdict in ("PASS", "SUPERIOR")

    if not passes(0):
        return -1
    low, high = 0, changed + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(middle) else (low, middle)
    return low
