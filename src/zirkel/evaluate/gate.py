"""The gate: policy and evidence in, verdict and reasons out. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from zirkel.core import GatePolicy, MetricPolicy
from zirkel.core.wording import say_amount, say_bounds
from zirkel.evaluate.calibration_ports import CalibrationState
from zirkel.evaluate.compare import Pair, pair_columns
from zirkel.evaluate.gate_bounds import corrected_difference, corrected_mean, floor_bounds, margin_bounds
from zirkel.evaluate.gate_inputs import GateInputs
from zirkel.evaluate.measure import Measured
from zirkel.evaluate.metrics import ERROR_RATE, Metric
from zirkel.evaluate.needed import items_needed, power_per_metric, price_of_items
from zirkel.stats import Interval, Verdict, non_inferiority_interval
from zirkel.stats.prediction_powered import PredictionPowered


@dataclass(frozen=True, slots=True)
class MetricTest:
    """What was held against what."""

    bounds: Interval
    limit: float
    """The margin, above 0, or the floor."""
    is_relative: bool
    """True if bounds and limit are shares of the baseline's mean."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class MetricVerdict:
    """What the gate says of one metric, and why."""

    metric: Metric
    name: str
    """With the segment, if only a part of the items is looked at."""
    verdict: Verdict
    reason: str
    difference: MetricTest | None = None
    """Candidate minus baseline against the margin; None if there is no margin, or nothing to test."""
    mean: MetricTest | None = None
    """The candidate's mean against the floor; None as above."""
    items_needed: int | None = None
    """INCONCLUSIVE only: items in all (of the segment) that would probably decide it."""
    items_more: int | None = None
    """How many of them are not there yet."""
    price_usd: Decimal | None = None
    """What those would cost, both releases and their judges together; None if a price is unknown."""
    labels_needed: int | None = None
    """INCONCLUSIVE only, for a judge that labels correct: labels in all that would probably decide it."""


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What the gate says of a release."""

    verdict: Verdict
    reason: str
    metrics: tuple[MetricVerdict, ...]
    notes: tuple[str, ...] = ()
    """What whoever relies on the verdict has to know beside it."""
    items_more: int | None = None
    """INCONCLUSIVE only: further items that would probably decide every metric."""
    price_usd: Decimal | None = None
    """What they would cost."""


def decide(inputs: GateInputs) -> GateDecision:
    """Return the verdict of a policy on the evidence.

    The gate is an intersection-union test: each metric is tested at the full alpha, and all must pass, so the
    probability of shipping a release that is worse in any of them is at most alpha.

    Source: Berger (1982), Technometrics 24(4), 295-300 (intersection-union tests).
    """
    incomplete = _incomplete(inputs)
    if incomplete:
        return GateDecision("INCONCLUSIVE", incomplete, ())
    metrics = tuple(_decide_metric(inputs, wanted) for wanted in inputs.policy.metric)
    notes = _notes(inputs)
    for verdict in ("FAIL", "INCONCLUSIVE"):
        found = [metric for metric in metrics if metric.verdict == verdict]
        if found:
            reason = "; ".join(f"{m.name}: {m.reason}" for m in found)
            more = _items_more(metrics) if verdict == "INCONCLUSIVE" else None
            price = price_of_items(inputs, more) if more is not None else None
            return GateDecision(found[0].verdict, reason, metrics, notes, more, price)
    superior = [metric for metric in metrics if metric.verdict == "SUPERIOR"]
    reason = "; ".join(f"{metric.name}: {metric.reason}" for metric in superior or metrics)
    return GateDecision("SUPERIOR" if superior else "PASS", reason, metrics, notes)


def _incomplete(inputs: GateInputs) -> str:
    """Return which answers are not there; an error is an answer only to a gate that asks how many there are."""
    counts_errors = any(wanted.evaluator == ERROR_RATE.name for wanted in inputs.policy.metric)
    for name, measured in (("candidate", inputs.candidate), ("baseline", inputs.baseline)):
        if measured is None:
            continue
        missing = measured.missing if counts_errors else measured.experiment.planned - measured.answered
        if missing:
            what = "missing" if counts_errors else "missing or errored"
            said = f"{missing} of {measured.experiment.planned} answers of the {name} are {what}"
            return f"{said}; run zirkel eval again"
    return ""


def _notes(inputs: GateInputs) -> tuple[str, ...]:
    notes = []
    for name, measured in (("candidate", inputs.candidate), ("baseline", inputs.baseline)):
        if measured and measured.errored:
            notes.append(f"{measured.errored} answers of the {name} errored and have no scores")
    if inputs.could_stop_early:
        notes.append("the experiment could stop early: its bounds hold however often one looked, and are wider")
    for wanted in inputs.policy.metric:
        judge = inputs.judges.get(wanted.evaluator)
        if judge and judge.mean.state != CalibrationState.CALIBRATED:
            notes.append(
                f"{wanted.name} is the word of a judge that is not calibrated ({judge.mean.reason}); "
                'gate.toml accepts that with uncalibrated = "accept"'
            )
    return tuple(dict.fromkeys(notes))


def _decide_metric(inputs: GateInputs, wanted: MetricPolicy) -> MetricVerdict:
    metric = _metric(inputs, wanted)
    refused = _refusal(inputs, metric)
    if refused:
        return MetricVerdict(metric, wanted.name, "INCONCLUSIVE", refused)
    rows = inputs.frame.rows(wanted.segment)
    column = inputs.candidate.columns[metric.name]
    scored = rows[column.counts(len(inputs.frame.ids))[rows] > 0]
    too_few = _too_few(inputs, wanted, len(scored), "scored", len(np.unique(inputs.frame.sources[scored])))
    if too_few and corrected_mean(inputs, wanted) is None:
        return too_few
    parts = []
    if wanted.floor is not None:
        parts.append(_decide_floor(inputs, wanted, metric, wanted.floor))
    if wanted.margin is not None or wanted.relative_margin is not None:
        parts.append(_decide_margin(inputs, wanted, metric))
    return _worst(parts)


def _metric(inputs: GateInputs, wanted: MetricPolicy) -> Metric:
    found = inputs.metrics[wanted.evaluator]
    direction = wanted.direction or found.direction
    return replace(found, direction=direction)


def _refusal(inputs: GateInputs, metric: Metric) -> str:
    """Return why a metric cannot be decided at all: a judge without calibration, or values that are not there."""
    judge = inputs.judges.get(metric.name)
    if metric.needs_labels and inputs.policy.uncalibrated == "refuse":
        if judge is None:
            command = _label_command(inputs, metric)
            return f"this needs people's labels, and there are none; run: {command}"
        states = [judge.mean, *([judge.difference] if judge.difference else [])]
        bad = next((found for found in states if found.state != CalibrationState.CALIBRATED), None)
        if bad:
            command = _label_command(inputs, metric)
            return f"the judge is not calibrated: {bad.reason}" + ("" if command in bad.reason else f"; run: {command}")
    for name, measured in (("candidate", inputs.candidate), ("baseline", inputs.baseline)):
        errored = measured.columns[metric.name].errored if measured else 0
        if errored and metric.unit == "usd" and not metric.evaluator_digest:
            return f"the price of {errored} answers of the {name} is unknown; set one with prices.toml or zirkel prices"
        if errored:
            return f"{errored} scores of the {name} are errored; run zirkel eval again"
    return ""


def _label_command(inputs: GateInputs, metric: Metric) -> str:
    return f"zirkel label {inputs.service} --evaluator {metric.name}"


def _too_few(inputs: GateInputs, wanted: MetricPolicy, count: int, what: str, sources: int) -> MetricVerdict | None:
    metric = _metric(inputs, wanted)
    asked = wanted.minimum_items if wanted.minimum_items is not None else inputs.policy.minimum_items
    needed = max(asked, 2)
    if count < needed:
        where = f" in {wanted.segment}" if wanted.segment else ""
        reason = f"{count} items{where} are {what}, the policy asks for {needed}"
        more = needed - count
        price = price_of_items(inputs, more)
        return MetricVerdict(
            metric, wanted.name, "INCONCLUSIVE", reason, items_needed=needed, items_more=more, price_usd=price
        )
    if sources < 2:
        reason = f"all {count} items {what} are of one cluster, which says nothing about other clusters"
        return MetricVerdict(metric, wanted.name, "INCONCLUSIVE", reason)
    return None


def _decide_floor(inputs: GateInputs, wanted: MetricPolicy, metric: Metric, floor: float) -> MetricVerdict:
    bounds, labels = floor_bounds(inputs, wanted, metric), corrected_mean(inputs, wanted)
    is_higher = metric.direction == "higher"
    inner, outer = (bounds.low, bounds.high) if is_higher else (bounds.high, bounds.low)
    sign = 1 if is_higher else -1
    verdict: Verdict = "PASS" if sign * inner >= sign * floor else "INCONCLUSIVE"
    if sign * outer < sign * floor:
        verdict = "FAIL"
    word = "floor" if is_higher else "ceiling"
    mean, bound = say_amount(bounds.estimate, metric.unit), say_amount(inner, metric.unit)
    said = f"mean {mean}, one-sided bound {bound}, {word} {floor:g}{_judged(inputs, metric, labels)}"
    test = MetricTest(bounds, floor, is_relative=False, verdict=verdict)
    gap = sign * (bounds.estimate - floor)
    decided = MetricVerdict(metric, wanted.name, verdict, said, mean=test)
    return _with_need(inputs, decided, bounds, gap, counts_labels=labels is not None)


def _decide_margin(inputs: GateInputs, wanted: MetricPolicy, metric: Metric) -> MetricVerdict:
    if inputs.baseline is None:
        return _nothing_to_compare(wanted, metric)
    pair, labels = _pair(inputs, wanted, inputs.baseline), corrected_difference(inputs, wanted)
    too_few = _too_few(inputs, wanted, len(pair.rows), "scored for both releases", pair.n_sources)
    if too_few and labels is None:
        return too_few
    found = margin_bounds(inputs, wanted, metric, pair)
    if isinstance(found, str):
        return MetricVerdict(metric, wanted.name, "INCONCLUSIVE", found)
    is_relative = wanted.relative_margin is not None
    margin = wanted.relative_margin if wanted.relative_margin is not None else wanted.margin
    assert margin is not None
    verdict = non_inferiority_interval(found, margin=margin, direction=metric.direction).verdict
    said = f"difference {say_bounds(found, metric.unit, is_relative=is_relative)}, margin {margin:g}"
    said += _judged(inputs, metric, labels)
    target = margin
    if wanted.must_be_superior and verdict == "PASS":
        verdict, said, target = "INCONCLUSIVE", f"{said}; it must be superior", 0.0
    test = MetricTest(found, margin, is_relative, verdict)
    gap = (found.estimate if metric.direction == "higher" else -found.estimate) + target
    decided = MetricVerdict(metric, wanted.name, verdict, said, difference=test)
    return _with_need(inputs, decided, found, gap, counts_labels=labels is not None)


def _nothing_to_compare(wanted: MetricPolicy, metric: Metric) -> MetricVerdict:
    if wanted.floor is not None and not wanted.must_be_superior:
        reason = "nothing is live to compare with; the floor decides"
        return MetricVerdict(metric, wanted.name, "PASS", reason)
    reason = "nothing is live to compare with, and the policy gives no floor"
    return MetricVerdict(metric, wanted.name, "INCONCLUSIVE", reason)


def _pair(inputs: GateInputs, wanted: MetricPolicy, baseline: Measured) -> Pair:
    ours, theirs = inputs.candidate.columns[wanted.evaluator], baseline.columns[wanted.evaluator]
    return pair_columns(ours, theirs, inputs.frame, inputs.frame.rows(wanted.segment))


def _judged(inputs: GateInputs, metric: Metric, corrected: PredictionPowered | None) -> str:
    """Return whose word a judged metric is."""
    if corrected is not None:
        return f" (corrected by {corrected.n} labels, worth {corrected.effective_labels:.0f})"
    return " (the judge's own word: too few labels of these answers)" if metric.name in inputs.judges else ""


def _with_need(
    inputs: GateInputs, said: MetricVerdict, bounds: Interval, gap: float, *, counts_labels: bool
) -> MetricVerdict:
    """Return an inconclusive verdict with how many items would decide it, and at which price; or how many labels."""
    if said.verdict != "INCONCLUSIVE":
        return said
    needed = items_needed(bounds, gap, said.metric.direction, power_per_metric(len(inputs.policy.metric)))
    if needed is None:
        return said
    more = needed - bounds.n
    if counts_labels:
        reason = f"{said.reason}; about {needed} labels would decide it ({more} more)"
        return replace(said, reason=reason, labels_needed=needed)
    price = price_of_items(inputs, more)
    at = f", for about {price:.2g} USD" if price is not None else ""
    reason = f"{said.reason}; about {needed} items would decide it ({more} more{at})"
    return replace(said, reason=reason, items_needed=needed, items_more=more, price_usd=price)


def _items_more(metrics: Sequence[MetricVerdict]) -> int | None:
    undecided = [metric.items_more for metric in metrics if metric.verdict == "INCONCLUSIVE"]
    known = [more for more in undecided if more is not None]
    return max(known) if known and len(known) == len(undecided) else None


def _worst(parts: Sequence[MetricVerdict]) -> MetricVerdict:
    order = ("FAIL", "INCONCLUSIVE", "SUPERIOR", "PASS")
    first = min(parts, key=lambda part: order.index(part.verdict))
    return replace(
        first,
        reason="; ".join(part.reason for part in parts),
        difference=next((part.difference for part in parts if part.difference), None),
        mean=next((part.mean for part in parts if part.mean), None),
    )


def policy_segments(policy: GatePolicy) -> list[str]:
    """Return the segments that a policy names, each once."""
    return list(dict.fromkeys(metric.segment for metric in policy.metric if metric.segment))
