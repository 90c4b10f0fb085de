"""Questions to stored telemetry: lists, statistics, conversations and SQL, each within one project."""

from collections.abc import Sequence

from zirkel.core.aggregates import Measure
from zirkel.core.filters import FieldRef
from zirkel.core.search import (
    AggregateRow,
    Conversation,
    Facet,
    GroupRow,
    Order,
    Page,
    Position,
    SearchScope,
    SpanRow,
    SqlLimits,
    Table,
    TraceRow,
)
from zirkel.store.telemetry import search_aggregates, search_facets, search_session, search_sql
from zirkel.store.telemetry.engine import Engine
from zirkel.store.telemetry.search_groups import list_groups
from zirkel.store.telemetry.search_spans import list_spans
from zirkel.store.telemetry.search_traces import list_traces


class TelemetrySearch:
    """Reads what the telemetry store keeps. Thread safe; calls block, so an event loop makes them from a thread.

    A filter holds for one and the same span: its conditions on spans for that span, ``trace.…`` for the sums over that
    span's trace, ``score.…`` for the scores of the span, its trace, its session or its experiment's item. A trace,
    session or user is found if one of its spans is. Sums over traces in a filter take spans of the days looked at and
    of the days beside them.

    Each method raises ``Overloaded`` where trying again later may help.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def traces(self, scope: SearchScope, order: Order, limit: int, after: Position | None = None) -> Page[TraceRow]:
        """Return a page of traces, by the start of their first span that satisfies the filter, or as ``order`` says.

        While spans arrive, pages by start neither repeat a trace nor leave out one that was there when the first page
        was read. Only a trace whose first span is sent anew meanwhile may be. Pages by cost and latency follow the sums
        as they are when each page is read.
        """
        return list_traces(self._engine, scope, order, limit, after)

    def spans(self, scope: SearchScope, order: Order, limit: int, after: Position | None = None) -> Page[SpanRow]:
        """Return a page of spans. While spans arrive, pages neither repeat a span nor leave one out."""
        return list_spans(self._engine, scope, order, limit, after)

    def sessions(self, scope: SearchScope, limit: int, after: Position | None = None) -> Page[GroupRow]:
        """Return a page of sessions, the one with the newest span that satisfies the filter first.

        While spans arrive, pages neither repeat a session nor leave out one that was there when the first page was
        read. Only one whose newest span is sent anew meanwhile may be. The sums are over the traces of the time looked
        at, whatever the filter.
        """
        return list_groups(self._engine, scope, "session_id", limit, after)

    def users(self, scope: SearchScope, limit: int, after: Position | None = None) -> Page[GroupRow]:
        """Return a page of users, as ``sessions`` does."""
        return list_groups(self._engine, scope, "user_id", limit, after)

    def session(self, project_id: str, session_id: str) -> Conversation | None:
        """Return a session's turns in order, or ``None`` if no span names it."""
        return search_session.conversation(self._engine, project_id, session_id)

    def aggregate(
        self,
        scope: SearchScope,
        measures: Sequence[Measure],
        by: Sequence[FieldRef],
        over_ns: int | None,
        limit: int,
    ) -> list[AggregateRow]:
        """Return statistics of the spans that satisfy the filter, by their values and over time.

        Args:
            scope: What is looked at.
            measures: At least one. By the sum of the first, or else by their spans, the largest series are chosen.
            by: What spans are split by. A span counts under each of its tags.
            over_ns: Length of the stretches that time is cut into, which begin at multiples of it since 1970 UTC.
            limit: Most series; what is in none of them is taken together in one more.

        Returns:
            A row for each series and stretch that has spans; the largest series first, then by time.
        """
        return search_aggregates.aggregate(self._engine, scope, measures, by, over_ns, limit)

    def facets(self, scope: SearchScope, field: FieldRef, prefix: str, limit: int) -> list[Facet]:
        """Return the most frequent values of a field that begin with ``prefix``, in whatever case.

        Without a key, ``attributes``, ``resource`` and ``parameters`` give their keys, and ``score`` the names of all
        the project's scores.
        """
        return search_facets.facets(self._engine, scope, field, prefix, limit)

    def run_sql(self, project_id: str, sql: str, limits: SqlLimits) -> Table:
        """Return the answer to one SELECT over the views ``spans``, ``logs``, ``points`` and ``scores`` of a project.

        Raises:
            Invalid: If the query is not allowed, is faulty, or goes over a limit.
        """
        return search_sql.run_sql(self._engine, project_id, sql, limits)
