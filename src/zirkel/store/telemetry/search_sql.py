"""Read-only SQL over the telemetry of one project, with limits.

Three fences stand behind each other: the text is checked before the engine evaluates any of it (``sql_fence``), the
names ``spans``, ``logs``, ``points`` and ``scores`` mean queries that hold the project's rows only, and the engine
filters the tables themselves by the project, however they were reached.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec
from clickhouse_connect.driver.exceptions import DatabaseError

from zirkel.core import Invalid, Overloaded
from zirkel.core.search import SqlLimits, Table
from zirkel.store.telemetry.engine import Engine, Parameter
from zirkel.store.telemetry.sql_fence import check_tables, check_tree, rewrite
from zirkel.store.telemetry.sql_text import filled

VIEWS = ("spans", "logs", "points", "scores")
"""The tables that a reader sees, without the project's column. Each row is there once, of scores as they are now."""

_WRAPPED = """WITH VIEWS
SELECT * FROM (QUERY) LIMIT {limit:UInt64}
SETTINGS
    readonly = 1, additional_table_filters = FILTERS, max_execution_time = SECONDS, timeout_overflow_mode = 'throw',
    max_memory_usage = MEMORY_BYTES, max_result_bytes = RESULT_BYTES, result_overflow_mode = 'throw', max_threads = 2,
    query_plan_remove_redundant_sorting = 0"""
_VIEW = "NAME AS (SELECT COLUMNS FROM DATABASE.NAME FINAL WHERE project_id = {project_id:String})"
_SCORES = """NAME AS
(
    SELECT COLUMNS
    FROM
    (
        SELECT COLUMNS
        FROM DATABASE.NAME
        WHERE project_id = {project_id:String}
        ORDER BY received_ns DESC, time_ns DESC
        LIMIT 1 BY score_id
    )
    WHERE NOT is_withdrawn
)"""
_COLUMNS = """
SELECT database AS base, table, groupArray(name) AS columns
FROM system.columns
WHERE database = currentDatabase()
GROUP BY base, table
"""
_NO_TABLE = "system.one"
"""What a SELECT without FROM reads."""

_TIMEOUT_EXCEEDED, _MEMORY_LIMIT_EXCEEDED, _TOO_MANY_ROWS_OR_BYTES = 159, 241, 396


class _Table(msgspec.Struct, frozen=True):
    base: str
    table: str
    columns: list[str]


def run_sql(engine: Engine, project_id: str, sql: str, limits: SqlLimits) -> Table:
    """Return the answer to a reader's query, as ``TelemetrySearch.run_sql`` says."""
    tables = {table.table: table for table in engine.rows(_COLUMNS, {}, _Table)}
    query = rewrite(sql, [name for name in tables if name not in VIEWS])
    views = [tables[name] for name in VIEWS]
    readable = [*(f"{view.base}.{view.table}" for view in views), _NO_TABLE]
    wrapped = _wrapped(query.sql, views, project_id, limits)
    parameters: dict[str, Parameter] = {"project_id": project_id, "limit": limits.rows + 1}
    try:
        check_tree(_explained(engine, f"AST {query.skeleton}", {}))
        check_tables(_explained(engine, f"QUERY TREE {wrapped}", parameters), readable)
        answer = engine.answer(wrapped, parameters, "JSONCompactEachRowWithNamesAndTypes")
    except DatabaseError as error:
        raise _explained_error(error, limits) from error
    except Overloaded as error:
        if isinstance(error.__cause__, DatabaseError):
            raise _explained_error(error.__cause__, limits, error) from error
        raise
    # The engine counts a value that is the same in all rows once.
    if len(answer) > limits.result_bytes:
        raise _too_large(limits)
    return _table(answer.splitlines(), limits)


def _wrapped(query: str, tables: Sequence[_Table], project_id: str, limits: SqlLimits) -> str:
    views = [
        filled(
            _SCORES if table.table == "scores" else _VIEW,
            {
                "NAME": table.table,
                "COLUMNS": ", ".join(name for name in table.columns if name != "project_id"),
                "DATABASE": table.base,
            },
        )
        for table in tables
    ]
    # The id in hexadecimal digits: the filter is a text of SQL within a text.
    own = f"project_id = unhex(\\'{project_id.encode().hex()}\\')"
    parts = {
        "VIEWS": ", ".join(views),
        "QUERY": query,
        "FILTERS": "{" + ", ".join(f"'{table.base}.{table.table}': '{own}'" for table in tables) + "}",
        "SECONDS": str(limits.seconds),
        "MEMORY_BYTES": str(limits.memory_bytes),
        "RESULT_BYTES": str(limits.result_bytes),
    }
    return filled(_WRAPPED, parts)


def _explained(engine: Engine, what: str, parameters: Mapping[str, Parameter]) -> str:
    return engine.answer(f"EXPLAIN {what}", parameters, "TSVRaw").decode()


def _table(lines: Collection[bytes], limits: SqlLimits) -> Table:
    names, types, *rows = lines
    return Table(
        columns=msgspec.json.decode(names, type=list[str]),
        types=msgspec.json.decode(types, type=list[str]),
        rows=[msgspec.json.decode(row, type=list[msgspec.Raw]) for row in rows[: limits.rows]],
        is_cut=len(rows) > limits.rows,
    )


def _explained_error(error: DatabaseError, limits: SqlLimits, otherwise: Overloaded | None = None) -> Exception:
    """Return what to tell of the engine's error: limits and mistakes are the reader's, the rest passes by itself."""
    if error.code == _TIMEOUT_EXCEEDED:
        return Invalid(f"the query took longer than {limits.seconds} s; look at fewer days, e.g. by the column day")
    if error.code == _MEMORY_LIMIT_EXCEEDED and "Query memory limit" in str(error):
        return Invalid(f"the query needs more than {limits.memory_bytes >> 20} MiB of memory; group or read less")
    if error.code == _TOO_MANY_ROWS_OR_BYTES:
        return _too_large(limits)
    return otherwise or Invalid(f"ClickHouse refuses the query: {str(error).splitlines()[0][:500]}", path="sql")


def _too_large(limits: SqlLimits) -> Invalid:
    return Invalid(
        f"the answer is larger than {limits.result_bytes >> 20} MiB; select fewer columns or rows", path="sql"
    )
