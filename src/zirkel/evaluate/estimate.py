"""What an evaluation would cost, before anything is spent. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt
from statistics import fmean, stdev

from zirkel.core import AnswerSample

FEW = 20
"""Earlier answers below which the spread among them says too little."""
ASSUMED_OUTPUT = (20.0, 200.0, 1000.0)
"""Output tokens where there is no earlier answer: low, likely, high."""
WIDEST = 2.0
"""Standard errors to either side of a mean."""
LEAST_SPREAD = 0.1
"""No range is narrower than this share of its middle: the items to come are others."""


@dataclass(frozen=True, slots=True)
class Range:
    """A number that is not known yet."""

    low: float
    likely: float
    high: float

    def times(self, factor: float) -> "Range":
        """Return the range of a multiple."""
        return Range(self.low * factor, self.likely * factor, self.high * factor)

    def plus(self, other: "Range") -> "Range":
        """Return the range of a sum, as if both went wrong together."""
        return Range(self.low + other.low, self.likely + other.likely, self.high + other.high)


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """USD per million tokens."""

    input: Decimal
    output: Decimal


@dataclass(frozen=True, slots=True)
class CallEstimate:
    """What one kind of call would cost, all of them together."""

    name: str
    """A release's digest, or an evaluator."""
    calls: int
    """That would be made and paid."""
    cached: int
    """That would be answered from before, and cost nothing."""
    cost_usd: Range | None
    """Of all calls; ``None`` if it is unknown."""
    basis: str
    """Where the numbers come from, or why there are none."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an evaluation would cost."""

    systems: tuple[CallEstimate, ...]
    """The candidate, then the baseline if there is one."""
    judges: tuple[CallEstimate, ...]
    """Of both releases together."""

    @property
    def total_usd(self) -> Range | None:
        """Everything; ``None`` if the cost of any part is unknown."""
        total = Range(0, 0, 0)
        for part in (*self.systems, *self.judges):
            if part.calls and part.cost_usd is None:
                return None
            total = total.plus(part.cost_usd) if part.cost_usd is not None else total
        return total


def range_of(values: Sequence[float]) -> Range | None:
    """Return where the mean of further values will probably lie; ``None`` below ``FEW`` of them.

    It is the mean with two standard errors to either side, at least a tenth.
    """
    if len(values) < FEW:
        return None
    mean = fmean(values)
    radius = max(WIDEST * stdev(values) / sqrt(len(values)), LEAST_SPREAD * mean)
    return Range(max(0.0, mean - radius), mean, mean + radius)


def call_cost(input_tokens: float, output_tokens: Range, price: TokenPrice) -> Range:
    """Return what one call costs in USD."""
    fixed = input_tokens * float(price.input)
    rate = float(price.output)
    found = Range(*(fixed + tokens * rate for tokens in (output_tokens.low, output_tokens.likely, output_tokens.high)))
    return found.times(1e-6)


def output_range(samples: Sequence[AnswerSample], release: str, most: float | None) -> tuple[Range, str]:
    """Return how long an answer will be, in tokens, and where that is known from.

    Args:
        samples: Earlier answers of the service.
        release: Whose answers; those of other releases tell less, and those of none nothing.
        most: What the model may answer at most; None if it is not bounded.
    """
    for chosen, words in (
        ([s for s in samples if s.release == release], "earlier answers of the release"),
        (samples, "earlier answers of the service"),
    ):
        lengths = [float(s.output_tokens) for s in chosen if s.output_tokens is not None]
        found = range_of(lengths)
        if found is not None:
            return found, f"{len(lengths)} {words}"
    high = ASSUMED_OUTPUT[2] if most is None else min(most, 2 * ASSUMED_OUTPUT[2])
    likely = min(ASSUMED_OUTPUT[1], high)
    return Range(min(ASSUMED_OUTPUT[0], likely), likely, high), "no earlier answers: lengths are assumed"


def judges_range(samples: Sequence[AnswerSample], evaluators: str) -> tuple[Range, str] | None:
    """Return what judging one answer costs in USD by earlier experiments with these evaluators; None if unknown."""
    costs = [float(s.judges_usd) for s in samples if s.evaluators_digest == evaluators and s.judges_usd is not None]
    found = range_of(costs)
    return (found, f"{len(costs)} answers that were judged before") if found is not None else None
