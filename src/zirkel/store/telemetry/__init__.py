"""Telemetry and what is computed from it, in ClickHouse: embedded by default, a server by configuration."""

from zirkel.store.telemetry.answers import ArmUsage, ExperimentAnswer, RowCounts, SpentRow
from zirkel.store.telemetry.store import Measure, TelemetryStore

__all__ = ["ArmUsage", "ExperimentAnswer", "Measure", "RowCounts", "SpentRow", "TelemetryStore"]
