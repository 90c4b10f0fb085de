"""Spans and what is computed from them, in ClickHouse: embedded by default, a server by configuration."""

from zirkel.store.telemetry.answers import ArmUsage, ExperimentAnswer, SpentRow, TraceSummary
from zirkel.store.telemetry.store import Measure, TelemetryStore

__all__ = ["ArmUsage", "ExperimentAnswer", "Measure", "SpentRow", "TelemetryStore", "TraceSummary"]
