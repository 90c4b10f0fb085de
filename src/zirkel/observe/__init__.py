"""What happened: taking spans in, and the four answers."""

from zirkel.observe.drift import DriftAnswer
from zirkel.observe.intake import MAX_BODY_BYTES, Accepted, Intake
from zirkel.observe.normalise import leaf_model_spans, normalise_span
from zirkel.observe.ports import ArmUsage, DurableSink, ObserveMetadata, QualityReader, TelemetryReader
from zirkel.observe.prices import ModelPrices, common_prices, own_prices
from zirkel.observe.status import Arm, ArmCost, EnvironmentStatus, ServiceStatus, Status
from zirkel.observe.traces import TraceReader, Traces, TraceSummary

__all__ = [
    "MAX_BODY_BYTES",
    "Accepted",
    "Arm",
    "ArmCost",
    "ArmUsage",
    "DriftAnswer",
    "DurableSink",
    "EnvironmentStatus",
    "Intake",
    "ModelPrices",
    "ObserveMetadata",
    "QualityReader",
    "ServiceStatus",
    "Status",
    "TelemetryReader",
    "TraceReader",
    "TraceSummary",
    "Traces",
    "common_prices",
    "leaf_model_spans",
    "normalise_span",
    "own_prices",
]
