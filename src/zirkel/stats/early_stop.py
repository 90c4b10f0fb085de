"""Stopping an evaluation as soon as its verdict is known, without paying for having looked."""

import math
from dataclasses import dataclass, replace

from zirkel.stats.betting import BettingTest, Side, bet_on
from zirkel.stats.non_inferiority import Direction, Verdict, check_direction
from zirkel.stats.result import PlainValue
from zirkel.stats.samples import Samples, check_alpha, check_positive


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """A non-inferiority test that may be looked at after every item; start with ``early_stop``.

    Stop as soon as ``verdict`` is not INCONCLUSIVE, and report that verdict: a fixed-size test on the same items would
    not allow for the looks.
    """

    margin: float
    """How much worse is still acceptable, above 0, in the metric's unit."""
    direction: Direction
    alpha: float
    """Probability of ever passing a candidate that is worse by the margin or more."""
    not_worse: BettingTest
    """Against "worse by the margin or more"."""
    better: BettingTest
    """Against "no better"."""
    worse: BettingTest
    """Against "worse by the margin at most"."""

    def update(self, differences: Samples) -> "EarlyStop":
        """Return the test after further items; many at once or one by one comes to the same.

        Args:
            differences: Candidate minus baseline, one per independent unit (of items that share a source, the mean of
                their differences), in an order fixed before the run: whoever feeds items in the order in which
                answers come back may feed the easy ones first.

        Raises:
            ValueError: If a difference is not finite or out of bounds.
        """
        return replace(
            self,
            not_worse=self.not_worse.update(differences),
            better=self.better.update(differences),
            worse=self.worse.update(differences),
        )

    @property
    def verdict(self) -> Verdict:
        """What is shown so far; once shown it stays, except that PASS can become SUPERIOR."""
        level = -math.log(self.alpha)
        if self.worse.most_log_wealth >= level:
            return "FAIL"
        if self.better.most_log_wealth >= level:
            return "SUPERIOR"
        return "PASS" if self.not_worse.most_log_wealth >= level else "INCONCLUSIVE"

    def to_dict(self) -> dict[str, PlainValue | dict[str, PlainValue]]:
        """Return the verdict, the policy and the state of the three tests as plain JSON values."""
        return {
            "verdict": self.verdict,
            "margin": self.margin,
            "direction": self.direction,
            "alpha": self.alpha,
            "n": self.not_worse.n,
            "not_worse": self.not_worse.to_dict(),
            "better": self.better.to_dict(),
            "worse": self.worse.to_dict(),
        }


def early_stop(
    *,
    margin: float,
    direction: Direction = "higher",
    alpha: float = 0.05,
    low: float = -1.0,
    high: float = 1.0,
) -> EarlyStop:
    """Return an early-stopping test that has seen nothing yet.

    Args:
        margin: Above 0 and within the bounds, in the metric's unit, declared before the run.
        direction: Which way the metric is better.
        alpha: Allowed probability of ever passing a candidate that is worse by the margin, below 0.5.
        low: Smallest difference there can be; -1 for scores from 0 to 1.
        high: Largest difference there can be.

    Raises:
        ValueError: If a bound above is broken.

    Source: Waudby-Smith and Ramdas (2024), see ``BettingTest``; both PASS and SUPERIOR at the full alpha by closed
        testing.
    """
    check_positive(margin, "margin")
    check_alpha(alpha)
    check_direction(direction)
    good: Side = "greater" if direction == "higher" else "less"
    bad: Side = "less" if direction == "higher" else "greater"
    null = -margin if direction == "higher" else margin
    return EarlyStop(
        margin=float(margin),
        direction=direction,
        alpha=float(alpha),
        not_worse=bet_on(good, null=null, low=low, high=high),
        better=bet_on(good, null=0.0, low=low, high=high),
        worse=bet_on(bad, null=null, low=low, high=high),
    )
