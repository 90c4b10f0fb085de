"""Which traces are the newest, without looking at all of them: day by day backwards until there are enough."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from zirkel.store.telemetry import queries
from zirkel.store.telemetry.engine import Engine, Parameter

_PAGE = 50


class _Day(msgspec.Struct, frozen=True):
    value: str


class _Trace(msgspec.Struct, frozen=True):
    trace_id: str


class _FirstDay(msgspec.Struct, frozen=True):
    trace_id: str
    first_day: str


def newest_traces(engine: Engine, project_id: str, service: str, since_ns: int, limit: int) -> list[str]:
    """Return the ids of the newest traces, newest first, by their earliest span of ``service`` since ``since_ns``.

    Args:
        engine: Where the spans are.
        project_id: Whose traces.
        service: Only spans of this service count; all if empty.
        since_ns: Only spans that started then or later count.
        limit: Most traces to return, at least 0.
    """
    scope: dict[str, Parameter] = {"project_id": project_id, "service": service, "since_ns": since_ns}
    found: list[str] = []
    first_day = datetime.fromtimestamp(since_ns // 1_000_000_000, UTC).date().isoformat()
    for row in engine.rows(queries.DAYS, {"project_id": project_id}, _Day):
        if len(found) >= limit or row.value < first_day:
            break
        found += _begun_on(engine, scope, row.value, limit - len(found))
    return found


def _begun_on(engine: Engine, scope: Mapping[str, Parameter], day: str, wanted: int) -> list[str]:
    """Return the newest traces that began on ``day``: those that only went on then belong to a day before."""
    found: list[str] = []
    offset = 0
    size = max(wanted, _PAGE)
    while True:
        page = {**scope, "day": day, "limit": size, "offset": offset}
        traces = [row.trace_id for row in engine.rows(queries.NEWEST_TRACES_OF_DAY, page, _Trace)]
        if traces:
            rows = engine.rows(queries.FIRST_DAYS, {**scope, "trace_ids": traces}, _FirstDay)
            first_days = {row.trace_id: row.first_day for row in rows}
            found += [trace_id for trace_id in traces if first_days.get(trace_id) == day]
        if len(traces) < size or len(found) >= wanted:
            return found[:wanted]
        offset += size
