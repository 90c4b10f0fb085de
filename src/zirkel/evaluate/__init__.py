"""Experiments, comparisons and gates."""

from zirkel.evaluate.calibration import Calibration, CalibrationReport
from zirkel.evaluate.calibration_ports import Calibrations, CalibrationState, Corrected
from zirkel.evaluate.changes import ChangeQuery, ItemChange
from zirkel.evaluate.charts import forest_plot
from zirkel.evaluate.compare import ExperimentSummary, MetricSummary, PairedMetric, compare_metric, summarise
from zirkel.evaluate.comparison import Comparison
from zirkel.evaluate.estimates import Estimates
from zirkel.evaluate.evaluators import check_evaluator
from zirkel.evaluate.experiments import Experiments, Progress, Spending
from zirkel.evaluate.gate import GateDecision, MetricVerdict, decide
from zirkel.evaluate.gate_pack import GatePack, check_gate_pack, encode_gate_pack
from zirkel.evaluate.junit import junit_xml
from zirkel.evaluate.label_queue import LabelQueue, QueueOptions
from zirkel.evaluate.label_queue_view import LabelView, QueueProgress, Turn
from zirkel.evaluate.labelling import Labelling
from zirkel.evaluate.labels import Labels
from zirkel.evaluate.labels_question import Judgement, LabelQuestion
from zirkel.evaluate.labels_transfer import LabelTransfer
from zirkel.evaluate.markdown import markdown_summary
from zirkel.evaluate.measure import frame_items, measure
from zirkel.evaluate.metrics import Metric, check_policy, metrics_of
from zirkel.evaluate.plan import GatePlan
from zirkel.evaluate.planning import Planning
from zirkel.evaluate.ports import (
    Activity,
    Answer,
    EvaluateMetadata,
    EvaluateTransaction,
    JobQueue,
    Publisher,
    Question,
    RecordedAnswers,
    Releases,
    SystemUnderTest,
    TraceReader,
)
from zirkel.evaluate.recompute import Recomputation, recompute
from zirkel.evaluate.report import comparison_report, summary_report
from zirkel.evaluate.report_view import ReportView, read_report
from zirkel.evaluate.runner import Runner, RunnerPorts, RunnerSettings
from zirkel.evaluate.service import Evaluation, GateResult, VerdictEvidence
from zirkel.evaluate.systems import GatewaySystem
from zirkel.evaluate.tools import AllTools, NoTools
from zirkel.evaluate.tools_cache import CachedChat, KeptAnswer
from zirkel.evaluate.tools_gateway import GatewayChat
from zirkel.evaluate.tools_retry import RetryingChat, RetryPolicy
from zirkel.evaluate.turns import Turns
from zirkel.evaluate.uploads import UploadedAnswer, UploadPlan, Uploads

__all__ = [
    "Activity",
    "AllTools",
    "Answer",
    "CachedChat",
    "Calibration",
    "CalibrationReport",
    "CalibrationState",
    "Calibrations",
    "ChangeQuery",
    "Comparison",
    "Corrected",
    "Estimates",
    "EvaluateMetadata",
    "EvaluateTransaction",
    "Evaluation",
    "ExperimentSummary",
    "Experiments",
    "GateDecision",
    "GatePack",
    "GatePlan",
    "GateResult",
    "GatewayChat",
    "GatewaySystem",
    "ItemChange",
    "JobQueue",
    "Judgement",
    "KeptAnswer",
    "LabelQuestion",
    "LabelQueue",
    "LabelTransfer",
    "LabelView",
    "Labelling",
    "Labels",
    "Metric",
    "MetricSummary",
    "MetricVerdict",
    "NoTools",
    "PairedMetric",
    "Planning",
    "Progress",
    "Publisher",
    "Question",
    "QueueOptions",
    "QueueProgress",
    "Recomputation",
    "RecordedAnswers",
    "Releases",
    "ReportView",
    "RetryPolicy",
    "RetryingChat",
    "Runner",
    "RunnerPorts",
    "RunnerSettings",
    "Spending",
    "SystemUnderTest",
    "TraceReader",
    "Turn",
    "Turns",
    "UploadPlan",
    "UploadedAnswer",
    "Uploads",
    "VerdictEvidence",
    "check_evaluator",
    "check_gate_pack",
    "check_policy",
    "compare_metric",
    "comparison_report",
    "decide",
    "encode_gate_pack",
    "forest_plot",
    "frame_items",
    "junit_xml",
    "markdown_summary",
    "measure",
    "metrics_of",
    "read_report",
    "recompute",
    "summarise",
    "summary_report",
]
