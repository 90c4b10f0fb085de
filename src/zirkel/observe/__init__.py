"""What happened: taking spans in, and the four answers."""

from zirkel.observe.drift import DriftAnswer
from zirkel.observe.intake import MAX_BODY_BYTES, Accepted, Intake
from zirkel.observe.normalise import leaf_model_spans, normalise_span
from zirkel.observe.ports import ArmUsage, DurableSink, ObserveMetadata, QualityReader, TelemetryReader
from zirkel.observe.price_book import PriceBook, PriceShelf, open_book
from zirkel.observe.price_tables import LoadedPrices, PriceTables, QuotedPrice
from zirkel.observe.prices import ModelPrices, Tier
from zirkel.observe.status import Arm, ArmCost, EnvironmentStatus, ServiceStatus, Status
from zirkel.observe.traces import TraceReader, Traces

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
    "LoadedPrices",
    "ModelPrices",
    "ObserveMetadata",
    "PriceBook",
    "PriceShelf",
    "PriceTables",
    "QualityReader",
    "QuotedPrice",
    "ServiceStatus",
    "Status",
    "TelemetryReader",
    "Tier",
    "TraceReader",
    "Traces",
    "leaf_model_spans",
    "normalise_span",
    "open_book",
]
