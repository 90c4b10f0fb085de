"""Experiments, comparisons and gates."""

from zirkel.evaluate.compare import ExperimentSummary, MetricSummary, PairedMetric, compare_metric, summarise
from zirkel.evaluate.evaluators import check_evaluator
from zirkel.evaluate.gate import GateDecision, MetricVerdict, decide
from zirkel.evaluate.ports import (
    Answer,
    EvaluateMetadata,
    EvaluateTransaction,
    JobQueue,
    Publisher,
    Question,
    RecordedAnswers,
    Releases,
    SystemUnderTest,
)
from zirkel.evaluate.report import comparison_report, summary_report
from zirkel.evaluate.runner import Runner, RunnerSettings
from zirkel.evaluate.service import Comparison, Evaluation, GateResult, Progress
from zirkel.evaluate.systems import GatewaySystem
from zirkel.evaluate.tools import NoTools

__all__ = [
    "Answer",
    "Comparison",
    "EvaluateMetadata",
    "EvaluateTransaction",
    "Evaluation",
    "ExperimentSummary",
    "GateDecision",
    "GateResult",
    "GatewaySystem",
    "JobQueue",
    "MetricSummary",
    "MetricVerdict",
    "NoTools",
    "PairedMetric",
    "Progress",
    "Publisher",
    "Question",
    "RecordedAnswers",
    "Releases",
    "Runner",
    "RunnerSettings",
    "SystemUnderTest",
    "check_evaluator",
    "compare_metric",
    "comparison_report",
    "decide",
    "summarise",
    "summary_report",
]
