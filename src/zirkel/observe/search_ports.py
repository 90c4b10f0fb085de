"""What searching needs of the store."""

from collections.abc import Sequence
from typing import Protocol

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


class SearchReader(Protocol):
    """Stored telemetry that can be searched. Calls block."""

    def traces(self, scope: SearchScope, order: Order, limit: int, after: Position | None = None) -> Page[TraceRow]:
        """Return a page of the traces that have a span which satisfies the filter."""
        ...

    def spans(self, scope: SearchScope, order: Order, limit: int, after: Position | None = None) -> Page[SpanRow]:
        """Return a page of spans."""
        ...

    def sessions(self, scope: SearchScope, limit: int, after: Position | None = None) -> Page[GroupRow]:
        """Return a page of sessions, those that were active last first."""
        ...

    def users(self, scope: SearchScope, limit: int, after: Position | None = None) -> Page[GroupRow]:
        """Return a page of users, those that were active last first."""
        ...

    def session(self, project_id: str, session_id: str) -> Conversation | None:
        """Return a session's turns, or ``None`` if no span names it."""
        ...

    def aggregate(
        self,
        scope: SearchScope,
        measures: Sequence[Measure],
        by: Sequence[FieldRef],
        over_ns: int | None,
        limit: int,
    ) -> list[AggregateRow]:
        """Return statistics for each series and stretch of time that has spans, the largest series first."""
        ...

    def facets(self, scope: SearchScope, field: FieldRef, prefix: str, limit: int) -> list[Facet]:
        """Return the most frequent values of a field."""
        ...

    def run_sql(self, project_id: str, sql: str, limits: SqlLimits) -> Table:
        """Return the answer to one SELECT."""
        ...
