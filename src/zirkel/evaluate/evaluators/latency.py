"""How long an answer took."""

import msgspec

from zirkel.core import Score, Unscored
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.evaluators.limits import limit_problem, measure
from zirkel.evaluate.subject import Subject


class LatencyOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``latency``."""

    limit: float | None = None
    """Longest time in milliseconds that passes; the score is 1 or 0 then, with the time in the details."""


def score(options: LatencyOptions, subject: Subject, _: Tools) -> Score:
    """Return the time from request to full answer in milliseconds, or with a limit 1 if it is kept and 0 if not.

    An answer whose time is unknown is unscored. An experiment's own load is in the times it measures.
    """
    if subject.duration_ms is None:
        return Unscored("how long the answer took is unknown")
    return measure(subject.duration_ms, options.limit)


KIND = EvaluatorKind(
    "latency",
    "how long the answer took",
    LatencyOptions,
    score,
    check=lambda options: limit_problem(options.limit),
    unit="ms",
    is_higher_better=False,
    has_limit=lambda options: options.limit is not None,
)
