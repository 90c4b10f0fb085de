"""What a search looks at, as conditions and parameters; and the stretches of time that lists walk back through."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from zirkel.core.search import SearchScope
from zirkel.store.telemetry.engine import Engine, Parameter
from zirkel.store.telemetry.filter_sql import CompiledFilter, compile_filter
from zirkel.store.telemetry.sql_text import filled

DAY_NS = 86_400 * 1_000_000_000
LAST_NS = 5_662_224_000 * 1_000_000_000
"""The last day that ClickHouse's Date can hold, 2149-06-05, in nanoseconds."""
FIRST_SPANS = 50_000
"""How many spans the first stretch has at least, in whole days; each further one has this many times ``GROWTH``."""
GROWTH = 4

_DAYS = """day >= toDate(fromUnixTimestamp64Nano({PREFIXsince_ns:Int64}, 'UTC'))
    AND day <= toDate(fromUnixTimestamp64Nano({PREFIXuntil_ns:Int64}, 'UTC'))"""
DAYS = _DAYS.replace("PREFIX", "")
"""The days looked at."""
WINDOW = (
    "project_id = {project_id:String} AND " + DAYS + " AND start_ns >= {since_ns:Int64} AND start_ns < {until_ns:Int64}"
)
"""Spans of the project that start in the time looked at."""
NEAR = "project_id = {project_id:String} AND " + _DAYS.replace("PREFIX", "near_")
"""Spans of the days looked at and of the days beside them: what belongs to a trace that is looked at."""
TRACES = "project_id = {project_id:String} AND trace_id IN {trace_ids:Array(String)}"
"""All spans of some traces."""


_NEWEST = """(
    SELECT *, version, day, is_call, is_model
    FROM spans
    PREWHERE CONDITION
    ORDER BY version DESC
    LIMIT 1 BY trace_id, span_id, day
)"""


def newest_spans(condition: str) -> str:
    """Return a table of the spans for which a condition on columns of the order key holds, in their newest version.

    For few spans out of many parts: it says the same as ``FINAL``, which merges the parts, in half the time.
    """
    return filled(_NEWEST, {"CONDITION": condition})


_SPANS_BY_DAY = filled(
    """
SELECT
    toInt64(toUnixTimestamp(toDateTime(day, 'UTC'))) * 1000000000 AS start_ns,
    count() AS spans,
    max(received_ns) AS received_ns
FROM spans
WHERE project_id = {project_id:String} AND DAYS
GROUP BY day
ORDER BY day DESC
""",
    {"DAYS": DAYS},
)


class _Day(msgspec.Struct, frozen=True):
    start_ns: int
    spans: int
    received_ns: int


def scope_parameters(scope: SearchScope) -> dict[str, Parameter]:
    """Return what ``WINDOW`` and ``NEAR`` bind."""
    since_ns, until_ns = _clip(scope.since_ns), _clip(scope.until_ns)
    return {
        "project_id": scope.project_id,
        "since_ns": since_ns,
        "until_ns": until_ns,
        "near_since_ns": _clip(since_ns - DAY_NS),
        "near_until_ns": _clip(until_ns + DAY_NS),
    }


def filter_of(scope: SearchScope, near: str = NEAR) -> CompiledFilter:
    """Return the scope's filter as SQL; totals of traces are computed among the spans for which ``near`` holds."""
    return compile_filter(scope.filter, now_ns=scope.now_ns, near=near)


def within(scope: SearchScope, since_ns: int, until_ns: int) -> SearchScope:
    """Return the same scope over a part of its time."""
    since_ns, until_ns = max(since_ns, scope.since_ns), min(until_ns, scope.until_ns)
    return msgspec.structs.replace(scope, since_ns=since_ns, until_ns=max(since_ns, until_ns))


@dataclass(frozen=True, slots=True)
class Days:
    """The days that have spans, the newest first."""

    days: Sequence[_Day]

    @property
    def received_ns(self) -> int:
        """When the latest of their spans was received: what comes later was not there yet."""
        return max((day.received_ns for day in self.days), default=0)

    def stretches(self, scope: SearchScope) -> Iterator[SearchScope]:
        """Yield the scope cut into stretches of whole days, the newest first: a page is full after few of them.

        The last one reaches back to the scope's beginning; there is none where there are no spans.
        """
        until_ns, spans, wanted = scope.until_ns, 0, FIRST_SPANS
        days = [day for day in self.days if day.start_ns < scope.until_ns]
        for day in days[:-1]:
            spans += day.spans
            if spans >= wanted:
                yield within(scope, day.start_ns, until_ns)
                until_ns, spans, wanted = day.start_ns, 0, wanted * GROWTH
        if days:
            yield within(scope, scope.since_ns, until_ns)


def days_of(engine: Engine, scope: SearchScope) -> Days:
    """Return the days of the time looked at that have spans of the project."""
    return Days(engine.rows(_SPANS_BY_DAY, scope_parameters(scope), _Day))


def _clip(time_ns: int) -> int:
    return max(0, min(time_ns, LAST_NS))
