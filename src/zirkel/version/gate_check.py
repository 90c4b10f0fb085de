"""Checking ``gate.toml`` as far as it can be told without knowing what the kinds of evaluators measure."""

import math
from collections import Counter
from collections.abc import Sequence

from zirkel.core import SYSTEM_METRICS, GatePolicy, Invalid, MetricPolicy


def check_gate(gate: GatePolicy, evaluators: Sequence[str]) -> None:
    """Check a policy beside the names of the service's evaluators.

    Raises:
        Invalid: With what is wrong.
    """
    if not gate.metric:
        raise _invalid("a gate without a [[metric]] would let everything pass")
    if not 0 < gate.alpha < 0.5:
        raise _invalid(f"alpha {gate.alpha} is not between 0 and 0.5")
    taken = SYSTEM_METRICS.intersection(evaluators)
    if taken:
        said = f"evaluators.toml: {min(taken)!r} is a metric of the system itself; name the evaluator otherwise"
        raise Invalid(said, path="evaluators.toml")
    for name, count in Counter(metric.name for metric in gate.metric).items():
        if count > 1:
            raise _invalid(f"metric {name!r} occurs twice")
    for metric in gate.metric:
        problem = _metric_problem(metric, evaluators)
        if problem:
            raise _invalid(problem)


def _metric_problem(metric: MetricPolicy, evaluators: Sequence[str]) -> str:
    name, margin = metric.evaluator, _margin(metric)
    if name not in evaluators and name not in SYSTEM_METRICS:
        known = ", ".join(sorted(SYSTEM_METRICS))
        return f"evaluator {name!r} is not in evaluators.toml, and no metric of the system ({known})"
    if metric.margin is not None and metric.relative_margin is not None:
        return f"{name!r} has a margin and a relative_margin; give one of them"
    if margin is None and metric.floor is None:
        return f"{name!r} needs a margin, a floor, or both"
    if margin is None and metric.must_be_superior:
        return f"{name!r} must be superior and has no margin; superiority is tested with one"
    if margin is not None and not 0 < margin < math.inf:
        return f"margin {margin} of {name!r} is not a number above 0"
    if metric.relative_margin is not None and metric.relative_margin >= 1:
        return f"relative_margin {metric.relative_margin} of {name!r} is not below 1; 0.1 is 10 %"
    if metric.floor is not None and not math.isfinite(metric.floor):
        return f"floor {metric.floor} of {name!r} is not a finite number"
    if metric.minimum_items is not None and metric.minimum_items < 1:
        return f"minimum_items {metric.minimum_items} of {name!r} is below 1"
    if metric.segment and not all(metric.segment.partition(":")):
        return f"segment {metric.segment!r} of {name!r} is not like tag:NAME, split:NAME, cluster:NAME or FIELD:VALUE"
    return ""


def _margin(metric: MetricPolicy) -> float | None:
    return metric.margin if metric.margin is not None else metric.relative_margin


def _invalid(problem: str) -> Invalid:
    return Invalid(f"gate.toml: {problem}", path="gate.toml")
