"""Pass rates: how sure we are of ``passes`` out of ``trials``."""

import math

from scipy import special

from zirkel.stats.result import INDEPENDENT_ITEMS, Interval, LowerBound
from zirkel.stats.samples import check_alpha, check_fraction, check_positive


def wilson_interval(passes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Return the Wilson score interval for a pass rate.

    Used for display: it stays inside [0, 1] and does not collapse to a point at 0 % or
    100 %, where the normal approximation does.

    Args:
        passes: Items scored as pass, ``0 <= passes <= trials``.
        trials: Independent items scored, at least 1. Errored items are not trials.
        confidence: Two-sided coverage as a fraction (0.95, not 95).

    Raises:
        ValueError: If a bound above is broken.

    Source: Wilson (1927), JASA 22(158), 209-212.
    """
    _check_counts(passes, trials)
    z = float(special.ndtri((1 + check_fraction(confidence, "confidence")) / 2))
    rate = passes / trials
    shrink = 1 + z**2 / trials
    centre = (rate + z**2 / (2 * trials)) / shrink
    radius = z * math.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2)) / shrink
    # At the edges the formula gives exactly 0 or 1; rounding must not move the bound past the estimate.
    low = 0.0 if passes == 0 else min(centre - radius, rate)
    high = 1.0 if passes == trials else max(centre + radius, rate)
    return _interval(passes, trials, (low, high), confidence, "wilson")


def clopper_pearson_interval(passes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Return the Clopper-Pearson ("exact") interval for a pass rate.

    Its coverage is never below ``confidence``, whatever the true rate; the price is width.

    Args:
        passes: Items scored as pass, ``0 <= passes <= trials``.
        trials: Independent items scored, at least 1. Errored items are not trials.
        confidence: Two-sided coverage as a fraction (0.95, not 95).

    Raises:
        ValueError: If a bound above is broken.

    Source: Clopper and Pearson (1934), Biometrika 26(4), 404-413; as beta quantiles.
    """
    _check_counts(passes, trials)
    tail = (1 - check_fraction(confidence, "confidence")) / 2
    low = _lower_limit(passes, trials, tail)
    high = 1 - _lower_limit(trials - passes, trials, tail)
    return _interval(passes, trials, (low, high), confidence, "clopper_pearson")


def beta_interval(passes: int, trials: int, *, prior: float = 1.0, confidence: float = 0.95) -> Interval:
    """Return the equal-tailed credible interval of a pass rate for a symmetric beta prior.

    For readers who want a statement about the rate itself. The estimate is the mean of the posterior. Averaged over
    rates drawn from the prior it covers exactly as often as it says; near 0 % and 100 % less often than Wilson's.

    Args:
        passes: Items scored as pass, ``0 <= passes <= trials``.
        trials: Independent items scored, at least 1. Errored items are not trials.
        prior: Both parameters of the beta prior, above 0: 1 is the uniform prior, 0.5 Jeffreys'.
        confidence: Posterior probability as a fraction (0.95, not 95).

    Raises:
        ValueError: If a bound above is broken.

    Source: Brown, Cai and DasGupta (2001), Statistical Science 16(2), 101-133, section 4.1.2; for evaluations
        Bowyer, Aitchison and Ivanova (2025), arXiv:2503.01747.
    """
    _check_counts(passes, trials)
    check_positive(prior, "prior")
    tail = (1 - check_fraction(confidence, "confidence")) / 2
    a, b = passes + prior, trials - passes + prior
    return Interval(
        estimate=a / (a + b),
        low=float(special.betaincinv(a, b, tail)),
        high=1 - float(special.betaincinv(b, a, tail)),
        confidence=float(confidence),
        method="jeffreys" if prior == 0.5 else "beta",
        n=int(trials),
        assumptions=INDEPENDENT_ITEMS,
    )


def proportion_lower_bound(passes: int, trials: int, *, alpha: float = 0.05) -> LowerBound:
    """Return the one-sided Clopper-Pearson lower bound for a pass rate, for gates with a floor.

    A true rate below the bound would have produced so many passes with probability at most ``alpha``.
    If all pass it is ``alpha ** (1 / trials)``: about ``1 - 3 / trials`` at 0.05, the rule of three.

    Args:
        passes: Items scored as pass, ``0 <= passes <= trials``.
        trials: Independent items scored, at least 1. Errored items are not trials.
        alpha: Allowed probability of a false pass, below 0.5.

    Raises:
        ValueError: If a bound above is broken.

    Source: Clopper and Pearson (1934), Biometrika 26(4), 404-413; as a beta quantile.
    """
    _check_counts(passes, trials)
    low = _lower_limit(passes, trials, check_alpha(alpha))
    return LowerBound(passes / trials, low, float(alpha), "clopper_pearson", int(trials), assumptions=INDEPENDENT_ITEMS)


def _interval(passes: int, trials: int, bounds: tuple[float, float], confidence: float, method: str) -> Interval:
    low, high = bounds
    return Interval(passes / trials, low, high, float(confidence), method, int(trials), assumptions=INDEPENDENT_ITEMS)


def _lower_limit(passes: int, trials: int, tail: float) -> float:
    return 0.0 if passes == 0 else float(special.betaincinv(passes, trials - passes + 1, tail))


def _check_counts(passes: int, trials: int) -> None:
    if trials < 1:
        raise ValueError(f"trials is {trials}; a rate needs at least 1 scored item")
    if not 0 <= passes <= trials:
        raise ValueError(f"passes is {passes}; it must lie between 0 and the {trials} trials")
