"""Pass rates of a judge whose errors were measured elsewhere, corrected for its sensitivity and specificity."""

import math

from scipy import special

from zirkel.stats.confusion import LEAST_YOUDEN
from zirkel.stats.result import Interval
from zirkel.stats.samples import check_fraction

ASSUMPTIONS = (
    "labels were drawn for true passes and true fails apart, independent of the judged items",
    "the judge errs on these items as it did on the labelled ones, given the truth",
)


def rogan_gladen(
    judged_pass_rate: float,
    n_judged: int,
    specificity: float,
    n_fails: int,
    sensitivity: float,
    n_passes: int,
    *,
    confidence: float = 0.95,
) -> Interval:
    """Return the true pass rate behind a judge's, if its sensitivity and specificity were measured apart.

    ``(p + q0 - 1) / (q0 + q1 - 1)``. It survives that labelled and judged items differ in how many pass, which
    ``ppi_mean`` does not; use that one where the labelled items are a random sample of the judged ones: it is
    narrower, and valid for any judge. Rates are smoothed before the interval (``z^2 / 2`` in ``z^2`` for the judged
    items, 1 in 2 for the labelled ones), and its centre is moved to make up for the skew.

    Args:
        judged_pass_rate: Share of the judged items that the judge passes, 0 to 1.
        n_judged: Judged items, at least 1.
        specificity: Share of the labelled fails that the judge fails, 0 to 1.
        n_fails: Labelled fails, at least 1.
        sensitivity: Share of the labelled passes that the judge passes, 0 to 1.
        n_passes: Labelled passes, at least 1.
        confidence: Two-sided coverage as a fraction (0.95, not 95).

    Raises:
        ValueError: If a bound above is broken, or ``sensitivity + specificity`` is not above 1: such a judge is no
            better than a coin, and nothing can be corrected by it.

    Source: Rogan and Gladen (1978), American Journal of Epidemiology 107(1), 71-76; interval: Lee et al. (2025),
        arXiv:2511.21140.
    """
    z = float(special.ndtri((1 + check_fraction(confidence, "confidence")) / 2))
    for name, rate in (
        ("judged_pass_rate", judged_pass_rate),
        ("specificity", specificity),
        ("sensitivity", sensitivity),
    ):
        if not 0 <= rate <= 1:
            raise ValueError(f"{name} is {rate}; it must lie between 0 and 1")
    for name, count in (("n_judged", n_judged), ("n_fails", n_fails), ("n_passes", n_passes)):
        if count < 1:
            raise ValueError(f"{name} is {count}; at least 1 item is needed")
    youden = sensitivity + specificity - 1
    if youden <= 0:
        raise ValueError(f"sensitivity {sensitivity:g} and specificity {specificity:g} are no better than a coin's")
    low, high = _bounds(judged_pass_rate, n_judged, specificity, n_fails, sensitivity, n_passes, z)
    estimate = min(max((judged_pass_rate + specificity - 1) / youden, 0.0), 1.0)
    warnings = []
    if youden < LEAST_YOUDEN:
        warnings.append(f"Youden's index is {youden:.2f}, below {LEAST_YOUDEN}: people's labels alone may tell more")
    if not low <= estimate <= high:
        warnings.append("with so few labels smoothing moves the interval past the estimate")
    return Interval(
        estimate=estimate,
        low=min(low, estimate),
        high=max(high, estimate),
        confidence=float(confidence),
        method="rogan_gladen",
        n=int(n_judged),
        warnings=tuple(warnings),
        assumptions=ASSUMPTIONS,
    )


def allocate_calibration(
    n_labels: int, judged_pass_rate: float, specificity: float, sensitivity: float, n_pilot: int
) -> tuple[int, int]:
    """Return how many true fails and how many true passes to label, for the narrowest ``rogan_gladen`` interval.

    Args:
        n_labels: Labels in total, at least 2; each side gets at least 1.
        judged_pass_rate: Share that the judge passes, strictly between 0 and 1.
        specificity: As a pilot found it, 0 to 1.
        sensitivity: As a pilot found it, 0 to 1.
        n_pilot: Labels of each side in the pilot, at least 1; few of them pull the split towards the judge's own rate.

    Returns:
        Labels of fails, labels of passes.

    Raises:
        ValueError: If a bound above is broken.

    Source: Lee et al. (2025), arXiv:2511.21140, ``m1 = m / (1 + (1/p - 1) sqrt(k))``, k the ratio of smoothed errors.
    """
    check_fraction(judged_pass_rate, "judged_pass_rate")
    if n_labels < 2 or n_pilot < 1:
        raise ValueError(f"{n_labels} labels and a pilot of {n_pilot}; at least 2 and 1 are needed")
    if not (0 <= specificity <= 1 and 0 <= sensitivity <= 1):
        raise ValueError(f"specificity {specificity} and sensitivity {sensitivity} must lie between 0 and 1")
    ratio = (n_pilot * (1 - specificity) + 1) / (n_pilot * (1 - sensitivity) + 1)
    passes = round(n_labels / (1 + (1 / judged_pass_rate - 1) * math.sqrt(ratio)))
    passes = min(max(passes, 1), n_labels - 1)
    return n_labels - passes, passes


def _bounds(
    rate: float, n: int, specificity: float, n_fails: int, sensitivity: float, n_passes: int, z: float
) -> tuple[float, float]:
    """Return the bounds, from smoothed rates."""
    m, m0, m1 = n + z**2, n_fails + 2, n_passes + 2
    p, q0, q1 = (n * rate + z**2 / 2) / m, (n_fails * specificity + 1) / m0, (n_passes * sensitivity + 1) / m1
    youden = q0 + q1 - 1
    if youden <= 0:
        return 0.0, 1.0
    theta = (p + q0 - 1) / youden
    of_fails, of_passes = q0 * (1 - q0) / m0, q1 * (1 - q1) / m1
    error = math.sqrt(p * (1 - p) / m + (1 - theta) ** 2 * of_fails + theta**2 * of_passes) / youden
    centre = theta + 2 * z**2 * (theta * of_passes - (1 - theta) * of_fails)
    return min(max(centre - z * error, 0.0), 1.0), min(max(centre + z * error, 0.0), 1.0)
