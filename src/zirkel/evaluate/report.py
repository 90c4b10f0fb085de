"""Evidence as JSON: what a verdict keeps, what the API answers, what the command line prints from."""

from collections.abc import Mapping

from zirkel.core import Json
from zirkel.evaluate.compare import ExperimentSummary, PairedMetric


def comparison_report(
    candidate: ExperimentSummary, baseline: ExperimentSummary | None, paired: Mapping[str, PairedMetric] | None
) -> dict[str, Json]:
    """Return both experiments and their paired differences as plain JSON values."""
    return {
        "candidate": summary_report(candidate),
        "baseline": summary_report(baseline) if baseline else None,
        "paired": {name: _paired_report(metric) for name, metric in paired.items()} if paired is not None else None,
    }


def summary_report(summary: ExperimentSummary) -> dict[str, Json]:
    """Return one experiment's findings as plain JSON values."""
    experiment = summary.experiment
    return {
        "experiment_id": experiment.experiment_id,
        "release": experiment.release,
        "dataset": experiment.dataset_digest,
        "evaluators": experiment.evaluators_digest,
        "items": experiment.items,
        "trials": experiment.trials,
        "answered": summary.answered,
        "errored": summary.errored,
        "recovered": summary.recovered,
        "cost_usd": str(summary.cost_usd) if summary.cost_usd is not None else None,
        "median_duration_ms": summary.median_duration_ms,
        "results_digest": summary.results_digest,
        "metrics": {
            name: {
                "interval": metric.interval.to_dict() if metric.interval else None,
                "scored_items": metric.scored_items,
                "flip_rate": metric.flip_rate,
            }
            for name, metric in summary.metrics.items()
        },
    }


def _paired_report(metric: PairedMetric) -> dict[str, Json]:
    return {
        "difference": metric.difference.to_dict() if metric.difference else None,
        "better_items": metric.better_items,
        "worse_items": metric.worse_items,
    }
