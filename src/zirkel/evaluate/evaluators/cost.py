"""What an answer cost."""

import msgspec

from zirkel.core import Score, Unscored
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.evaluators.limits import limit_problem, measure
from zirkel.evaluate.subject import Subject


class CostOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``cost``."""

    limit: float | None = None
    """Highest price in USD that passes; the score is 1 or 0 then, with the price in the details."""


def score(options: CostOptions, subject: Subject, _: Tools) -> Score:
    """Return what the answer cost in USD, or with a limit 1 if it is kept and 0 if not.

    What judging costs is not in it. An answer whose price is unknown is unscored.
    """
    if subject.cost_usd is None:
        return Unscored("what the answer cost is unknown")
    return measure(float(subject.cost_usd), options.limit)


KIND = EvaluatorKind(
    "cost",
    "what the answer cost",
    CostOptions,
    score,
    check=lambda options: limit_problem(options.limit),
    unit="usd",
    is_higher_better=False,
    has_limit=lambda options: options.limit is not None,
)
