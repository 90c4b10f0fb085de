"""Lists of spans."""

from collections.abc import Collection

import msgspec
from msgspec.structs import replace

from zirkel.core.search import Order, Page, Position, SearchScope, SpanRow
from zirkel.store.telemetry.engine import Engine, Parameter
from zirkel.store.telemetry.field_sql import INPUT_TOKENS, LATENCY, MODEL, OUTPUT_TOKENS
from zirkel.store.telemetry.preview_sql import asked_message, last_message, readable
from zirkel.store.telemetry.search_scope import TRACES, WINDOW, days_of, filter_of, scope_parameters, within
from zirkel.store.telemetry.search_traces import PREVIEW_LENGTH
from zirkel.store.telemetry.sql_text import filled

_LAST_VALUE = (1 << 63) - 1
_KEY = "concat(trace_id, '/', span_id)"
_VALUES = {
    Order.START: "start_ns",
    Order.COST: "ifNull(toInt64(toDecimal128(cost_usd, 12) * 1000000000000), -1)",
    Order.LATENCY: LATENCY,
}

# Candidates among all versions first, then their newest version, as in lists of traces.
_CANDIDATES = """
SELECT KEY AS key, VALUE AS value
FROM spans
WHERE WINDOW AND FILTER AND (value, key) < ({before_value:Int64}, {before_key:String})
ORDER BY value DESC, key DESC
LIMIT 1 BY key
LIMIT {limit:UInt32}
"""

_ROWS = filled(
    """
SELECT * EXCEPT (asked_of, answered_of, asked, answered), ASKED AS input, ANSWERED AS output
FROM
(
    SELECT
        KEY AS key, VALUE AS value, trace_id, span_id, parent_span_id, name, kind, service, environment, release, arm,
        provider, MODEL AS model, session_id, user_id, key_id, tags, start_ns, LATENCY AS duration_ns,
        time_to_first_token_ns, status, error_type, finish_reason, cost_usd, INPUT_TOKENS AS input_tokens,
        OUTPUT_TOKENS AS output_tokens,
        input AS asked_of, ASKED_MESSAGE AS asked, output AS answered_of, LAST_MESSAGE AS answered
    FROM spans FINAL
    PREWHERE TRACES AND KEY IN {keys:Array(String)}
    WHERE FILTER
)
""",
    {
        "KEY": _KEY,
        "ASKED": readable("asked", "asked_of", "{preview:UInt32}"),
        "ANSWERED": readable("answered", "answered_of", "{preview:UInt32}"),
        "ASKED_MESSAGE": asked_message("input"),
        "LAST_MESSAGE": last_message("output"),
        "MODEL": MODEL,
        "LATENCY": LATENCY,
        "INPUT_TOKENS": INPUT_TOKENS,
        "OUTPUT_TOKENS": OUTPUT_TOKENS,
        "TRACES": TRACES,
    },
)


class _Place(msgspec.Struct, frozen=True):
    key: str
    value: int


class _Row(SpanRow, frozen=True, kw_only=True):
    key: str
    value: int


def list_spans(engine: Engine, scope: SearchScope, order: Order, limit: int, after: Position | None) -> Page[SpanRow]:
    """Return a page of the spans that satisfy the filter, as ``TelemetrySearch.spans`` says."""
    start = after or Position(_LAST_VALUE, "", 0)
    parts = [scope]
    if order is Order.START:
        parts = list(days_of(engine, scope).stretches(within(scope, scope.since_ns, start.value + 1)))
    found: list[_Row] = []
    for part in parts:
        found += _of_stretch(engine, part, order, start, limit + 1 - len(found))
        if len(found) > limit:
            break
    listed = found[:limit]
    end = Position(listed[-1].value, listed[-1].key, start.seen_ns) if len(found) > limit else None
    names = SpanRow.__struct_fields__
    return Page([SpanRow(**{name: getattr(row, name) for name in names}) for row in listed], end)


def _of_stretch(engine: Engine, scope: SearchScope, order: Order, after: Position, wanted: int) -> list[_Row]:
    compiled = filter_of(scope)
    parts = {"KEY": _KEY, "VALUE": _VALUES[order], "WINDOW": WINDOW, "FILTER": compiled.sql}
    query = filled(_CANDIDATES, parts)
    before, found = (after.value, after.key), list[_Row]()
    while True:
        page: dict[str, Parameter] = {"before_value": before[0], "before_key": before[1], "limit": wanted}
        candidates = engine.rows(query, {**scope_parameters(scope), **compiled.parameters, **page}, _Place)
        rows = _rows(engine, scope, order, [place.key for place in candidates])
        # What a candidate is ordered by is that of the version that was found, else it would change its place here.
        found += [replace(rows[place.key], value=place.value) for place in candidates if place.key in rows]
        if len(candidates) < wanted or len(found) >= wanted:
            return found[:wanted]
        before = (candidates[-1].value, candidates[-1].key)


def _rows(engine: Engine, scope: SearchScope, order: Order, keys: Collection[str]) -> dict[str, _Row]:
    if not keys:
        return {}
    compiled = filter_of(scope, TRACES)
    parameters: dict[str, Parameter] = {
        **scope_parameters(scope),
        **compiled.parameters,
        "trace_ids": sorted({key.partition("/")[0] for key in keys}),
        "keys": list(keys),
        "preview": PREVIEW_LENGTH,
    }
    query = filled(_ROWS, {"VALUE": _VALUES[order], "FILTER": compiled.sql})
    return {row.key: row for row in engine.rows(query, parameters, _Row)}
