"""Has a number's distribution moved away from its reference, by more than chance and by enough to matter?"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from zirkel.stats.result import Result
from zirkel.stats.samples import FloatArray, Samples, check_fraction, check_positive, check_samples

DriftState = Literal["not_enough_data", "no_drift", "drift"]


@dataclass(frozen=True, slots=True)
class DriftCheck(Result):
    """What a comparison of two windows found. The three numbers are None if there is not enough data."""

    state: DriftState
    statistic: float | None
    """Kolmogorov-Smirnov distance, 0 to 1."""
    p_value: float | None
    effect: float | None
    """Wasserstein distance in standard deviations of the reference."""
    n_reference: int
    n_current: int
    minimum_n: int
    """Values that both sides need."""
    minimum_effect: float
    alpha: float
    warnings: tuple[str, ...] = ()


def ks_drift(
    reference: Samples, current: Samples, *, minimum_effect: float, alpha: float = 0.01, minimum_n: int = 100
) -> DriftCheck:
    """Return whether ``current`` has drifted from ``reference``.

    ``drift`` needs both ``p_value < alpha`` (two-sample Kolmogorov-Smirnov, asymptotic) and
    ``effect >= minimum_effect``: with little data the first decides, with much data the second. An empty
    window is not an error but ``not_enough_data``. With several features adjust ``alpha`` for their number.

    Args:
        reference: Independent values, any unit.
        current: Independent values of the same unit.
        minimum_effect: Smallest shift worth an alarm, in standard deviations of the reference, above 0.
        alpha: Probability of ``p_value < alpha`` without drift, as a fraction.
        minimum_n: Values needed on both sides, at least 2.

    Raises:
        ValueError: If a bound above is broken or a value is not finite.

    Source: Smirnov (1948), Annals of Mathematical Statistics 19(2), 279-281; Wasserstein-1 distance of the
        empirical distributions.
    """
    before, now = check_samples(reference, "reference"), check_samples(current, "current")
    check_fraction(alpha, "alpha")
    check_positive(minimum_effect, "minimum_effect")
    if minimum_n < 2:
        raise ValueError(f"minimum_n is {minimum_n}; at least 2 values are needed on each side")
    state: DriftState = "not_enough_data"
    statistic = p_value = effect = None
    warnings: tuple[str, ...] = ()
    if min(len(before), len(now)) >= minimum_n:
        # The exact method falls back with a warning for some sizes; one method for all keeps results comparable.
        test = stats.ks_2samp(before, now, method="asymp")
        statistic, p_value = float(test.statistic), min(max(float(test.pvalue), 0.0), 1.0)
        effect, warnings = _effect(before, now)
        state = "drift" if p_value < alpha and effect >= minimum_effect else "no_drift"
    return DriftCheck(
        state,
        statistic,
        p_value,
        effect,
        len(before),
        len(now),
        int(minimum_n),
        float(minimum_effect),
        float(alpha),
        warnings,
    )


def _effect(before: FloatArray, now: FloatArray) -> tuple[float, tuple[str, ...]]:
    """Return the Wasserstein distance in standard deviations, and warnings about that unit."""
    both = np.concatenate([before, now])
    if np.ptp(both) == 0:
        return 0.0, ("all values are the same on both sides",)
    # In units of the largest value no square can underflow.
    size = float(np.max(np.abs(both)))
    distance = float(stats.wasserstein_distance(before / size, now / size))
    # The range, not the standard deviation, tells a constant: rounding can leave a tiny one.
    if np.ptp(before) > 0:
        return distance / float(np.std(before / size, ddof=1)), ()
    warning = "the reference does not vary: the effect is in standard deviations of both sides together"
    return distance / float(np.std(both / size, ddof=1)), (warning,)
