"""Evidence as JSON: what a verdict keeps, what the API answers, what the command line prints from."""

from collections.abc import Mapping
from typing import cast

import msgspec

from zirkel.core import Json
from zirkel.evaluate.compare import ExperimentSummary, MetricSummary, PairedMetric
from zirkel.evaluate.comparison import Comparison
from zirkel.evaluate.gate import GateDecision
from zirkel.evaluate.gate_inputs import GateInputs

REPORT_FORMAT = "zirkel-gate-report-1"
DIGITS = 12
"""Significant ones that numbers are kept with: further ones may differ between builds of a library."""
EXPLORING = (
    "segments are for finding where to look: their p-values are adjusted for how many there are (Benjamini-Hochberg, "
    "within a metric), and a gate decides by those alone that gate.toml names before the run"
)


def comparison_report(comparison: Comparison) -> dict[str, Json]:
    """Return both experiments and their paired differences as plain JSON values."""
    paired = comparison.paired
    segments: dict[str, Json] = {
        name: [found.to_dict() for found in segments] for name, segments in comparison.segments.items()
    }
    return {
        "candidate": summary_report(comparison.candidate),
        "baseline": summary_report(comparison.baseline) if comparison.baseline else None,
        "paired": {name: _paired_report(metric) for name, metric in paired.items()} if paired is not None else None,
        "segments": segments,
        "segments_note": EXPLORING if segments else "",
    }


def summary_report(summary: ExperimentSummary) -> dict[str, Json]:
    """Return one experiment's findings as plain JSON values."""
    measured, experiment = summary.measured, summary.experiment
    metrics = {name: _metric_report(metric) for name, metric in summary.metrics.items()}
    evaluators = {name for name, metric in summary.metrics.items() if metric.metric.evaluator_digest}
    return {
        "experiment_id": experiment.experiment_id,
        "release": experiment.release,
        "dataset": experiment.dataset_digest,
        "evaluators": experiment.evaluators_digest,
        "items": experiment.items,
        "trials": experiment.trials,
        "stopped_items": experiment.stopped_items,
        "answered": measured.answered,
        "errored": measured.errored,
        "recovered": measured.recovered,
        "cost_usd": str(measured.cost_usd) if measured.cost_usd is not None else None,
        "judging_usd": str(measured.judging_usd) if measured.judging_usd is not None else None,
        "median_duration_ms": measured.median_duration_ms,
        "results_digest": measured.results_digest,
        "metrics": {name: report for name, report in metrics.items() if name in evaluators},
        "system": {name: report for name, report in metrics.items() if name not in evaluators},
    }


def gate_report(inputs: GateInputs, comparison: Comparison, decision: GateDecision, digest: str) -> dict[str, Json]:
    """Return what a verdict keeps, as plain JSON values: a function of the inputs alone.

    Args:
        inputs: What was decided from.
        comparison: Of the same inputs.
        decision: Of the same inputs.
        digest: Of the inputs.
    """
    versions: Json = msgspec.to_builtins(inputs.versions)
    report: dict[str, Json] = {
        "format": REPORT_FORMAT,
        "service": inputs.service,
        "policy_digest": inputs.policy_digest,
        "policy": msgspec.to_builtins(inputs.policy),
        "inputs_digest": digest,
        "versions": versions,
        "seeds": dict(inputs.seeds),
        "decision": msgspec.to_builtins(decision),
        "judges": _judges_report(inputs),
        "evidence": comparison_report(comparison),
    }
    return cast(dict[str, Json], _rounded(report))


def _judges_report(inputs: GateInputs) -> dict[str, Json]:
    return {
        name: {
            "mean": judge.mean.to_dict(),
            "difference": judge.difference.to_dict() if judge.difference else None,
        }
        for name, judge in inputs.judges.items()
    }


def _metric_report(found: MetricSummary) -> dict[str, Json]:
    repeats: list[Json] = [
        {"k": r.k, "at_least_one": r.at_least_one.to_dict(), "every_one": r.every_one.to_dict()} for r in found.repeats
    ]
    return {
        "unit": found.metric.unit,
        "direction": found.metric.direction,
        "interval": found.interval.to_dict() if found.interval else None,
        "scored_items": found.scored_items,
        "errored": found.errored,
        "unscored": found.unscored,
        "flip_rate": found.flip_rate,
        "components": found.components.to_dict() if found.components else None,
        "repeats": repeats,
    }


def _paired_report(found: PairedMetric) -> dict[str, Json]:
    return {
        "unit": found.metric.unit,
        "direction": found.metric.direction,
        "difference": found.difference.to_dict() if found.difference else None,
        "shared_items": found.shared_items,
        "better_items": found.better_items,
        "worse_items": found.worse_items,
        "components": found.components.to_dict() if found.components else None,
    }


def _rounded(value: Json) -> Json:
    match value:
        case float():
            return float(f"{value:.{DIGITS}g}")
        case Mapping():
            return {name: _rounded(part) for name, part in value.items()}
        case list() | tuple():
            return [_rounded(part) for part in value]
        case _:
            return value
