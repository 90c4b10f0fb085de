"""The mathematics of a release gate: is the candidate at most a declared margin worse than the baseline?"""

import math
from dataclasses import dataclass
from typing import Literal

from scipy import special

from zirkel.stats.paired_binary import tango_bounds
from zirkel.stats.plan import SMALLEST_GAP, binary_items, units_without_change
from zirkel.stats.result import INDEPENDENT_ITEMS, Interval, MeanInterval, Result
from zirkel.stats.samples import check_alpha, check_fraction, check_positive

Verdict = Literal["PASS", "SUPERIOR", "FAIL", "INCONCLUSIVE"]
Direction = Literal["higher", "lower"]
"""Which way a metric is better: pass rates are ``higher``, latency and cost are ``lower``."""

POWER = 0.8
MOST_ITEMS = 10**9
"""More items than this are not an answer to "how many more?"."""

UNSEEN = "the bounds allow for changes not seen yet, since the differences do not vary"


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
    method: str
    """What the bounds are: ``t``, ``cr1_t``, ``tango``, ``no_change`` or the method of the interval that was given."""
    n: int
    n_clusters: int | None
    items_needed: int | None
    """INCONCLUSIVE only: items in total for 80 % power, if estimate and variance stay as they are. None if the
    candidate is worse by the margin or more, or the number is above a billion."""
    warnings: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()


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

    For independent pass/fail items use ``non_inferiority_binary``; for an interval of another kind (bootstrap,
    corrected for judge error, a confidence sequence) ``non_inferiority_interval``.

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
    check_direction(direction)
    varies = difference.standard_error > 0
    radius = one_sided_radius(difference, alpha, largest_difference)
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
        method=("t" if difference.n_clusters is None else "cr1_t") if varies else "no_change",
        n=difference.n,
        n_clusters=difference.n_clusters,
        items_needed=_items_needed(difference, gap, alpha, largest_difference) if verdict == "INCONCLUSIVE" else None,
        warnings=difference.warnings if varies else (*difference.warnings, UNSEEN),
        assumptions=difference.assumptions,
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
    check_direction(direction)
    lower, upper = tango_bounds(n_only_candidate, n_only_baseline, n, check_alpha(alpha))
    verdict = _verdict(lower, upper, margin, direction)
    items_needed = None
    if verdict == "INCONCLUSIVE":
        better, worse = n_only_candidate / n, n_only_baseline / n
        if direction == "lower":
            better, worse = worse, better
        items_needed = _binary_items_needed(better, worse, n, margin, alpha)
    return NonInferiority(
        verdict=verdict,
        estimate=(n_only_candidate - n_only_baseline) / n,
        lower=lower,
        upper=upper,
        margin=float(margin),
        direction=direction,
        alpha=float(alpha),
        method="tango",
        n=int(n),
        n_clusters=None,
        items_needed=items_needed,
        assumptions=INDEPENDENT_ITEMS,
    )


def non_inferiority_interval(
    difference: Interval | MeanInterval, *, margin: float, direction: Direction = "higher"
) -> NonInferiority:
    """Return the verdict of ``non_inferiority`` by a two-sided interval of any kind, taken as it is.

    Its bounds are the one-sided ones at ``alpha = (1 - confidence) / 2``: for a gate at 0.05 give an interval of 0.9.
    With a confidence sequence the verdict holds however often one looked.

    Args:
        difference: Candidate minus baseline.
        margin: Above 0, in the metric's unit, declared before the run.
        direction: Which way the metric is better.

    Raises:
        ValueError: If a bound above is broken.

    Source: Schuirmann (1987), J. Pharmacokinet. Biopharm. 15, 657-680 (interval inclusion).
    """
    check_positive(margin, "margin")
    check_direction(direction)
    alpha = (1 - difference.confidence) / 2
    verdict = _verdict(difference.low, difference.high, margin, direction)
    gap = _gap(difference.estimate, margin, direction)
    towards = difference.estimate - difference.low if direction == "higher" else difference.high - difference.estimate
    needed = None
    if verdict == "INCONCLUSIVE" and gap > 0:
        # The side towards the margin, read as a normal quantile times a standard error.
        standard_error = towards / float(special.ndtri(1 - alpha))
        needed = _scaled(difference.n, standard_error, gap, alpha)
    return NonInferiority(
        verdict=verdict,
        estimate=difference.estimate,
        lower=difference.low,
        upper=difference.high,
        margin=float(margin),
        direction=direction,
        alpha=alpha,
        method=difference.method,
        n=difference.n,
        n_clusters=difference.n_clusters,
        items_needed=needed,
        warnings=difference.warnings,
        assumptions=difference.assumptions,
    )


def one_sided_radius(difference: MeanInterval, alpha: float, largest_difference: float) -> float:
    """Return the distance from the estimate to its one-sided bounds, see ``non_inferiority``."""
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
        return _as_items(units_without_change(gap / largest_difference, alpha) * per_unit, difference.n)
    return _scaled(difference.n, difference.standard_error, gap, alpha)


def _scaled(n: int, standard_error: float, gap: float, alpha: float) -> int | None:
    """Return how many items bring the standard error down to what a gap needs, for 80 % power."""
    # The variance of one item, times the design effect of its cluster, is n * standard_error^2.
    factor = float(special.ndtri(1 - alpha) + special.ndtri(POWER)) ** 2
    return _as_items(n * factor / max(gap / standard_error, SMALLEST_GAP) ** 2, n)


def _binary_items_needed(better: float, worse: float, n: int, margin: float, alpha: float) -> int | None:
    """Return the items for 80 % power, see ``NonInferiority.items_needed``."""
    gap = better - worse + margin
    if gap <= 0:
        return None
    # Without any change the score bound is -z^2 / (n + z^2).
    without_change = float(special.ndtri(alpha)) ** 2 * (1 / max(gap, SMALLEST_GAP) - 1)
    needed = binary_items(better, worse, margin, alpha=alpha, power=POWER)
    return _as_items(max(needed, math.floor(without_change) + 1), n)


def _as_items(needed: float, n: int) -> int | None:
    """Return ``needed`` as a whole number above ``n``: with very few items the formulas can fall below it."""
    return None if needed > MOST_ITEMS else max(math.ceil(needed), n + 1)


def check_direction(direction: str) -> None:
    """Return if ``direction`` is a ``Direction``.

    Raises:
        ValueError: If it is not.
    """
    if direction not in ("higher", "lower"):
        raise ValueError(f"direction is {direction!r}; it must be 'higher' or 'lower'")
