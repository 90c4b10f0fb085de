"""Experiments as numbers, written down by hand."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from zirkel.core import (
    DatasetItem,
    EvaluatorSpec,
    ExperimentRecord,
    ExperimentState,
    GatePolicy,
    Scored,
    TrialRecord,
    TrialState,
    score_to_json,
)
from zirkel.evaluate.calibration_ports import Corrected
from zirkel.evaluate.gate_inputs import GateInputs, JudgeEvidence, Versions
from zirkel.evaluate.measure import frame_items, measure
from zirkel.evaluate.metrics import SYSTEM, Metric

Scores = Mapping[str, Sequence[float | Sequence[float]]]
"""By metric: an entry for each item, a score or the scores of its trials."""


class NoJudges:
    """Calibrations where no model judges: whoever asks is wrong."""

    def needs_labels(self, spec: EvaluatorSpec) -> bool:
        return False

    def corrected(self, project_id: str, experiment_id: str, evaluator: str) -> Corrected:
        raise AssertionError(f"{evaluator} is no judge")

    def corrected_difference(self, project_id: str, candidate: str, baseline: str, evaluator: str) -> Corrected:
        raise AssertionError(f"{evaluator} is no judge")


def score_metric(name: str, **changes: object) -> Metric:
    """Return the metric of an evaluator whose scores lie from 0 to 1."""
    fields: dict[str, object] = {"unit": "share", "direction": "higher", "evaluator_digest": f"digest of {name}"}
    return Metric(name, **(fields | changes))  # type: ignore[arg-type]


def trials_of(scores: Scores, /, **changes: object) -> list[TrialRecord]:
    """Return the answers with these scores; item i is called ``i0000`` and so on."""
    items = len(next(iter(scores.values())))
    rows = {name: [_trials(value) for value in values] for name, values in scores.items()}
    return [
        _answer(item, trial, {name: values[item][trial] for name, values in rows.items()}, changes)
        for item in range(items)
        for trial in range(len(next(iter(rows.values()))[item]))
    ]


def experiment_of(trials: Sequence[TrialRecord], planned: int | None = None, **changes: object) -> ExperimentRecord:
    """Return an experiment that has these answers, of ``planned`` items if that is more."""
    items = len({trial.item_id for trial in trials})
    repeats = max((trial.trial for trial in trials), default=0) + 1
    fields: dict[str, object] = {"release": "r", "trials": repeats, "items": planned or items, **changes}
    return ExperimentRecord(
        "p",
        "e",
        "s",
        dataset_digest="d",
        evaluators_digest="v",
        state=ExperimentState.FINISHED,
        created_ns=1,
        **fields,  # type: ignore[arg-type]
    )


def gate_inputs(
    policy: GatePolicy,
    candidate: Sequence[TrialRecord],
    baseline: Sequence[TrialRecord] | None,
    items: Sequence[DatasetItem],
    *,
    planned: int | None = None,
    baseline_planned: int | None = None,
    metrics: Sequence[Metric] | None = None,
    judges: Mapping[str, JudgeEvidence] | None = None,
    stopped_items: int | None = None,
    asked: Sequence[int] = (),
) -> GateInputs:
    """Return what a gate decides from."""
    names = list(dict.fromkeys(name for trial in candidate for name in (trial.scores or {})))
    known = {metric.name: metric for metric in (*(metrics or [score_metric(name) for name in names]), *SYSTEM)}
    frame = frame_items(items, [metric.segment for metric in policy.metric if metric.segment])
    ours = experiment_of(candidate, planned, stopped_items=stopped_items)
    evaluators = [name for name, metric in known.items() if metric.evaluator_digest]
    theirs = None
    if baseline is not None:
        record = experiment_of(baseline, baseline_planned, stopped_items=stopped_items)
        theirs = measure(record, baseline, frame, evaluators)
    return GateInputs(
        service="s",
        policy=policy,
        policy_digest="policy",
        metrics=known,
        frame=frame,
        candidate=measure(ours, candidate, frame, evaluators),
        baseline=theirs,
        judges=judges or {},
        asked=np.asarray(asked, dtype=np.intp),
        versions=Versions("0.1.0", "1.0", {"numpy": "2", "scipy": "1"}),
        seeds={},
    )


def plain_items(count: int, cluster_size: int = 1) -> list[DatasetItem]:
    """Return items, in clusters of a size if it is above 1."""
    return [
        DatasetItem(id=f"i{n:04d}", input={}, cluster=f"c{n // cluster_size}" if cluster_size > 1 else "")
        for n in range(count)
    ]


def _trials(value: float | Sequence[float]) -> Sequence[float]:
    return value if isinstance(value, Sequence) else [value]


def _answer(item: int, trial: int, values: Mapping[str, float], changes: Mapping[str, object]) -> TrialRecord:
    fields: dict[str, object] = {
        "scores": {name: score_to_json(Scored(value)) for name, value in values.items()},
        "cost_usd": Decimal("0.01"),
        "duration_ms": 10.0,
        **changes,
    }
    return TrialRecord("p", "e", f"i{item:04d}", trial, TrialState.ANSWERED, 1, "t", **fields)  # type: ignore[arg-type]
