"""Lists of sessions and users."""

from collections.abc import Collection
from typing import Literal

import msgspec

from zirkel.core.search import GroupRow, Page, Position, SearchScope
from zirkel.store.telemetry.engine import Engine, Parameter
from zirkel.store.telemetry.field_sql import MODEL
from zirkel.store.telemetry.search_scope import NEAR, WINDOW, days_of, filter_of, scope_parameters, within
from zirkel.store.telemetry.search_traces import FlatTotals
from zirkel.store.telemetry.sql_text import filled
from zirkel.store.telemetry.totals_sql import SUMS, leaf

GroupColumn = Literal["session_id", "user_id"]
_LAST_VALUE = (1 << 63) - 1

# A group stands where its newest span stood when the first page was read: spans that came since move nothing.
_PLACES = """
SELECT
    COLUMN AS key,
    maxOrNullIf(start_ns, received_ns <= {seen_ns:Int64}) AS seen_value,
    toInt64(coalesce(seen_value, max(start_ns))) AS value
FROM spans FINAL
WHERE WINDOW AND COLUMN != '' AND FILTER
GROUP BY key
HAVING (value, key) < ({before_value:Int64}, {before_key:String}) AND (seen_value IS NOT NULL OR {is_whole:UInt8} = 1)
ORDER BY value DESC, key DESC
LIMIT {limit:UInt32}
"""

_ROWS = """
SELECT
    arrayJoin(trace_keys) AS id,
    min(trace_first_ns) AS first_ns,
    max(trace_last_ns) AS last_ns,
    count() AS traces,
    sum(total_spans) AS spans,
    sum(total_errors) AS errors,
    sum(total_cost) AS cost_usd,
    sum(unknown_costs) AS unknown_costs,
    sum(total_input_tokens) AS input_tokens,
    sum(total_output_tokens) AS output_tokens,
    arraySlice(arraySort(groupUniqArrayArray(trace_users)), 1, 10) AS users,
    length(groupUniqArrayArray(trace_sessions)) AS sessions,
    arraySort(groupUniqArrayArray(trace_models)) AS models
FROM
(
    SELECT
        trace_id,
        groupUniqArrayIf(COLUMN, COLUMN IN {ids:Array(String)} AND is_inside) AS trace_keys,
        min(start_ns) AS trace_first_ns,
        max(start_ns) AS trace_last_ns,
        groupUniqArrayIf(user_id, user_id != '') AS trace_users,
        groupUniqArrayIf(session_id, session_id != '') AS trace_sessions,
        groupUniqArrayIf(model, is_leaf AND model != '') AS trace_models,
        SUMS
    FROM
    (
        SELECT
            trace_id, user_id, session_id, toString(MODEL) AS model, cost_usd, usage, status, start_ns, end_ns,
            start_ns >= {since_ns:Int64} AND start_ns < {until_ns:Int64} AS is_inside,
            LEAF AS is_leaf
        FROM spans FINAL
        PREWHERE MEMBERS
    )
    GROUP BY trace_id
)
GROUP BY id
"""
_MEMBERS = "NEAR AND trace_id IN (SELECT trace_id FROM spans WHERE WINDOW AND COLUMN IN {ids:Array(String)})"


class _Place(msgspec.Struct, frozen=True):
    key: str
    value: int


class _Row(FlatTotals, frozen=True, kw_only=True):
    id: str
    first_ns: int
    last_ns: int
    traces: int
    users: list[str]
    sessions: int
    models: list[str]


def list_groups(
    engine: Engine, scope: SearchScope, column: GroupColumn, limit: int, after: Position | None
) -> Page[GroupRow]:
    """Return a page of the sessions or users that have a span which satisfies the filter, by their newest such span."""
    days = days_of(engine, scope)
    start = after or Position(_LAST_VALUE, "", days.received_ns)
    places: list[_Place] = []
    for stretch in days.stretches(scope):
        # Each time from further back, and always up to the end, because a group stands where its newest span does.
        places = _places(engine, within(scope, stretch.since_ns, scope.until_ns), column, start, limit + 1, stretch)
        if len(places) > limit:
            break
    listed = places[:limit]
    rows = _rows(engine, scope, column, [place.key for place in listed])
    end = Position(listed[-1].value, listed[-1].key, start.seen_ns) if len(places) > limit else None
    return Page([rows[place.key] for place in listed if place.key in rows], end)


def _places(
    engine: Engine, scope: SearchScope, column: GroupColumn, after: Position, limit: int, stretch: SearchScope
) -> list[_Place]:
    compiled = filter_of(scope)
    query = filled(_PLACES, {"COLUMN": column, "WINDOW": WINDOW, "FILTER": compiled.sql})
    parameters: dict[str, Parameter] = {
        **scope_parameters(scope),
        **compiled.parameters,
        "seen_ns": after.seen_ns,
        "before_value": after.value,
        "before_key": after.key,
        "limit": limit,
        "is_whole": int(stretch.since_ns == scope.since_ns),
    }
    return engine.rows(query, parameters, _Place)


def _rows(engine: Engine, scope: SearchScope, column: GroupColumn, ids: Collection[str]) -> dict[str, GroupRow]:
    if not ids:
        return {}
    members = filled(_MEMBERS, {"NEAR": NEAR, "WINDOW": WINDOW, "COLUMN": column})
    parts = {"COLUMN": column, "WINDOW": WINDOW, "MODEL": MODEL, "SUMS": SUMS, "LEAF": leaf(members)}
    parameters: dict[str, Parameter] = {**scope_parameters(scope), "ids": list(ids)}
    found = engine.rows(filled(_ROWS, {**parts, "MEMBERS": members}), parameters, _Row)
    return {row.id: _group(row, column) for row in found}


def _group(row: _Row, column: GroupColumn) -> GroupRow:
    is_session = column == "session_id"
    return GroupRow(
        id=row.id,
        first_ns=row.first_ns,
        last_ns=row.last_ns,
        traces=row.traces,
        totals=row.totals(),
        users=row.users if is_session else [],
        sessions=1 if is_session else row.sessions,
        models=row.models,
    )
