"""Statistics of spans by their values and over time."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from zirkel.core.aggregates import Measure, Statistic, is_money, nothing
from zirkel.core.filters import FieldRef
from zirkel.core.search import AggregateRow, Point, SearchScope
from zirkel.store.telemetry.dimension_sql import dimension
from zirkel.store.telemetry.engine import Engine, Parameter
from zirkel.store.telemetry.measure_sql import MeasureSql, measure_sql, statistic_sql
from zirkel.store.telemetry.search_scope import NEAR, WINDOW, filter_of, scope_parameters
from zirkel.store.telemetry.sql_text import filled
from zirkel.store.telemetry.totals_sql import leaf

# States of each series and bucket first, so that the rest is summed up exactly too, quantiles included.
_STATISTICS = """
SELECT
    is_other,
    if(is_other, [], all_values) AS values,
    bucket AS start_ns,
    sum(spans) AS count,
    max(total) AS size,
    MERGED AS points,
    UNKNOWN AS unknown
FROM
(
    SELECT *, toBool(RANK > {limit:UInt32}) AS is_other
    FROM
    (
        SELECT *, DIMENSIONS AS all_values, sum(weight) OVER (PARTITION BY all_values) AS total
        FROM
        (
            SELECT KEYS, count() AS spans, WEIGHT AS weight, STATES
            FROM (SELECT COLUMNS FROM SOURCE)
            GROUP BY KEYS
        )
    )
)
GROUP BY is_other, values, start_ns
ORDER BY is_other, size DESC, values, start_ns
"""
_BY_SIZE = "dense_rank() OVER (ORDER BY total DESC, all_values)"
_BY_NAME = "if(has({series:Array(String)}, toJSONString(all_values)), 0, 4000000000)"

_SPANS = "spans FINAL WHERE WINDOW AND FILTER"

# A score is about a span, a trace, a session or an item, the narrowest that it names, and counts once: with the first
# span that satisfies the filter among those it is about.
_SCORED_SPANS = """spans AS scored FINAL INNER JOIN
(
    SELECT any(score_value) AS score_value, argMin((found_trace, found_span), (found_ns, found_span)) AS place
    FROM
    (
        SELECT
            trace_id AS found_trace, span_id AS found_span, start_ns AS found_ns,
            arrayJoin([
                cityHash64(1, trace_id, span_id), cityHash64(2, trace_id, ''), cityHash64(3, session_id, ''),
                cityHash64(4, experiment_id, item_id)
            ]) AS subject
        FROM spans FINAL
        WHERE WINDOW AND FILTER
    ) AS found
    INNER JOIN
    (
        SELECT
            score_id,
            value AS score_value,
            multiIf(
                span_id != '', cityHash64(1, trace_id, span_id),
                trace_id != '', cityHash64(2, trace_id, ''),
                session_id != '', cityHash64(3, session_id, ''),
                cityHash64(4, experiment_id, item_id)
            ) AS subject
        FROM
        (
            SELECT score_id, value, trace_id, span_id, session_id, experiment_id, item_id, is_withdrawn
            FROM scores
            WHERE project_id = {project_id:String} AND name = {score_name:String}
            ORDER BY received_ns DESC, time_ns DESC
            LIMIT 1 BY score_id
        )
        WHERE NOT is_withdrawn AND value IS NOT NULL
    ) AS given USING (subject)
    GROUP BY score_id
) AS given ON scored.trace_id = given.place.1 AND scored.span_id = given.place.2
WHERE WINDOW"""


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    is_other: bool
    values: list[str]
    start_ns: int
    count: int
    points: list[str | None]
    unknown: list[int]


def aggregate(
    engine: Engine,
    scope: SearchScope,
    measures: Sequence[Measure],
    by: Sequence[FieldRef],
    over_ns: int | None,
    limit: int,
) -> list[AggregateRow]:
    """Return a row for each series and bucket that has spans, as ``TelemetrySearch.aggregate`` says."""
    numbers = [measure for measure in measures if not _is_score(measure)]
    # The first measure decides which series are the largest; scores are joined to series that are known.
    rows = _run(engine, scope, numbers or [Measure(Statistic.COUNT)], by, over_ns, {"limit": limit}, _BY_SIZE)
    columns = dict(zip(numbers, range(len(numbers)), strict=True)) if numbers else {}
    series = list(dict.fromkeys(tuple(row.values) for row in rows if not row.is_other))
    names: dict[str, Parameter] = {"limit": 1, "series": [msgspec.json.encode(values).decode() for values in series]}
    scored = {
        measure: _points_by_place(_run(engine, scope, [measure], by, over_ns, names, _BY_NAME))
        for measure in measures
        if _is_score(measure)
    }
    return [_answer(row, measures, columns, scored) for row in rows]


def _answer(
    row: _Row,
    measures: Sequence[Measure],
    columns: Mapping[Measure, int],
    scored: Mapping[Measure, Mapping[tuple[bool, tuple[str, ...], int], _Row]],
) -> AggregateRow:
    points = []
    for measure in measures:
        column = columns.get(measure, 0)
        found = scored[measure].get(_place(row)) if measure in scored else row
        points.append(_point(measure, found, column))
    return AggregateRow(values=row.values, is_other=row.is_other, start_ns=row.start_ns, count=row.count, points=points)


def _point(measure: Measure, row: _Row | None, column: int) -> Point:
    if row is None:
        return Point(nothing(measure), 0)
    text, unknown = row.points[column], row.unknown[column]
    if text is None or text == "nan":
        # A sum over nothing is 0, a sum of which nothing is known is not.
        return Point(nothing(measure) if measure.statistic is Statistic.SUM and unknown == 0 else None, unknown)
    return Point(Decimal(text) if is_money(measure) else float(text), unknown)


def _run(
    engine: Engine,
    scope: SearchScope,
    measures: Sequence[Measure],
    by: Sequence[FieldRef],
    over_ns: int | None,
    rank_parameters: Mapping[str, Parameter],
    rank: str,
) -> list[_Row]:
    """Return the statistics by series and bucket; what is not in a series of its own is together in ``is_other``."""
    compiled = filter_of(scope)
    ways = [measure_sql(measure, f"m{number}") for number, measure in enumerate(measures)]
    dimensions = [dimension(field, f"d{number}") for number, field in enumerate(by)]
    is_score = _is_score(measures[0])
    query = filled(_STATISTICS, {"RANK": rank, **_columns(measures, ways, [sql for sql, _ in dimensions], over_ns)})
    query = filled(query, {"SOURCE": _SCORED_SPANS if is_score else _SPANS})
    query = filled(query, {"WINDOW": WINDOW, "FILTER": compiled.sql})
    parameters: dict[str, Parameter] = {**scope_parameters(scope), **compiled.parameters, **rank_parameters}
    for bound in [*(found for _, found in dimensions), *(way.parameters for way in ways)]:
        parameters.update(bound)
    if over_ns:
        parameters["over_ns"] = over_ns
    if is_score and measures[0].of:
        parameters["score_name"] = measures[0].of.key
    return engine.rows(query, parameters, _Row)


def _columns(
    measures: Sequence[Measure], ways: Sequence[MeasureSql], dimensions: Sequence[str], over_ns: int | None
) -> dict[str, str]:
    numbered = list(enumerate(measures))
    bucket = "intDiv(start_ns, {over_ns:Int64}) * {over_ns:Int64}" if over_ns else "toInt64(0)"
    columns = [f"{bucket} AS bucket", *(f"{sql} AS dimension_{number}" for number, sql in enumerate(dimensions))]
    if any(way.needs_leaves for way in ways):
        columns.append(f"{leaf(NEAR)} AS is_leaf")
    columns += [f"{way.value} AS value_{number}, {way.is_told} AS is_told_{number}" for number, way in enumerate(ways)]
    states = [f"{statistic_sql(measure, 'State', f'value_{number}')} AS state_{number}" for number, measure in numbered]
    states += [f"countIf(is_told_{number} AND value_{number} IS NULL) AS unknown_{number}" for number, _ in numbered]
    merged = [statistic_sql(measure, "Merge", f"state_{number}") for number, measure in numbered]
    texts = [f"toString(dimension_{number})" for number in range(len(dimensions))]
    is_sum = measures[0].statistic is Statistic.SUM
    return {
        "COLUMNS": ", ".join(columns),
        "KEYS": ", ".join(["bucket", *(f"dimension_{number}" for number in range(len(dimensions)))]),
        "DIMENSIONS": f"[{', '.join(texts)}]" if texts else "emptyArrayString()",
        "WEIGHT": "sum(ifNull(toFloat64(value_0), 0))" if is_sum else "toFloat64(count())",
        "STATES": ", ".join(states),
        "MERGED": f"[{', '.join(f'CAST(toString({sql}) AS Nullable(String))' for sql in merged)}]",
        "UNKNOWN": f"[{', '.join(f'sum(unknown_{number})' for number, _ in numbered)}]",
    }


def _points_by_place(rows: Sequence[_Row]) -> dict[tuple[bool, tuple[str, ...], int], _Row]:
    return {_place(row): row for row in rows}


def _place(row: _Row) -> tuple[bool, tuple[str, ...], int]:
    return row.is_other, tuple(row.values), row.start_ns


def _is_score(measure: Measure) -> bool:
    return measure.of is not None and measure.of.name == "score" and measure.statistic is not Statistic.DISTINCT
