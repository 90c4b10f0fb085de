"""What telemetry belongs to one end user or session."""

import msgspec

from zirkel.core.erasure import Findings, Subject
from zirkel.store.telemetry.answers import RowCounts
from zirkel.store.telemetry.engine import Engine, Parameter

_COLUMNS = {"user": "user_id", "session": "session_id"}
_TRACES = """
SELECT DISTINCT trace_id AS value
FROM spans
WHERE project_id = {{project_id:String}} AND {column} = {{value:String}}
"""
_SESSIONS = """
SELECT DISTINCT session_id AS value
FROM spans
WHERE project_id = {project_id:String} AND trace_id IN {trace_ids:Array(String)} AND session_id != ''
"""
_COUNT = """
SELECT uniqExact({ids}) AS value
FROM {table}
WHERE project_id = {{project_id:String}} AND {condition}
"""
_OF_TRACES = "trace_id IN {trace_ids:Array(String)}"
_OF_SUBJECT = "trace_id IN {trace_ids:Array(String)} OR user_id = {user:String} AND user_id != ''"
_OF_SESSIONS = "session_id IN {session_ids:Array(String)} AND session_id != ''"


class _Name(msgspec.Struct, frozen=True):
    value: str


class _Count(msgspec.Struct, frozen=True):
    value: int


class SubjectQueries:
    """Looks for a subject's telemetry; thread safe, calls block. Raises ``Overloaded`` where trying again may help."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, subject: Subject) -> Findings:
        """Return the traces and sessions of a subject, as ``TelemetryStore.delete_where_user`` understands them."""
        query = _TRACES.format(column=_COLUMNS[subject.kind])
        scope: dict[str, Parameter] = {"project_id": subject.project_id, "value": subject.subject_id}
        traces = [row.value for row in self._engine.rows(query, scope, _Name)]
        if subject.kind == "session":
            return Findings(subject, frozenset(traces), frozenset([subject.subject_id]))
        scope = {"project_id": subject.project_id, "trace_ids": traces}
        sessions = [row.value for row in self._engine.rows(_SESSIONS, scope, _Name)] if traces else []
        return Findings(subject, frozenset(traces), frozenset(sessions))

    def count(self, findings: Findings) -> RowCounts:
        """Return how many rows of each kind belong to a subject, each counted once."""
        subject = findings.subject
        scope: dict[str, Parameter] = {
            "project_id": subject.project_id,
            "trace_ids": sorted(findings.trace_ids),
            "session_ids": sorted(findings.session_ids),
            "user": subject.subject_id if subject.kind == "user" else "",
        }
        of_logs = _OF_SUBJECT if subject.kind == "user" else f"{_OF_TRACES} OR {_OF_SESSIONS}"
        conditions = {
            ("spans", "trace_id, span_id"): _OF_TRACES,
            ("logs", "log_id"): of_logs,
            ("scores", "score_id"): f"{_OF_SUBJECT} OR {_OF_SESSIONS}",
        }
        counts = {
            table: self._engine.rows(_COUNT.format(ids=ids, table=table, condition=f"({condition})"), scope, _Count)[
                0
            ].value
            for (table, ids), condition in conditions.items()
        }
        return RowCounts(**counts)
