"""Two versions on the same items: what differs, item by item."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats

from zirkel.stats.mean import ROUNDING, estimate_mean
from zirkel.stats.result import MeanInterval, Result
from zirkel.stats.samples import Alternative, Clusters, Samples, check_alternative, check_differences

FEW_CHANGES = 10


@dataclass(frozen=True, slots=True)
class McNemarTest(Result):
    """Whether two versions pass equally often, judged by the items on which they disagree."""

    n_only_first: int
    """Items that only the first version passed."""
    n_only_second: int
    """Items that only the second version passed."""
    p_exact: float
    """Two-sided; never too small. For gates."""
    p_mid: float
    """Two-sided mid-p; close to its nominal level. For reports."""
    chi_square: float
    """The large-sample statistic ``(b - c)^2 / (b + c)``, without correction; 0 without any disagreement."""
    p_chi_square: float
    """Two-sided, from ``chi_square``; to compare with other software."""


def paired_difference(
    candidate: Samples, baseline: Samples, clusters: Clusters | None = None, *, confidence: float = 0.95
) -> MeanInterval:
    """Return the mean of ``candidate - baseline`` over the same items, with a t interval.

    Pairing removes how hard the items are, so it needs fewer of them than two separate means do.

    Args:
        candidate: One value per item: the mean over its trials. At least 2.
        baseline: The same items in the same order.
        clusters: One label per item, at least 2 different ones; makes the interval cluster-robust (CR1).
        confidence: Two-sided coverage as a fraction (0.95, not 95).

    Raises:
        ValueError: If a bound above is broken, the lengths differ or a value is not finite.

    Source: Miller (2024), arXiv:2411.00640, section 4; for the standard errors see ``mean_interval``.
    """
    differences, scale = check_differences(candidate, baseline)
    result = estimate_mean(differences, clusters, confidence=confidence, scale=scale)
    n_changed = int(np.count_nonzero(np.abs(differences) > ROUNDING * scale))
    if not 0 < n_changed < FEW_CHANGES:
        return result
    warning = (
        f"only {n_changed} of {len(differences)} items changed: below {FEW_CHANGES} the interval may be too narrow"
    )
    return replace(result, warnings=(*result.warnings, warning))


def mcnemar(n_only_first: int, n_only_second: int) -> McNemarTest:
    """Return McNemar's test of equal pass rates on the same items, from the two counts of disagreement.

    Args:
        n_only_first: Items that only the first version passed, at least 0.
        n_only_second: Items that only the second version passed, at least 0.

    Raises:
        ValueError: If a count is negative.

    Source: McNemar (1947), Psychometrika 12(2), 153-157; mid-p: Fagerland, Lydersen and Laake (2013),
        BMC Medical Research Methodology 13:91.
    """
    if n_only_first < 0 or n_only_second < 0:
        raise ValueError(f"counts are {n_only_first} and {n_only_second}; they cannot be negative")
    fewer, total = min(n_only_first, n_only_second), n_only_first + n_only_second
    two_sided = 2 * float(stats.binom.cdf(fewer, total, 0.5))
    mid = two_sided - float(stats.binom.pmf(fewer, total, 0.5))
    chi_square = (n_only_first - n_only_second) ** 2 / total if total else 0.0
    return McNemarTest(
        n_only_first=int(n_only_first),
        n_only_second=int(n_only_second),
        p_exact=min(two_sided, 1.0),
        p_mid=min(mid, 1.0),
        chi_square=chi_square,
        p_chi_square=float(special.chdtrc(1, chi_square)),
    )


def t_p_value(difference: MeanInterval, *, null: float = 0.0, alternative: Alternative = "two-sided") -> float:
    """Return the p-value of a t test on a mean or a paired difference that was already estimated.

    Where the values do not vary, a t test would be certain of whatever it saw; then this is the sign test on the
    independent units, or 1 if the estimate is the null itself.

    Args:
        difference: Result of ``mean_interval`` or ``paired_difference``; its clusters are respected.
        null: The mean that is tested, in the unit of the values.
        alternative: ``greater`` asks whether the mean is above ``null``, ``less`` whether it is below.

    Raises:
        ValueError: If ``alternative`` is unknown.

    Source: Student (1908), Biometrika 6(1), 1-25; with clusters t(C-1), see ``mean_interval``.
    """
    check_alternative(alternative)
    distance = difference.estimate - null
    if alternative == "less":
        distance = -distance
    elif alternative == "two-sided":
        distance = abs(distance)
    if difference.standard_error > 0:
        tail = float(special.stdtr(difference.degrees_of_freedom, -distance / difference.standard_error))
    else:
        tail = 0.5 ** (difference.degrees_of_freedom + 1) if distance > 0 else 1.0
    return min(2 * tail, 1.0) if alternative == "two-sided" else tail
