"""What a local evaluation found, for programs and for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

import msgspec
import numpy as np

from zirkel.core import EvaluatorSpec, EvaluatorsSpec, Invalid, Json, TrialRecord, TrialState
from zirkel.evaluate.bounds import mean_bounds
from zirkel.evaluate.compare import ExperimentSummary, PairedMetric, compare_metric, summarise
from zirkel.evaluate.local import LocalRun
from zirkel.evaluate.measure import frame_items, measure
from zirkel.evaluate.metrics import Metric, metrics_of
from zirkel.evaluate.report import summary_report
from zirkel.stats import Interval, MeanInterval

ALPHA = 0.05
"""Error probability of each bound."""


@dataclass(frozen=True)
class EvaluationResult:
    """Answers, scores and intervals of one evaluation."""

    run: LocalRun
    experiment_id: str = ""
    """Of the server that has it too; empty if none has."""
    upload_error: str = ""
    """Why the server does not have it, though it should."""

    @property
    def trials(self) -> tuple[TrialRecord, ...]:
        """Every answer with its scores."""
        return self.run.trials

    @property
    def errored(self) -> int:
        """Answers that there are none of."""
        return sum(trial.state == TrialState.ERRORED for trial in self.run.trials)

    @property
    def errored_scores(self) -> int:
        """Scores that evaluators failed to give."""
        return sum(trial.errored_scores for trial in self.run.trials)

    @property
    def cost_usd(self) -> Decimal | None:
        """What system and judges cost; ``None`` if any price is unknown."""
        measured = self.summary.measured
        if measured.cost_usd is None or measured.judging_usd is None:
            return None
        return measured.cost_usd + measured.judging_usd

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """What was measured, by name: the evaluators, then the system's cost, latency and errors."""
        return metrics_of(EvaluatorsSpec(evaluator=list(self.run.evaluators)))

    @cached_property
    def summary(self) -> ExperimentSummary:
        """Everything that was found."""
        return _summary(self.run, self.metrics)

    @property
    def scores(self) -> Mapping[str, MeanInterval | None]:
        """Each evaluator's mean over the items, with its 95 % interval; ``None`` below two items."""
        names = [spec.name for spec in self.run.evaluators]
        return {name: self.summary.metrics[name].interval for name in names}

    def bounds(self, evaluator: str, alpha: float = ALPHA) -> Interval | None:
        """Return an evaluator's mean with bounds that are each wrong with probability ``alpha``.

        Independent pass/fail items get exact bounds. ``None`` below two items, or if all are of one cluster.

        Raises:
            Invalid: If there is no such evaluator.
        """
        if evaluator not in self.metrics:
            raise Invalid(f"{evaluator!r} was not measured; there are: {', '.join(self.metrics)}", path="evaluator")
        frame = frame_items(self.run.items)
        column = self.summary.measured.columns[evaluator]
        rows = np.flatnonzero(column.counts(len(frame.ids)))
        return mean_bounds(column.means(len(frame.ids))[rows], frame.sources[rows], self.metrics[evaluator], alpha)

    def compare(self, other: "EvaluationResult") -> Mapping[str, PairedMetric]:
        """Return each shared evaluator's difference, this one minus the other, paired by item id."""
        frame = frame_items(self.run.items)
        shared = [name for name, metric in self.metrics.items() if other.metrics.get(name) == metric]
        ours = self.summary.measured
        theirs = _summary(replace(other.run, items=self.run.items), other.metrics).measured
        return {name: compare_metric(self.metrics[name], ours, theirs, frame) for name in shared}

    def to_dict(self) -> dict[str, Json]:
        """Return the summary as plain JSON values."""
        return {
            **summary_report(self.summary),
            "experiment_id": self.experiment_id,
            "name": self.run.experiment.service,
        }

    def __str__(self) -> str:
        experiment = self.run.experiment
        lines = [f"{experiment.service}: {experiment.items} items x {experiment.trials} trials, {self.errored} errored"]
        for name, interval in self.scores.items():
            lines.append(f"  {name:<20} {_shown(interval)}")
        return "\n".join(lines)


def with_units(run: LocalRun, judged: Sequence[str]) -> LocalRun:
    """Return a run whose functions are said to be numbers without bounds where one of their scores is outside 0 to 1.

    Args:
        run: What was found.
        judged: Evaluators that are functions of the caller's.
    """
    wide = {name for name in judged if any(not 0 <= value <= 1 for value in _values(run.trials, name))}
    evaluators = tuple(_numeric(spec) if spec.name in wide else spec for spec in run.evaluators)
    return replace(run, evaluators=evaluators)


def _summary(run: LocalRun, metrics: Mapping[str, Metric]) -> ExperimentSummary:
    frame = frame_items(run.items)
    measured = measure(run.experiment, run.trials, frame, [spec.name for spec in run.evaluators])
    return summarise(measured, frame, metrics)


def _values(trials: Sequence[TrialRecord], name: str) -> list[float]:
    stored = [(trial.scores or {}).get(name, {}) for trial in trials]
    return [value for score in stored if isinstance(value := score.get("value"), int | float)]


def _numeric(spec: EvaluatorSpec) -> EvaluatorSpec:
    return msgspec.structs.replace(spec, options={**spec.options, "share": False})


def _shown(interval: MeanInterval | None) -> str:
    if interval is None:
        return "too few items for an interval"
    return f"{interval.estimate:.3f}  95 % interval {interval.low:.3f} to {interval.high:.3f} ({interval.n} items)"
