"""What is measured: each evaluator's score, and what the system itself costs, takes and fails."""

from dataclasses import dataclass
from typing import Literal, cast, get_args

import msgspec

from zirkel.core import EvaluatorSpec, EvaluatorsSpec, GatePolicy, Invalid, Json, digest
from zirkel.evaluate.evaluators import kind_of
from zirkel.evaluate.evaluators.human import KIND as HUMAN_KIND
from zirkel.evaluate.evaluators.kind import parse_options
from zirkel.stats import Direction

Unit = Literal["share", "usd", "ms", "number"]
"""``share`` lies from 0 to 1; the others have no upper bound."""
UNITS: tuple[str, ...] = get_args(Unit)
HUMAN = HUMAN_KIND.name


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that each answer has."""

    name: str
    unit: Unit
    direction: Direction
    evaluator_digest: str = ""
    """Of kind, revision and options: what makes two scores the same measure. Empty for the system's own metrics."""
    needs_labels: bool = False
    """True if a model or people say it, so that it is people's labels that count."""


COST = Metric("cost_usd", "usd", "lower")
LATENCY = Metric("latency_ms", "ms", "lower")
ERROR_RATE = Metric("error_rate", "share", "lower")
SYSTEM = (COST, LATENCY, ERROR_RATE)


def metrics_of(evaluators: EvaluatorsSpec) -> dict[str, Metric]:
    """Return every metric of a service by name: its evaluators in order, then the system's own.

    Raises:
        Invalid: If a kind is unknown here.
    """
    found = [_evaluator_metric(spec) for spec in evaluators.evaluator]
    return {metric.name: metric for metric in (*found, *SYSTEM)}


def evaluator_digest(spec: EvaluatorSpec) -> str:
    """Return the digest of what an evaluator measures; its name is not in it.

    Raises:
        Invalid: If its kind is unknown here.
    """
    options: Json = msgspec.to_builtins(spec.options)
    return digest({"kind": spec.kind, "revision": kind_of(spec).revision, "options": options})


def check_policy(policy: GatePolicy, evaluators: EvaluatorsSpec) -> None:
    """Check what only the kinds of the evaluators can tell: whether bounds lie where the metric can be.

    Raises:
        Invalid: If a bound is outside; 5 for 5 % is the usual slip.
    """
    known = metrics_of(evaluators)
    for wanted in policy.metric:
        if known[wanted.evaluator].unit != "share":
            continue
        if wanted.margin is not None and not 0 < wanted.margin < 1:
            raise _outside("margin", wanted.margin, wanted.name, "above 0 and below 1")
        if wanted.floor is not None and not 0 <= wanted.floor <= 1:
            raise _outside("floor", wanted.floor, wanted.name, "from 0 to 1")


def _evaluator_metric(spec: EvaluatorSpec) -> Metric:
    kind = kind_of(spec)
    if kind.unit not in UNITS:
        raise Invalid(f"evaluator {spec.name!r}: its kind measures in {kind.unit!r}; known are {', '.join(UNITS)}")
    needs_labels = kind.uses_model or kind.name == HUMAN
    if kind.has_limit(parse_options(kind, spec.options)):
        return Metric(spec.name, "share", "higher", evaluator_digest(spec), needs_labels)
    direction: Direction = "higher" if kind.is_higher_better else "lower"
    return Metric(spec.name, cast(Unit, kind.unit), direction, evaluator_digest(spec), needs_labels)


def _outside(what: str, value: float, name: str, range_: str) -> Invalid:
    return Invalid(f"gate.toml: {what} {value} of {name!r} is not {range_}", path="gate.toml")
