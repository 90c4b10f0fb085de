"""Lists of traces and what their rows say."""

from collections.abc import Collection, Sequence
from decimal import Decimal

import msgspec

from zirkel.core.search import Order, Page, Position, ScoreSummary, SearchScope, Totals, TraceRow
from zirkel.store.telemetry.engine import Engine, Parameter
from zirkel.store.telemetry.field_sql import MODEL
from zirkel.store.telemetry.preview_sql import asked_message, last_message, readable
from zirkel.store.telemetry.search_scope import (
    DAYS,
    NEAR,
    TRACES,
    WINDOW,
    Days,
    days_of,
    filter_of,
    newest_spans,
    scope_parameters,
    within,
)
from zirkel.store.telemetry.search_scores import scores_of_traces
from zirkel.store.telemetry.sql_text import filled
from zirkel.store.telemetry.totals_sql import SUMS, leaf, trace_totals

PREVIEW_LENGTH = 300
"""Characters of the texts in a list."""
_CHUNK = 50
_LAST_VALUE = (1 << 63) - 1

# A trace stands where its earliest span that satisfies the filter stood when the first page was read: spans that came
# since move nothing. A trace of which nothing was there then stands where its earliest span is.
#
# Candidates are found among all versions of spans, because with FINAL the engine reads each column of a condition in
# full, however few rows are left by the others; and are looked at again in their newest version, over the whole time.
_CANDIDATES = """
SELECT
    trace_id AS key,
    toInt64(coalesce(minOrNullIf(start_ns, received_ns <= {seen_ns:Int64}), min(start_ns))) AS value
FROM spans
WHERE WINDOW AND FILTER
GROUP BY trace_id
HAVING (value, key) < ({before_value:Int64}, {before_key:String})
ORDER BY value DESC, key DESC
LIMIT {limit:UInt32}
"""

_PLACES = """
SELECT
    trace_id AS key,
    toInt64(coalesce(minOrNullIf(start_ns, received_ns <= {seen_ns:Int64}), min(start_ns))) AS value
FROM NEWEST
WHERE start_ns >= {since_ns:Int64} AND start_ns < {until_ns:Int64} AND FILTER
GROUP BY trace_id
"""

_LARGEST = """
SELECT trace_id AS key, VALUE AS value
FROM (TOTALS)
WHERE (value, key) < ({before_value:Int64}, {before_key:String})
ORDER BY value DESC, key DESC
LIMIT {limit:UInt32}
"""
_MATCHING = "trace_id IN (SELECT trace_id FROM spans FINAL WHERE WINDOW AND FILTER)"
_VALUES = {
    Order.COST: "ifNull(toInt64(toDecimal128(total_cost, 12) * 1000000000000), -1)",
    Order.LATENCY: "total_latency_ns",
}

_DAYS = filled(
    "SELECT min(start_ns) AS since_ns, max(start_ns) AS until_ns FROM spans WHERE TRACES", {"TRACES": TRACES}
)

_ROWS = filled(
    """
SELECT
    trace_id, first_name AS name, first_service AS service, first_environment AS environment,
    first_release AS release, first_arm AS arm, first_session AS session_id, first_user AS user_id,
    first_ns AS start_ns, total_latency_ns AS duration_ns, first_status AS status, models, all_tags AS tags,
    ASKED AS input, ANSWERED AS output,
    total_cost AS cost_usd, unknown_costs, total_spans AS spans, total_errors AS errors,
    total_input_tokens AS input_tokens, total_output_tokens AS output_tokens
FROM
(
    SELECT
        trace_id,
        argMin(name, place) AS first_name,
        argMin(status, place) AS first_status,
        argMinIf(service, place, service != '') AS first_service,
        argMinIf(environment, place, environment != '') AS first_environment,
        argMinIf(release, place, release != '') AS first_release,
        argMinIf(arm, place, arm != '') AS first_arm,
        argMinIf(session_id, place, session_id != '') AS first_session,
        argMinIf(user_id, place, user_id != '') AS first_user,
        argMinIf(input, place, input != '') AS first_input,
        argMinIf(output, (parent_span_id != '', -end_ns, span_id), output != '') AS first_output,
        ASKED_MESSAGE AS asked,
        LAST_MESSAGE AS answered,
        arraySort(groupUniqArrayIf(model, is_leaf AND model != '')) AS models,
        arraySort(groupUniqArrayArray(tags)) AS all_tags,
        min(start_ns) AS first_ns,
        SUMS
    FROM
    (
        SELECT
            trace_id, span_id, parent_span_id, name, status, service, environment, release, arm, session_id, user_id,
            input, output, tags, toString(MODEL) AS model, usage, cost_usd, start_ns, end_ns,
            (parent_span_id != '', start_ns, span_id) AS place,
            LEAF AS is_leaf
        FROM NEWEST
    )
    GROUP BY trace_id
)
""",
    {
        "ASKED": readable("asked", "first_input", "{preview:UInt32}"),
        "ANSWERED": readable("answered", "first_output", "{preview:UInt32}"),
        "ASKED_MESSAGE": asked_message("first_input"),
        "LAST_MESSAGE": last_message("first_output"),
        "MODEL": MODEL,
        "SUMS": SUMS,
        "LEAF": leaf(f"{TRACES} AND {DAYS}"),
        "NEWEST": newest_spans(f"{TRACES} AND {DAYS}"),
    },
)


class _Days(msgspec.Struct, frozen=True):
    since_ns: int
    until_ns: int


class _Place(msgspec.Struct, frozen=True):
    key: str
    value: int


class FlatTotals(msgspec.Struct, frozen=True, kw_only=True):
    """``Totals`` as columns of a row."""

    cost_usd: Decimal | None
    unknown_costs: int
    spans: int
    errors: int
    input_tokens: int | None
    output_tokens: int | None

    def totals(self) -> Totals:
        """Return them as one value."""
        return Totals(**{name: getattr(self, name) for name in Totals.__struct_fields__})


class _Row(FlatTotals, frozen=True, kw_only=True):
    trace_id: str
    name: str
    service: str
    environment: str
    release: str
    arm: str
    session_id: str
    user_id: str
    start_ns: int
    duration_ns: int
    status: str
    models: list[str]
    tags: list[str]
    input: str
    output: str

    def row(self, scores: list[ScoreSummary]) -> TraceRow:
        own = [name for name in TraceRow.__struct_fields__ if name not in ("totals", "scores")]
        return TraceRow(**{name: getattr(self, name) for name in own}, totals=self.totals(), scores=scores)


def list_traces(engine: Engine, scope: SearchScope, order: Order, limit: int, after: Position | None) -> Page[TraceRow]:
    """Return a page of the traces that have a span which satisfies the filter, as ``TelemetrySearch.traces`` says."""
    days = days_of(engine, scope)
    start = after or Position(_LAST_VALUE, "", days.received_ns)
    if order is Order.START:
        places = _newest(engine, scope, days, start, limit + 1)
    else:
        places = _largest(engine, scope, order, start, limit + 1)
    listed = places[:limit]
    rows = {row.trace_id: row for row in trace_rows(engine, scope.project_id, [place.key for place in listed])}
    end = Position(listed[-1].value, listed[-1].key, start.seen_ns) if len(places) > limit else None
    return Page([rows[place.key] for place in listed if place.key in rows], end)


def trace_rows(
    engine: Engine, project_id: str, trace_ids: Collection[str], preview: int = PREVIEW_LENGTH
) -> list[TraceRow]:
    """Return the rows of traces, those of none that is not there, newest first; texts of ``preview`` characters."""
    if not trace_ids:
        return []
    of_traces: dict[str, Parameter] = {"project_id": project_id, "trace_ids": list(trace_ids)}
    days = engine.rows(_DAYS, of_traces, _Days)[0]
    parameters: dict[str, Parameter] = {
        **of_traces,
        "since_ns": days.since_ns,
        "until_ns": days.until_ns,
        "preview": preview,
    }
    rows = engine.rows(_ROWS, parameters, _Row)
    scores = scores_of_traces(engine, project_id, [row.trace_id for row in rows])
    ordered = sorted(rows, key=lambda row: (-row.start_ns, row.trace_id))
    return [row.row(scores.get(row.trace_id, [])) for row in ordered]


def _newest(engine: Engine, scope: SearchScope, days: Days, after: Position, wanted: int) -> list[_Place]:
    found: list[_Place] = []
    for stretch in days.stretches(within(scope, scope.since_ns, after.value + 1)):
        found += _of_stretch(engine, scope, stretch, after, wanted - len(found))
        if len(found) >= wanted:
            break
    return found


def _of_stretch(engine: Engine, scope: SearchScope, stretch: SearchScope, after: Position, wanted: int) -> list[_Place]:
    """Return the next traces whose place is in this stretch; those that stand before it come later."""
    compiled = filter_of(stretch)
    query = _filled(_CANDIDATES, compiled.sql)
    found: list[_Place] = []
    before, size = (after.value, after.key), max(wanted, _CHUNK)
    while True:
        parameters = {**scope_parameters(stretch), **compiled.parameters, **_before(before, size)}
        parameters["seen_ns"] = after.seen_ns
        candidates = engine.rows(query, parameters, _Place)
        found += _in_place(engine, scope, stretch, after, candidates)
        if len(candidates) < size or len(found) >= wanted:
            return found[:wanted]
        before = (candidates[-1].value, candidates[-1].key)


def _in_place(
    engine: Engine, scope: SearchScope, stretch: SearchScope, after: Position, candidates: Sequence[_Place]
) -> list[_Place]:
    """Return the candidates that stand in this stretch when all their spans are looked at."""
    if not candidates:
        return []
    compiled = filter_of(scope, TRACES)
    parameters = {
        **scope_parameters(scope),
        **compiled.parameters,
        "trace_ids": [place.key for place in candidates],
        "seen_ns": after.seen_ns,
    }
    places = {row.key: row.value for row in engine.rows(_filled(_PLACES, compiled.sql), parameters, _Place)}
    return [
        place
        for place in candidates
        if stretch.since_ns <= places.get(place.key, -1) < stretch.until_ns
        and (places[place.key], place.key) < (after.value, after.key)
    ]


def _largest(engine: Engine, scope: SearchScope, order: Order, after: Position, wanted: int) -> list[_Place]:
    compiled = filter_of(scope)
    matching = _filled(_MATCHING, compiled.sql)
    query = filled(_LARGEST, {"TOTALS": trace_totals(f"{NEAR} AND {matching}"), "VALUE": _VALUES[order]})
    parameters = {**scope_parameters(scope), **compiled.parameters, **_before((after.value, after.key), wanted)}
    return engine.rows(query, parameters, _Place)


def _before(place: tuple[int, str], limit: int) -> dict[str, Parameter]:
    return {"before_value": place[0], "before_key": place[1], "limit": limit}


def _filled(query: str, condition: str) -> str:
    return filled(query, {"WINDOW": WINDOW, "NEWEST": newest_spans(TRACES), "FILTER": condition})
