"""Intervals that hold at every look, however often one looks and whenever one stops."""

import math
from dataclasses import dataclass

from scipy import optimize, special

from zirkel.stats.result import INDEPENDENT_ITEMS, Interval
from zirkel.stats.samples import check_fraction, check_positive

FEW_ITEMS = 100
"""Below so many items the normal approximation under ``asymptotic_cs`` has not set in."""
NEARLY_NONE, NEAR = 1e-6, 1e-9
"""Shares of the observed rate between which its lower bound is looked for."""
TUNED_ALPHA = 0.05
"""Sequences are tuned for this alpha whatever their own, so that those of one run are nested in their confidence."""


@dataclass(frozen=True, slots=True)
class ConfidenceSequence(Interval):
    """What a confidence sequence says after ``n`` items; the true mean lies in all of them, early and late, at once."""

    tightest_n: int | None = None
    """The number of items it was made for; it holds at any other number too. None if it has no such setting."""


def bernoulli_cs(passes: int, trials: int, *, confidence: float = 0.95, tightest_n: int = 100) -> ConfidenceSequence:
    """Return the interval of a pass rate that holds at every look.

    A rate is left out if a bet against it, spread over all alternatives by a beta mixture, has won ``1 / alpha`` times
    its stake.

    Args:
        passes: Items scored as pass so far, ``0 <= passes <= trials``.
        trials: Items scored so far, at least 1.
        confidence: Coverage of all looks together, as a fraction (0.95, not 95).
        tightest_n: Where it should be tightest, fixed before the data, at least 1.

    Raises:
        ValueError: If a bound above is broken.

    Source: Howard, Ramdas, McAuliffe and Sekhon (2021), Annals of Statistics 49(2), 1055-1080, proposition 7 (two-sided
        beta-binomial mixture), with its scale as in section 3.5.
    """
    if trials < 1 or not 0 <= passes <= trials:
        raise ValueError(f"{passes} passes in {trials} trials; at least 1 trial and no more passes than trials")
    alpha = 1 - check_fraction(confidence, "confidence")
    check_positive(tightest_n, "tightest_n")
    return ConfidenceSequence(
        estimate=passes / trials,
        low=_lower_rate(passes, trials, alpha, tightest_n),
        high=1 - _lower_rate(trials - passes, trials, alpha, tightest_n),
        confidence=float(confidence),
        method="beta_binomial_cs",
        n=int(trials),
        assumptions=("each item passes with the same probability, given those before",),
        tightest_n=int(tightest_n),
    )


def asymptotic_cs(
    mean: float, variance: float, n: int, *, confidence: float = 0.95, tightest_n: int = 5000
) -> ConfidenceSequence:
    """Return the interval of a mean that holds at every look, for values without known bounds, such as cost.

    It is approximate at small n, as a normal interval is, and needs at least 100 items; for bounded values
    ``betting_cs`` is exact. For the difference of two independent means give ``variance / n`` of the difference,
    times ``n``.

    Args:
        mean: Of the values so far.
        variance: Of one value, at least 0.
        n: Values so far, at least 1.
        confidence: Coverage of all looks together, as a fraction.
        tightest_n: Where it should be tightest, fixed before the data, at least 1.

    Raises:
        ValueError: If a bound above is broken.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Annals of Statistics 52(6), 2613-2640, theorem 2.2:
        the two-sided normal mixture of Howard et al. (2021), equation (14), with an estimated variance.
    """
    _check_moments(mean, variance, n)
    alpha = 1 - check_fraction(confidence, "confidence")
    intrinsic = n * _scale(tightest_n)
    # Its square is 2 (n rho^2 + 1) / (n^2 rho^2) * ln(sqrt(n rho^2 + 1) / alpha) variances.
    squared = 2 * (intrinsic + 1) / (n * intrinsic) * (math.log1p(intrinsic) / 2 - math.log(alpha))
    radius = math.sqrt(variance * squared)
    few = (f"only {n} items: below {FEW_ITEMS} the interval may be too narrow",) if n < FEW_ITEMS else ()
    return ConfidenceSequence(
        estimate=float(mean),
        low=mean - radius,
        high=mean + radius,
        confidence=float(confidence),
        method="asymptotic_cs",
        n=int(n),
        warnings=few,
        assumptions=(*INDEPENDENT_ITEMS, "enough of them that their mean is about normal"),
        tightest_n=int(tightest_n),
    )


def asymptotic_p_value(mean: float, variance: float, n: int, *, null: float = 0.0, tightest_n: int = 5000) -> float:
    """Return the p-value that ``asymptotic_cs`` warrants at every look: the alpha at which it would touch ``null``.

    Args:
        mean: Of the values so far.
        variance: Of one value, above 0.
        n: Values so far, at least 1.
        null: The mean that is tested.
        tightest_n: Where it should be tightest, fixed before the data, at least 1.

    Raises:
        ValueError: If a bound above is broken.

    Source: see ``asymptotic_cs``, solved for alpha.
    """
    _check_moments(mean, variance, n)
    check_positive(variance, "variance")
    intrinsic = n * _scale(tightest_n)
    log_p = math.log1p(intrinsic) / 2 - n * (mean - null) ** 2 * intrinsic / (2 * variance * (intrinsic + 1))
    return math.exp(min(log_p, 0.0))


def log_beta_mixture(passes: float, trials: float, rate: float, tightest_n: float) -> float:
    """Return the logarithm of the wealth of a bet, mixed over all alternatives, against a pass rate.

    Args:
        passes: Passes so far.
        trials: Items so far.
        rate: The pass rate that is bet against, strictly between 0 and 1.
        tightest_n: Where the bet should be most effective.

    Source: see ``bernoulli_cs``.
    """
    other = 1 - rate
    # How many items the mixture is worth: it is the beta distribution around the rate itself.
    weight = max(1 / _scale(tightest_n) - 1, 1e-3)
    a, b = weight * rate, weight * other
    mixed = special.betaln(a + passes, b + trials - passes) - special.betaln(a, b)
    return float(mixed - special.xlogy(passes, rate) - special.xlogy(trials - passes, other))


def _lower_rate(passes: int, trials: int, alpha: float, tightest_n: int) -> float:
    """Return the smallest rate that is not left out; 0 if none below the observed one is."""

    def excess(rate: float) -> float:
        return log_beta_mixture(passes, trials, rate, tightest_n) + math.log(alpha)

    observed = passes / trials
    if passes == 0 or excess(observed * NEARLY_NONE) <= 0:
        return 0.0
    return float(optimize.brentq(excess, observed * NEARLY_NONE, observed * (1 - NEAR), xtol=1e-15, rtol=1e-13))


def _scale(tightest_n: float) -> float:
    """Return rho squared, which makes the sequence about tightest at ``tightest_n``.

    Source: Howard, Ramdas, McAuliffe and Sekhon (2021), Annals of Statistics 49(2), 1055-1080, section 3.5, with the
        logarithm in place of Lambert's W.
    """
    check_positive(tightest_n, "tightest_n")
    level = -2 * math.log(TUNED_ALPHA)
    return (level + math.log1p(level)) / tightest_n


def _check_moments(mean: float, variance: float, n: int) -> None:
    if n < 1:
        raise ValueError(f"n is {n}; it must be at least 1")
    if not (math.isfinite(mean) and 0 <= variance < math.inf):
        raise ValueError(f"mean is {mean} and variance {variance}; both must be finite, the variance at least 0")
