"""What scores say of what was found."""

from collections.abc import Collection

from zirkel.core.search import ScoreSummary
from zirkel.store.telemetry.engine import Engine
from zirkel.store.telemetry.sql_text import filled

_SCORES = """
SELECT
    SUBJECT AS subject,
    name,
    count() AS count,
    avgOrNull(value) AS mean,
    argMaxIf(label, time_ns, label != '') AS label
FROM
(
    SELECT SUBJECT, name, value, label, time_ns, is_withdrawn
    FROM scores
    WHERE project_id = {project_id:String} AND score_id IN
    (
        SELECT score_id FROM scores WHERE project_id = {project_id:String} AND SUBJECT IN {subjects:Array(String)}
    )
    ORDER BY received_ns DESC, time_ns DESC
    LIMIT 1 BY score_id
)
WHERE NOT is_withdrawn AND SUBJECT IN {subjects:Array(String)}
GROUP BY subject, name
ORDER BY subject, name
"""


class _Row(ScoreSummary, frozen=True, kw_only=True):
    subject: str


def scores_of_traces(engine: Engine, project_id: str, trace_ids: Collection[str]) -> dict[str, list[ScoreSummary]]:
    """Return the current scores of traces and their spans by trace, by name; traces without scores are missing."""
    return _scores(engine, project_id, "trace_id", trace_ids)


def scores_of_session(engine: Engine, project_id: str, session_id: str) -> list[ScoreSummary]:
    """Return the current scores of a session as a whole, by name."""
    return _scores(engine, project_id, "session_id", [session_id]).get(session_id, [])


def _scores(engine: Engine, project_id: str, subject: str, ids: Collection[str]) -> dict[str, list[ScoreSummary]]:
    if not ids:
        return {}
    found: dict[str, list[ScoreSummary]] = {}
    query = filled(_SCORES, {"SUBJECT": subject})
    for row in engine.rows(query, {"project_id": project_id, "subjects": list(ids)}, _Row):
        summary = ScoreSummary(name=row.name, count=row.count, mean=row.mean, label=row.label)
        found.setdefault(row.subject, []).append(summary)
    return found
