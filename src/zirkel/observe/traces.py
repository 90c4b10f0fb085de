"""Reading traces back."""

from collections.abc import Sequence
from typing import Protocol

from zirkel.core import LogRecord, NotFound, Principal, Role, ScoreRecord, Span
from zirkel.observe.joining import join_logs


class TraceReader(Protocol):
    """Stored traces."""

    def trace(self, project_id: str, trace_id: str) -> Sequence[Span]: ...
    def logs_of_trace(self, project_id: str, trace_id: str) -> Sequence[LogRecord]: ...
    def scores_of(self, project_id: str, *, trace_ids: Sequence[str]) -> Sequence[ScoreRecord]: ...
    def count_traces(self, project_id: str, since_ns: int = 0) -> int: ...


class Traces:
    """Traces of a project."""

    def __init__(self, telemetry: TraceReader) -> None:
        self._telemetry = telemetry

    def trace(self, actor: Principal, trace_id: str) -> list[Span]:
        """Return the spans of a trace by start, with the content that came for them as log records.

        Raises:
            NotFound: If none is stored (what was recorded in the last second may still be on its way).
        """
        actor.require(Role.READ)
        spans = self._telemetry.trace(actor.project_id, trace_id.lower())
        if not spans:
            raise NotFound(f"trace {trace_id!r} is not stored; what was sent in the last second may be on its way")
        spans = join_logs(spans, self._telemetry.logs_of_trace(actor.project_id, trace_id.lower()))
        return sorted(spans, key=lambda span: (span.start_ns, span.span_id))

    def logs(self, actor: Principal, trace_id: str) -> list[LogRecord]:
        """Return the log records of a trace by time; none if it has none."""
        actor.require(Role.READ)
        return list(self._telemetry.logs_of_trace(actor.project_id, trace_id.lower()))

    def scores(self, actor: Principal, trace_id: str) -> list[ScoreRecord]:
        """Return the current scores of a trace and of its spans."""
        actor.require(Role.READ)
        return list(self._telemetry.scores_of(actor.project_id, trace_ids=[trace_id.lower()]))

    def count(self, actor: Principal) -> int:
        """Return how many traces are stored."""
        actor.require(Role.READ)
        return self._telemetry.count_traces(actor.project_id)
