"""Which rows a removal is about, and what becomes of them, as ClickHouse SQL with bind parameters.

Ids of people, sessions and traces stand in the table ``selected`` and not in a statement that removes rows, because the
engine keeps the text of those on disk.
"""

from collections.abc import Mapping, Sequence

IDS: Mapping[str, str] = {
    "spans": "trace_id, span_id",
    "logs": "log_id",
    "points": "point_id",
    "scores": "score_id",
}
"""What names a row of each table, so that one which was sent twice is counted once."""

OF_TRACES = "trace_id IN (SELECT value FROM selected WHERE kind = 'trace')"
OF_SESSIONS = "session_id IN (SELECT value FROM selected WHERE kind = 'session')"
OF_USERS = "user_id IN (SELECT value FROM selected WHERE kind = 'user')"

_SESSIONS_OF_TRACES = """
INSERT INTO selected
SELECT DISTINCT 'session', session_id
FROM spans
WHERE project_id = {project_id:String} AND session_id != ''
    AND trace_id IN (SELECT value FROM selected WHERE kind = 'trace')
"""

SELECT_USER: Sequence[str] = (
    "INSERT INTO selected SELECT 'user', {value:String}",
    """
INSERT INTO selected
SELECT DISTINCT 'trace', trace_id
FROM spans
WHERE project_id = {project_id:String} AND user_id = {value:String}
""",
    _SESSIONS_OF_TRACES,
)
"""A user, the traces he appears in, and their sessions."""

SELECT_SESSION: Sequence[str] = (
    "INSERT INTO selected SELECT 'session', {value:String}",
    """
INSERT INTO selected
SELECT DISTINCT 'trace', trace_id
FROM spans
WHERE project_id = {project_id:String} AND session_id = {value:String}
""",
)
"""A session and its traces."""

SELECT_TRACES: Sequence[str] = ("INSERT INTO selected SELECT 'trace', arrayJoin({values:Array(String)})",)

CLEAR = "TRUNCATE TABLE selected"

COUNT = """
SELECT uniqExact({ids}) AS value
FROM {table}
WHERE project_id = {{project_id:String}} AND ({condition})
"""

DELETE = """
ALTER TABLE {table} DELETE
WHERE project_id = {{project_id:String}} AND ({condition})
SETTINGS mutations_sync = 2
"""

EMPTY = """
ALTER TABLE {table} UPDATE {changes}
WHERE project_id = {{project_id:String}} AND ({condition})
SETTINGS mutations_sync = 2
"""

# Keys stay, so that one sees what there was; a value is JSON text and stays such.
_EMPTIED = "{column} = mapApply((name, value) -> (name, '\"\"'), {column})"

CHANGES: Mapping[str, str] = {
    "spans": "is_content_dropped = 1, input = '', output = '', tools = '', status_message = '', events = [], "
    + _EMPTIED.format(column="attributes"),
    "logs": "is_content_dropped = 1, body = '', " + _EMPTIED.format(column="attributes"),
    "scores": "is_content_dropped = 1, comment = '', label = if(kind = 'text', '', label), "
    + _EMPTIED.format(column="metadata"),
}
"""How each table's content is emptied."""

KILL = """
KILL MUTATION WHERE database = currentDatabase() AND table = {table:String} AND NOT is_done
"""

DAYS = """
SELECT day, CAST(all_rows = old_rows, 'Bool') AS is_whole
FROM
(
    SELECT day, count() AS all_rows, countIf(project_id = {{project_id:String}} AND ({condition})) AS old_rows
    FROM {table}
    WHERE day <= toDate(fromUnixTimestamp64Nano({{before_ns:Int64}}, 'UTC'))
    GROUP BY day
)
WHERE old_rows > 0
"""
"""The days that have rows to be dropped, and whether they have no others."""

DROP_DAY = "ALTER TABLE {table} DROP PARTITION '{day}' SETTINGS max_partition_size_to_drop = 0"

OLD_PARTS = """
SELECT concat(table, '/', name) AS value
FROM system.parts
WHERE database = currentDatabase()
    AND table IN {tables:Array(String)}
    AND _state IN ('Outdated', 'Deleting', 'DeleteOnDestroy')
"""
"""Parts that were replaced and whose files are there yet; those being deleted show only where ``_state`` is asked."""

_OLDER = "{time} < {{before_ns:Int64}} AND day <= toDate(fromUnixTimestamp64Nano({{before_ns:Int64}}, 'UTC'))"
_IN_ENVIRONMENT = """
    trace_id IN
    (
        SELECT trace_id
        FROM spans
        WHERE project_id = {project_id:String} AND environment = {environment:String}
    )
"""


def older(table: str, environment: str | None) -> str:
    """Return the condition on rows of ``table`` from before ``before_ns``, with an environment those of its traces."""
    condition = _OLDER.format(time="start_ns" if table == "spans" else "time_ns")
    if environment is None:
        return condition
    place = "environment = {environment:String}" if table == "spans" else _IN_ENVIRONMENT
    return f"{condition} AND {place}"
