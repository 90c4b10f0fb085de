"""Searching telemetry: lists, statistics, conversations, completion and SQL, for whoever may read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zirkel.core import Clock, Invalid, NotFound, Principal, Role
from zirkel.core.aggregates import Measure, Statistic, parse_dimension, parse_measure
from zirkel.core.filter_fields import FIELDS, KEYED, FieldSpec
from zirkel.core.filter_parser import parse_filter
from zirkel.core.filter_values import parse_duration, parse_moment
from zirkel.core.filters import FieldRef, format_field, format_filter
from zirkel.core.search import (
    Aggregate,
    Conversation,
    Facet,
    GroupRow,
    Item,
    Listing,
    Order,
    Page,
    Position,
    SearchScope,
    SpanRow,
    SqlLimits,
    Table,
    TraceRow,
)
from zirkel.observe.aggregates import MAX_POINTS, bucket_starts, whole_series
from zirkel.observe.search_cursor import decode_cursor, encode_cursor, question_digest
from zirkel.observe.search_ports import SearchReader

MAX_ROWS = 1000
"""Most rows of a page."""
MAX_SERIES = 200
MAX_MEASURES = 10
MAX_DIMENSIONS = 4
MAX_FACETS = 200
MAX_SQL_ROWS = 10_000
DAY_NS = 86_400 * 10**9
DEFAULT_SPAN_NS = 7 * DAY_NS
"""What statistics look back over where no time is given."""
_LAST_NS = 5_662_224_000 * 10**9
_SECOND_NS = 10**9
_ROUND_S = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000)

Read = Callable[[SearchScope, Order, int, Position | None], Page[Item]]


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for: the spans that start in a time and satisfy a filter."""

    where: str = ""
    """A line of the filter language; everything if empty."""
    since: str = ""
    """The earliest start, in ISO 8601 or relative to now such as ``-24h``. If it is empty, lists look back as far as
    there is something, statistics 7 days before ``until``."""
    until: str = ""
    """The time before which spans start; if it is empty, lists have no bound and statistics end now."""


EVERYTHING = Sought()


class Search:
    """Searches the telemetry of the actor's project.

    Methods raise ``Forbidden`` if the actor may not read, and ``Invalid`` if something that was asked for cannot be
    understood.
    """

    def __init__(self, reader: SearchReader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock

    def fields(self) -> tuple[FieldSpec, ...]:
        """Return what filters can be about."""
        return tuple(FIELDS.values())

    def traces(
        self,
        actor: Principal,
        sought: Sought = EVERYTHING,
        *,
        order: str = Order.START,
        limit: int = 50,
        cursor: str = "",
    ) -> Listing[TraceRow]:
        """Return a page of the traces that have a span which satisfies the filter, newest first if not told otherwise.

        Args:
            actor: Who asks.
            sought: What is looked for.
            order: ``start``, ``cost`` or ``latency``, the largest first.
            limit: Most rows, 1 to 1000.
            cursor: Where the page before ended; the first page if empty.
        """
        return self._list(actor, "traces", self._reader.traces, sought, order, limit, cursor)

    def spans(
        self,
        actor: Principal,
        sought: Sought = EVERYTHING,
        *,
        order: str = Order.START,
        limit: int = 50,
        cursor: str = "",
    ) -> Listing[SpanRow]:
        """Return a page of the spans that satisfy the filter. Arguments as of ``traces``."""
        return self._list(actor, "spans", self._reader.spans, sought, order, limit, cursor)

    def sessions(
        self,
        actor: Principal,
        sought: Sought = EVERYTHING,
        *,
        limit: int = 50,
        cursor: str = "",
    ) -> Listing[GroupRow]:
        """Return a page of the sessions that have a span which satisfies the filter, those active last first."""

        def read(scope: SearchScope, _: Order, limit: int, after: Position | None) -> Page[GroupRow]:
            return self._reader.sessions(scope, limit, after)

        return self._list(actor, "sessions", read, sought, Order.START, limit, cursor)

    def users(
        self,
        actor: Principal,
        sought: Sought = EVERYTHING,
        *,
        limit: int = 50,
        cursor: str = "",
    ) -> Listing[GroupRow]:
        """Return a page of the users that have a span which satisfies the filter, those active last first."""

        def read(scope: SearchScope, _: Order, limit: int, after: Position | None) -> Page[GroupRow]:
            return self._reader.users(scope, limit, after)

        return self._list(actor, "users", read, sought, Order.START, limit, cursor)

    def session(self, actor: Principal, session_id: str) -> Conversation:
        """Return a session as a conversation.

        Raises:
            NotFound: If no stored span names it.
        """
        actor.require(Role.READ)
        found = self._reader.session(actor.project_id, session_id)
        if found is None:
            raise NotFound(f"session {session_id!r} is not stored; what was sent in the last second may be on its way")
        return found

    def aggregate(
        self,
        actor: Principal,
        sought: Sought = EVERYTHING,
        *,
        measures: Sequence[str],
        by: Sequence[str] = (),
        over: str = "",
        limit: int = 20,
    ) -> Aggregate:
        """Return statistics of the spans that satisfy the filter.

        Args:
            actor: Who asks.
            measures: 1 to 10 such as ``count``, ``p95(latency)``, ``sum(cost_usd)`` and ``mean(error)``.
            by: Up to 4 fields that spans are split by, such as ``model`` or ``attributes["region"]``.
            over: Length of the stretches that time is cut into, such as ``1h``; not cut if empty.
            sought: What is looked for.
            limit: Most series, 1 to 200; what is in none of them is taken together as *other*.
        """
        actor.require(Role.READ)
        asked = _measures(measures)
        dimensions = _dimensions(by)
        return self._aggregate(self._window(actor, sought), asked, dimensions, _stretch(over), limit)

    def histogram(self, actor: Principal, sought: Sought = EVERYTHING, *, buckets: int = 60) -> Aggregate:
        """Return how many spans there were over time and how many in error, in at most ``buckets`` round stretches."""
        actor.require(Role.READ)
        scope = self._window(actor, sought)
        wanted_ns = (scope.until_ns - scope.since_ns) // _within(buckets, 1, 500, "buckets")
        over_ns = next((round_s * _SECOND_NS for round_s in _ROUND_S if round_s * _SECOND_NS >= wanted_ns), wanted_ns)
        return self._aggregate(scope, [Measure(Statistic.COUNT), parse_measure("sum(error)")], [], over_ns, 1)

    def scope(self, actor: Principal, sought: Sought) -> SearchScope:
        """Return what a list looks at."""
        actor.require(Role.READ)
        return self._scope(actor, sought, self._clock.now_ns())

    def facets(
        self,
        actor: Principal,
        field: str,
        sought: Sought = EVERYTHING,
        *,
        prefix: str = "",
        limit: int = 20,
    ) -> list[Facet]:
        """Return the most frequent values of a field that begin with ``prefix``, in whatever case.

        ``attributes``, ``resource`` and ``parameters`` alone give their keys, and ``score`` the names of scores.
        """
        actor.require(Role.READ)
        scope = self._window(actor, sought)
        spec = FIELDS.get(field)
        asked = FieldRef(field) if spec is not None and spec.type in KEYED else parse_dimension(field)
        return self._reader.facets(scope, asked, prefix, _within(limit, 1, MAX_FACETS, "limit"))

    def run_sql(self, actor: Principal, sql: str, *, limit: int = 1000) -> Table:
        """Return the answer to one SELECT over ``spans``, ``logs``, ``points`` and ``scores`` of the project.

        Raises:
            Invalid: If the query is not allowed or faulty, or takes more time, memory or room than a reader has.
        """
        actor.require(Role.READ)
        limits = SqlLimits(rows=_within(limit, 1, MAX_SQL_ROWS, "limit"))
        return self._reader.run_sql(actor.project_id, sql, limits)

    def _list(
        self,
        actor: Principal,
        what: str,
        read: Read[Item],
        sought: Sought,
        order: str,
        limit: int,
        cursor: str,
    ) -> Listing[Item]:
        actor.require(Role.READ)
        if order not in set(Order):
            raise Invalid(f"there is no order {order!r}; known are {', '.join(Order)}", path="order")
        parsed = parse_filter(sought.where)
        asked = question_digest(what, actor.project_id, format_filter(parsed), sought.since, sought.until, order)
        after = decode_cursor(cursor, asked)
        now_ns = after.now_ns if after else self._clock.now_ns()
        scope = self._scope(actor, sought, now_ns)
        page = read(scope, Order(order), _within(limit, 1, MAX_ROWS, "limit"), after.position if after else None)
        return Listing(page.items, encode_cursor(asked, now_ns, page.next))

    def _scope(self, actor: Principal, sought: Sought, now_ns: int) -> SearchScope:
        return SearchScope(
            project_id=actor.project_id,
            filter=parse_filter(sought.where),
            since_ns=_moment(sought.since, now_ns, "since", 0),
            until_ns=_moment(sought.until, now_ns, "until", _LAST_NS),
            now_ns=now_ns,
        )

    def _window(self, actor: Principal, sought: Sought) -> SearchScope:
        now_ns = self._clock.now_ns()
        until_ns = _moment(sought.until, now_ns, "until", now_ns)
        since_ns = _moment(sought.since, now_ns, "since", max(0, until_ns - DEFAULT_SPAN_NS))
        if since_ns >= until_ns:
            raise Invalid("the time looked at is empty: 'since' must lie before 'until'", path="since")
        return SearchScope(
            project_id=actor.project_id,
            filter=parse_filter(sought.where),
            since_ns=since_ns,
            until_ns=until_ns,
            now_ns=now_ns,
        )

    def _aggregate(
        self,
        scope: SearchScope,
        measures: Sequence[Measure],
        by: Sequence[FieldRef],
        over_ns: int | None,
        limit: int,
    ) -> Aggregate:
        starts = bucket_starts(scope.since_ns, scope.until_ns, over_ns)
        series = _within(limit, 1, MAX_SERIES, "limit")
        if by and len(starts) * (series + 1) > MAX_POINTS:
            raise Invalid(f"{series} series of {len(starts)} stretches are too much; take longer ones or fewer series")
        rows = self._reader.aggregate(scope, measures, by, over_ns, series)
        return Aggregate(
            measures=[str(measure) for measure in measures],
            units=[measure.unit for measure in measures],
            by=[format_field(field) for field in by],
            since_ns=scope.since_ns,
            until_ns=scope.until_ns,
            over_ns=over_ns,
            series=whole_series(rows, measures, starts, len(by)),
        )


def _measures(texts: Sequence[str]) -> list[Measure]:
    if not 1 <= len(texts) <= MAX_MEASURES:
        raise Invalid(f"{len(texts)} measures; there must be 1 to {MAX_MEASURES}", path="measures")
    measures = [parse_measure(text) for text in texts]
    if len(set(measures)) != len(measures):
        raise Invalid("a measure is asked for twice", path="measures")
    return measures


def _dimensions(texts: Sequence[str]) -> list[FieldRef]:
    if len(texts) > MAX_DIMENSIONS:
        raise Invalid(f"{len(texts)} fields to split by; there may be {MAX_DIMENSIONS}", path="by")
    fields = [parse_dimension(text) for text in texts]
    if len(set(fields)) != len(fields):
        raise Invalid("a field to split by is named twice", path="by")
    return fields


def _stretch(over: str) -> int | None:
    if not over:
        return None
    over_ns = parse_duration(over)
    if over_ns < _SECOND_NS:
        raise Invalid(f"{over!r} is too short to cut time into; take 1s or more", path="over")
    return over_ns


def _moment(text: str, now_ns: int, path: str, otherwise_ns: int) -> int:
    try:
        return parse_moment(text, now_ns) if text else otherwise_ns
    except Invalid as error:
        raise Invalid(str(error), path=path) from error


def _within(value: int, low: int, high: int, path: str) -> int:
    if not low <= value <= high:
        raise Invalid(f"{path} is {value}; it must lie in {low}..{high}", path=path)
    return value
