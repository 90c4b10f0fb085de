"""Whole spans in bulk: of many traces, and as one Parquet file."""

from collections.abc import Collection

import msgspec

from zirkel.core import Span
from zirkel.core.search import SearchScope
from zirkel.store.telemetry.engine import Engine, Parameter
from zirkel.store.telemetry.search_scope import WINDOW, filter_of, scope_parameters
from zirkel.store.telemetry.sql_text import filled

_COLUMNS = ", ".join(Span.__struct_fields__)
_TRACES = """
SELECT COLUMNS
FROM spans
WHERE project_id = {project_id:String} AND trace_id IN {trace_ids:Array(String)}
ORDER BY version DESC
LIMIT 1 BY trace_id, span_id
"""
_MATCHING = "SELECT COLUMNS FROM spans FINAL WHERE WINDOW AND FILTER ORDER BY start_ns, span_id LIMIT {limit:UInt64}"
_COUNT = "SELECT count() AS value FROM spans FINAL WHERE WINDOW AND FILTER"


class _Count(msgspec.Struct, frozen=True):
    value: int


class TelemetryExport:
    """Reads for exports. Thread safe; calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def spans_of_traces(self, project_id: str, trace_ids: Collection[str]) -> list[Span]:
        """Return all spans of some traces, each as it was received last, by trace and start."""
        parameters: dict[str, Parameter] = {"project_id": project_id, "trace_ids": sorted(trace_ids)}
        spans = self._engine.rows(filled(_TRACES, {"COLUMNS": _COLUMNS}), parameters, Span)
        return sorted(spans, key=lambda span: (span.trace_id, span.start_ns, span.span_id))

    def count(self, scope: SearchScope) -> int:
        """Return how many spans a scope has."""
        query, parameters = self._filled(_COUNT, scope)
        return self._engine.rows(query, parameters, _Count)[0].value

    def parquet(self, scope: SearchScope, limit: int) -> bytes:
        """Return the scope's first ``limit`` spans by start as a Parquet file, its columns the fields of ``Span``."""
        query, parameters = self._filled(_MATCHING, scope)
        return self._engine.answer(query, {**parameters, "limit": limit}, "Parquet")

    def _filled(self, query: str, scope: SearchScope) -> tuple[str, dict[str, Parameter]]:
        compiled = filter_of(scope)
        text = filled(query, {"COLUMNS": _COLUMNS, "WINDOW": WINDOW, "FILTER": compiled.sql})
        return text, {**scope_parameters(scope), **compiled.parameters}
