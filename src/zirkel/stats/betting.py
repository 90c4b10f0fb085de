"""Means of bounded values by betting: exact at every look, whatever the values' distribution."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from zirkel.stats.confidence_sequences import ConfidenceSequence
from zirkel.stats.result import Result
from zirkel.stats.samples import FloatArray, Samples, check_fraction, check_samples

Side = Literal["greater", "less"]
"""Whether a mean is suspected above or below the null."""

MOST_STAKE = 0.5
"""No bet risks more than this share of the wealth."""
HALVINGS = 40
"""Of the range in which a bound is looked for."""
LARGEST_LOG = 700.0
"""The logarithm of about the largest float."""
SAME_MEAN = "each value has the same mean given those before: the order does not depend on the results"


@dataclass(frozen=True, slots=True)
class BettingTest(Result):
    """A one-sided test of a mean of bounded values that may be looked at after each of them; start with ``bet_on``.

    It holds the wealth of a gambler who started with 1 and bets against the null hypothesis. Under that hypothesis
    the wealth is expected not to grow, and reaches ``1 / alpha`` with probability at most ``alpha``, ever. The record
    is the whole state: ``BettingTest(**state)`` goes on where ``to_dict`` left off.

    Source: Waudby-Smith and Ramdas (2024), JRSS B 86(1), 1-27, arXiv:2010.09686, appendix B.3 (approximate GRAPA,
        truncated); the level: Ville's inequality.
    """

    null: float
    """The mean that is bet against."""
    alternative: Side
    low: float
    """Bounds that no value can leave."""
    high: float
    n: int = 0
    """Values so far."""
    total: float = 0.0
    """Their sum, each as a fraction of the way from one bound to the other."""
    squares: float = 0.0
    """Sum of their squared distances from the running mean, in the same unit."""
    log_wealth: float = 0.0
    """Natural logarithm of the e-value now."""
    most_log_wealth: float = 0.0
    """The largest so far; a test that has crossed its level stays rejected."""

    def __post_init__(self) -> None:
        # Named: a class with slots is built anew, and ``super()`` without arguments would look for the first one.
        Result.__post_init__(self)
        if not self.low < self.null < self.high:
            raise ValueError(f"null is {self.null}; it must lie between the bounds {self.low} and {self.high}")
        if self.alternative not in ("greater", "less"):
            raise ValueError(f"alternative is {self.alternative!r}; it must be 'greater' or 'less'")

    @property
    def e_value(self) -> float:
        """The wealth now; cut off at 1e304."""
        return math.exp(min(self.log_wealth, LARGEST_LOG))

    @property
    def p_value(self) -> float:
        """The p-value that holds at every look, ``min(1, 1 / largest e-value)``."""
        return math.exp(-max(self.most_log_wealth, 0.0))

    def update(self, values: Samples) -> "BettingTest":
        """Return the test after further values; many at once or one by one comes to the same.

        Args:
            values: One per independent unit (of items that share a source, their mean), within the bounds, in an order
                that does not depend on them.

        Raises:
            ValueError: If a value is not finite or out of bounds.
        """
        array = check_samples(values, "values")
        if len(array) == 0:
            return self
        shares = to_shares(array, self.low, self.high)
        null = (self.null - self.low) / (self.high - self.low)
        if self.alternative == "less":
            shares, null = 1 - shares, 1 - null
        count = self.n + np.arange(1, len(array) + 1)
        # One pretended value in the middle keeps the first bets small.
        means = (0.5 + self.total + np.cumsum(shares)) / (count + 1)
        squares = self.squares + np.cumsum((shares - means) ** 2)
        variances = (0.25 + squares) / (count + 1)
        before = np.concatenate([[(0.5 + self.total) / (self.n + 1)], means[:-1]]) - null
        spread = np.concatenate([[(0.25 + self.squares) / (self.n + 1)], variances[:-1]])
        stakes = np.clip(before / (spread + before**2), 0.0, MOST_STAKE / null)
        path = self.log_wealth + np.cumsum(np.log1p(stakes * (shares - null)))
        return replace(
            self,
            n=self.n + len(array),
            total=self.total + float(np.sum(shares)),
            squares=float(squares[-1]),
            log_wealth=float(path[-1]),
            most_log_wealth=max(self.most_log_wealth, float(np.max(path))),
        )


def bet_on(alternative: Side, *, null: float = 0.0, low: float = -1.0, high: float = 1.0) -> BettingTest:
    """Return a betting test that has seen nothing yet.

    ``bet_on("greater", null=-margin)`` gathers evidence that a candidate is not worse by the margin, ``"less"`` with
    the same null that it is. Reject at ``e_value >= 1 / alpha``, at any time.

    Args:
        alternative: Whether the mean is suspected above or below ``null``.
        null: Strictly between the bounds.
        low: Smallest value there can be; -1 for differences of scores from 0 to 1.
        high: Largest value there can be.

    Raises:
        ValueError: If a bound above is broken.

    Source: see ``BettingTest``.
    """
    return BettingTest(float(null), alternative, float(low), float(high))


def betting_cs(values: Samples, *, low: float = 0.0, high: float = 1.0, confidence: float = 0.95) -> ConfidenceSequence:
    """Return the interval of a mean of bounded values that holds at every look (hedged capital, running intersection).

    A mean is left out for good once a bet against it, half on "greater" and half on "less", has won ``1 / alpha``
    times its stake. For values of small variance it is much narrower than a bound from the range alone.

    Args:
        values: In the order they came, at least 1, one per independent unit, within the bounds.
        low: Smallest value there can be; -1 for differences of scores from 0 to 1.
        high: Largest value there can be.
        confidence: Coverage of all looks together, as a fraction (0.95, not 95).

    Raises:
        ValueError: If a bound above is broken.

    Source: Waudby-Smith and Ramdas (2024), JRSS B 86(1), 1-27, arXiv:2010.09686, theorem 3 (hedged capital) with the
        bets of its predictable plug-in empirical Bernstein sequence.
    """
    alpha = 1 - check_fraction(confidence, "confidence")
    array = check_samples(values, "values")
    if len(array) == 0:
        raise ValueError("values is empty; at least 1 is needed")
    if not low < high:
        raise ValueError(f"the bounds are {low} and {high}; the lower must be below the upper")
    shares = to_shares(array, low, high)
    stakes, level = _plug_in_stakes(shares, alpha / 2), math.log(2 / alpha)
    # Turned upside down the values' upper bound is a lower one.
    share_low = _lower_bound(shares, stakes, level)
    share_high = 1 - _lower_bound(1 - shares, stakes, level)
    warnings: tuple[str, ...] = ()
    if share_low > share_high:
        warnings = ("values early and late contradict each other: their mean seems to have changed",)
        share_low, share_high = share_high, share_low
    return ConfidenceSequence(
        estimate=float(np.mean(array)),
        low=low + share_low * (high - low),
        high=low + share_high * (high - low),
        confidence=float(confidence),
        method="hedged_betting_cs",
        n=len(array),
        warnings=warnings,
        assumptions=(SAME_MEAN, f"no value can leave the bounds {low:g} to {high:g}"),
    )


def to_shares(values: FloatArray, low: float, high: float) -> FloatArray:
    """Return values as fractions of the way from one bound to the other.

    Raises:
        ValueError: If a value is out of bounds; the message names the first.
    """
    out = np.flatnonzero((values < low) | (values > high))
    if len(out):
        raise ValueError(f"values[{out[0]}] is {values[out[0]]}; it must lie within the bounds {low} and {high}")
    shares: FloatArray = (values - low) / (high - low)
    return shares


def _plug_in_stakes(shares: FloatArray, alpha: float) -> FloatArray:
    """Return how much to bet on each value, known before it: less the more they vary and the later it is."""
    count = np.arange(1, len(shares) + 1)
    means = (0.5 + np.cumsum(shares)) / (count + 1)
    variances = (0.25 + np.cumsum((shares - means) ** 2)) / (count + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    stakes: FloatArray = np.sqrt(2 * math.log(1 / alpha) / (count * np.log1p(count) * before))
    return stakes


def _lower_bound(shares: FloatArray, stakes: FloatArray, level: float) -> float:
    """Return the smallest mean from 0 to 1 against which a bet on more never won ``level``, by bisection.

    The wealth of such a bet falls as the mean that it is against rises, so all means below are left out.
    """
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        wealth = np.cumsum(np.log1p(np.minimum(stakes, MOST_STAKE / middle) * (shares - middle)))
        if np.max(wealth) >= level:
            low = middle
        else:
            high = middle
    return low
