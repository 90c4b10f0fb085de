"""The gate: policy and evidence in, verdict and reasons out. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import special

from zirkel.core import GatePolicy, MetricPolicy
from zirkel.evaluate.compare import ExperimentSummary, MetricSummary, PairedMetric
from zirkel.stats import (
    MeanInterval,
    NonInferiority,
    Verdict,
    non_inferiority,
    non_inferiority_binary,
    proportion_lower_bound,
)


@dataclass(frozen=True, slots=True)
class MetricVerdict:
    """What the gate says of one metric, and why."""

    evaluator: str
    verdict: Verdict
    reason: str
    items_needed: int | None = None
    """INCONCLUSIVE only: items in total that would probably decide it."""


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What the gate says of a release."""

    verdict: Verdict
    reason: str
    metrics: tuple[MetricVerdict, ...]


def decide(
    policy: GatePolicy,
    candidate: ExperimentSummary,
    paired: Mapping[str, PairedMetric] | None,
    baseline: ExperimentSummary | None = None,
) -> GateDecision:
    """Return the verdict of a policy on the evidence.

    The gate is an intersection-union test: each metric is tested at the full alpha, and all must pass, so the
    probability of shipping a release that is worse in any of them is at most alpha.

    Args:
        policy: What is asked.
        candidate: What the candidate's experiment found.
        paired: Differences against the baseline by evaluator; None if there is nothing to compare with.
        baseline: What the baseline's experiment found, to see that it is complete too.

    Source: Berger (1982), Technometrics 24(4), 295-300 (intersection-union tests).
    """
    for name, summary in (("candidate", candidate), ("baseline", baseline)):
        missing = summary.experiment.planned - summary.answered if summary else 0
        if summary and missing:
            planned = summary.experiment.planned
            reason = f"{missing} of {planned} answers of the {name} are missing or errored; run zirkel eval again"
            return GateDecision("INCONCLUSIVE", reason, ())
    metrics = tuple(_decide_metric(policy, metric, candidate, paired) for metric in policy.metric)
    for verdict in ("FAIL", "INCONCLUSIVE"):
        found = [metric for metric in metrics if metric.verdict == verdict]
        if found:
            return GateDecision(found[0].verdict, "; ".join(f"{m.evaluator}: {m.reason}" for m in found), metrics)
    superior = [metric for metric in metrics if metric.verdict == "SUPERIOR"]
    told = superior or metrics
    reason = "; ".join(f"{metric.evaluator}: {metric.reason}" for metric in told)
    return GateDecision("SUPERIOR" if superior else "PASS", reason, metrics)


def _decide_metric(
    policy: GatePolicy,
    metric: MetricPolicy,
    candidate: ExperimentSummary,
    paired: Mapping[str, PairedMetric] | None,
) -> MetricVerdict:
    summary = candidate.metrics[metric.evaluator]
    if summary.interval is None or summary.scored_items < policy.minimum_items:
        return _too_few(metric, summary.scored_items, "scored", policy)
    parts = []
    if metric.floor is not None:
        parts.append(_decide_floor(metric, metric.floor, summary, summary.interval, policy.alpha))
    if metric.margin is not None:
        parts.append(_decide_margin(metric, metric.margin, paired, policy, has_floor=metric.floor is not None))
    return _worst(parts)


def _too_few(metric: MetricPolicy, count: int, what: str, policy: GatePolicy) -> MetricVerdict:
    needed = max(policy.minimum_items, 2)
    if count >= needed:
        reason = f"all {count} items {what} are of one cluster, which says nothing about other clusters"
        return MetricVerdict(metric.evaluator, "INCONCLUSIVE", reason)
    reason = f"{count} items are {what}, the policy asks for {needed}"
    return MetricVerdict(metric.evaluator, "INCONCLUSIVE", reason, needed)


def _decide_floor(
    metric: MetricPolicy, floor: float, summary: MetricSummary, interval: MeanInterval, alpha: float
) -> MetricVerdict:
    low, high = _one_sided_bounds(interval, alpha, is_pass_fail=summary.is_pass_fail)
    sign = 1 if metric.direction == "higher" else -1
    word = "floor" if sign > 0 else "ceiling"
    inner, outer = (low, high) if sign > 0 else (high, low)
    said = f"mean {interval.estimate:.3f}, one-sided bound {inner:.3f}, {word} {floor:g}"
    if sign * inner >= sign * floor:
        return MetricVerdict(metric.evaluator, "PASS", said)
    if sign * outer < sign * floor:
        return MetricVerdict(metric.evaluator, "FAIL", said)
    return MetricVerdict(metric.evaluator, "INCONCLUSIVE", said)


def _decide_margin(
    metric: MetricPolicy,
    margin: float,
    paired: Mapping[str, PairedMetric] | None,
    policy: GatePolicy,
    *,
    has_floor: bool,
) -> MetricVerdict:
    if paired is None:
        if has_floor and not metric.must_be_superior:
            return MetricVerdict(metric.evaluator, "PASS", "nothing is live to compare with; the floor decides")
        reason = "nothing is live to compare with, and the policy gives no floor"
        return MetricVerdict(metric.evaluator, "INCONCLUSIVE", reason)
    difference = paired[metric.evaluator].difference
    if difference is None or difference.n < policy.minimum_items:
        return _too_few(metric, paired[metric.evaluator].shared_items, "scored for both releases", policy)
    test = _test_margin(metric, margin, paired[metric.evaluator], difference, policy.alpha)
    said = (
        f"difference {test.estimate:+.3f}, one-sided bounds {test.lower:+.3f} to {test.upper:+.3f}, margin {margin:g}"
    )
    if metric.must_be_superior and test.verdict == "PASS":
        return MetricVerdict(metric.evaluator, "INCONCLUSIVE", f"{said}; it must be superior", test.items_needed)
    if test.items_needed is not None:
        said = f"{said}; about {test.items_needed} items would decide it"
    return MetricVerdict(metric.evaluator, test.verdict, said, test.items_needed)


def _test_margin(
    metric: MetricPolicy, margin: float, paired: PairedMetric, difference: MeanInterval, alpha: float
) -> NonInferiority:
    """Return the score test for independent pass/fail items, where t bounds are too narrow, else the t test."""
    if paired.is_pass_fail and difference.n_clusters is None:
        return non_inferiority_binary(
            paired.better_items,
            paired.worse_items,
            difference.n,
            margin=margin,
            direction=metric.direction,
            alpha=alpha,
        )
    return non_inferiority(difference, margin=margin, direction=metric.direction, alpha=alpha)


def _one_sided_bounds(interval: MeanInterval, alpha: float, *, is_pass_fail: bool) -> tuple[float, float]:
    """Return the lower and upper bound that are each wrong with probability alpha."""
    if is_pass_fail and interval.n_clusters is None:
        # Exact: near 0 and 1 a t bound would be too close.
        passes = round(interval.estimate * interval.n)
        low = proportion_lower_bound(passes, interval.n, alpha=alpha).low
        return low, 1 - proportion_lower_bound(interval.n - passes, interval.n, alpha=alpha).low
    if interval.standard_error == 0:
        # A t bound of scores that are all alike would be a point; count them instead (the rule of three).
        units = interval.n_clusters or interval.n
        radius = 1 - proportion_lower_bound(units, units, alpha=alpha).low
        return max(0.0, interval.estimate - radius), min(1.0, interval.estimate + radius)
    radius = float(special.stdtrit(interval.degrees_of_freedom, 1 - alpha)) * interval.standard_error
    return interval.estimate - radius, interval.estimate + radius


def _worst(parts: Sequence[MetricVerdict]) -> MetricVerdict:
    order = ("FAIL", "INCONCLUSIVE", "SUPERIOR", "PASS")
    first = min(parts, key=lambda part: order.index(part.verdict))
    reason = "; ".join(part.reason for part in parts)
    return MetricVerdict(first.evaluator, first.verdict, reason, first.items_needed)
