"""From answers to scores with uncertainty, and to the paired difference of two releases. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from zirkel.core import DatasetItem, ExperimentRecord, Scored, TrialRecord, TrialState, digest, score_from_json
from zirkel.stats import MeanInterval, mean_interval, paired_difference, wilson_interval


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """One evaluator's mean over the items of one experiment."""

    evaluator: str
    interval: MeanInterval | None
    """Over items (each the mean of its trials), by clusters where the data set has them; None below 2 items, or if all
    of them are of one cluster."""
    scored_items: int
    flip_rate: float | None
    """Share of items whose trials disagree; None with one trial."""
    is_pass_fail: bool
    """True if every item's mean score is 0 or 1."""


@dataclass(frozen=True, slots=True)
class ExperimentSummary:
    """What one experiment found."""

    experiment: ExperimentRecord
    answered: int
    errored: int
    recovered: int
    """Answers found in the telemetry after a crash, not paid for twice."""
    cost_usd: Decimal | None
    """None if the price of any answer is unknown."""
    median_duration_ms: float | None
    metrics: Mapping[str, MetricSummary]
    results_digest: str
    """Digest over every answer and score, in order."""


@dataclass(frozen=True, slots=True)
class PairedMetric:
    """One evaluator's difference, candidate minus baseline, on the same items."""

    evaluator: str
    difference: MeanInterval | None
    """None below 2 shared items, or if all of them are of one cluster."""
    shared_items: int
    """Items that both releases have scores for."""
    better_items: int
    worse_items: int
    is_pass_fail: bool
    """True if every item's score is 0 or 1, so that items change by a whole or not at all."""


ItemScores = Mapping[str, float]
"""Mean score over an item's trials, by item id."""


def summarise(
    experiment: ExperimentRecord, trials: Sequence[TrialRecord], items: Sequence[DatasetItem], evaluators: Sequence[str]
) -> ExperimentSummary:
    """Return what an experiment found so far."""
    done = [trial for trial in trials if trial.state != TrialState.CLAIMED]
    answered = [trial for trial in done if trial.state == TrialState.ANSWERED]
    costs = [trial.cost_usd for trial in answered]
    known = [cost for cost in costs if cost is not None]
    durations = sorted(trial.duration_ms for trial in answered)
    return ExperimentSummary(
        experiment=experiment,
        answered=len(answered),
        errored=len(done) - len(answered),
        recovered=sum(trial.is_recovered for trial in answered),
        cost_usd=sum(known, Decimal(0)) if len(known) == len(costs) else None,
        median_duration_ms=durations[len(durations) // 2] if durations else None,
        metrics={name: _summarise_metric(name, answered, items) for name in evaluators},
        results_digest=results_digest(done),
    )


def results_digest(trials: Sequence[TrialRecord]) -> str:
    """Return the digest over item, trial, state, output and scores of each answer, ordered by item and trial."""
    rows = sorted(trials, key=lambda trial: (trial.item_id, trial.trial))
    return digest(
        [
            [row.item_id, row.trial, row.state.value, row.output, {k: dict(v) for k, v in (row.scores or {}).items()}]
            for row in rows
        ]
    )


def item_scores(trials: Sequence[TrialRecord], evaluator: str) -> ItemScores:
    """Return the mean score of each item over its scored trials; items without one are left out."""
    values = _values_by_item(trials, evaluator)
    return {item_id: sum(scores) / len(scores) for item_id, scores in values.items()}


def compare_metric(
    evaluator: str,
    candidate: Sequence[TrialRecord],
    baseline: Sequence[TrialRecord],
    items: Sequence[DatasetItem],
) -> PairedMetric:
    """Return the paired difference on the items that both releases have scores for."""
    ours, theirs = item_scores(candidate, evaluator), item_scores(baseline, evaluator)
    shared = [item for item in items if item.id in ours and item.id in theirs]
    first, second = [ours[item.id] for item in shared], [theirs[item.id] for item in shared]
    return PairedMetric(
        evaluator=evaluator,
        difference=paired_difference(first, second, _clusters(shared)) if _sources(shared) > 1 else None,
        shared_items=len(shared),
        better_items=sum(a > b for a, b in zip(first, second, strict=True)),
        worse_items=sum(a < b for a, b in zip(first, second, strict=True)),
        is_pass_fail=set(first) | set(second) <= {0.0, 1.0},
    )


def _summarise_metric(name: str, trials: Sequence[TrialRecord], items: Sequence[DatasetItem]) -> MetricSummary:
    values = _values_by_item(trials, name)
    scored = [item for item in items if item.id in values]
    means = [sum(values[item.id]) / len(values[item.id]) for item in scored]
    repeated = [values[item.id] for item in scored if len(values[item.id]) > 1]
    return MetricSummary(
        evaluator=name,
        interval=_display_interval(means, _clusters(scored)) if _sources(scored) > 1 else None,
        scored_items=len(means),
        flip_rate=sum(len(set(scores)) > 1 for scores in repeated) / len(repeated) if repeated else None,
        is_pass_fail=set(means) <= {0.0, 1.0},
    )


def _display_interval(means: Sequence[float], clusters: Sequence[str] | None) -> MeanInterval:
    """Return the interval of a mean; where all items pass or all fail, Wilson's, since t would give a point."""
    interval = mean_interval(means, clusters)
    if interval.standard_error > 0 or interval.estimate not in (0.0, 1.0):
        return interval
    units = interval.n_clusters or interval.n
    wilson = wilson_interval(units if interval.estimate else 0, units, confidence=interval.confidence)
    said = (f"all {interval.n} items score alike: this is Wilson's interval, counting {units} independent sources",)
    return replace(interval, low=wilson.low, high=wilson.high, method=wilson.method, warnings=said)


def _values_by_item(trials: Sequence[TrialRecord], evaluator: str) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for trial in trials:
        stored = (trial.scores or {}).get(evaluator)
        score = score_from_json(stored) if stored else None
        if isinstance(score, Scored):
            values.setdefault(trial.item_id, []).append(score.value)
    return values


def _clusters(items: Sequence[DatasetItem]) -> list[str] | None:
    return [_source(item) for item in items] if _sources(items) < len(items) else None


def _sources(items: Sequence[DatasetItem]) -> int:
    """Return how many independent sources the items come from; one alone tells nothing about the spread."""
    return len({_source(item) for item in items})


def _source(item: DatasetItem) -> str:
    # An item without a cluster stands alone, as a cluster of its own.
    return f"c:{item.cluster}" if item.cluster else f"i:{item.id}"
