"""The search service: who may ask, what is asked of the store, and how pages are turned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Forbidden, Invalid, ManualClock, NotFound, Principal, Role
from zirkel.core.aggregates import Measure, parse_measure
from zirkel.core.filter_parser import parse_filter
from zirkel.core.filters import FieldRef
from zirkel.core.search import (
    AggregateRow,
    Conversation,
    Facet,
    GroupRow,
    Order,
    Page,
    Point,
    Position,
    SearchScope,
    SpanRow,
    SqlLimits,
    Table,
    TraceRow,
)
from zirkel.observe.aggregates import MAX_BUCKETS, bucket_starts, whole_series
from zirkel.observe.search import Search, Sought
from zirkel.observe.search_cursor import decode_cursor, encode_cursor, question_digest

NOW_NS = 1_772_366_400_000_000_000
HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
READER = Principal("p1", "k1", "reader", frozenset({Role.READ}))


@dataclass
class Asked:
    """A store that answers nothing and remembers what it was asked."""

    scopes: list[SearchScope] = field(default_factory=list)
    places: list[tuple[Order | None, int, Position | None]] = field(default_factory=list)
    next: Position | None = None
    rows: list[AggregateRow] = field(default_factory=list)
    stretch_ns: int | None = None
    facet: FieldRef | None = None
    limits: SqlLimits | None = None

    def traces(self, scope: SearchScope, order: Order, limit: int, after: Position | None = None) -> Page[TraceRow]:
        self.scopes.append(scope)
        self.places.append((order, limit, after))
        return Page([], self.next)

    def spans(self, scope: SearchScope, order: Order, limit: int, after: Position | None = None) -> Page[SpanRow]:
        self.scopes.append(scope)
        self.places.append((order, limit, after))
        return Page([], self.next)

    def sessions(self, scope: SearchScope, limit: int, after: Position | None = None) -> Page[GroupRow]:
        self.scopes.append(scope)
        self.places.append((None, limit, after))
        return Page([], self.next)

    def users(self, scope: SearchScope, limit: int, after: Position | None = None) -> Page[GroupRow]:
        return self.sessions(scope, limit, after)

    def session(self, project_id: str, session_id: str) -> Conversation | None:
        return None

    def aggregate(
        self, scope: SearchScope, measures: Sequence[Measure], by: Sequence[FieldRef], over_ns: int | None, limit: int
    ) -> list[AggregateRow]:
        self.scopes.append(scope)
        self.stretch_ns = over_ns
        return self.rows

    def facets(self, scope: SearchScope, field: FieldRef, prefix: str, limit: int) -> list[Facet]:
        self.scopes.append(scope)
        self.facet = field
        return []

    def run_sql(self, project_id: str, sql: str, limits: SqlLimits) -> Table:
        self.limits = limits
        return Table(columns=[], types=[], rows=[], is_cut=False)


@pytest.fixture
def store() -> Asked:
    return Asked()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS)


@pytest.fixture
def search(store: Asked, clock: ManualClock) -> Search:
    return Search(store, clock)


@pytest.mark.parametrize("role", [Role.INGEST, Role.CALL, Role.FEEDBACK])
def test_whoever_may_not_read_may_not_search(search: Search, role: Role) -> None:
    actor = Principal("p1", "k1", "writer", frozenset({role}))
    for ask in (
        lambda: search.traces(actor),
        lambda: search.spans(actor),
        lambda: search.sessions(actor),
        lambda: search.users(actor),
        lambda: search.session(actor, "s"),
        lambda: search.aggregate(actor, measures=["count"]),
        lambda: search.histogram(actor),
        lambda: search.facets(actor, "model"),
        lambda: search.run_sql(actor, "SELECT 1"),
    ):
        with pytest.raises(Forbidden):
            ask()


def test_a_list_looks_at_everything_of_the_actors_project_if_no_time_is_given(search: Search, store: Asked) -> None:
    search.traces(READER, Sought('service = "a"'))
    (scope,) = store.scopes
    assert scope.project_id == "p1"
    assert scope.filter == parse_filter('service = "a"')
    assert scope.since_ns == 0
    assert scope.until_ns > NOW_NS + 100 * 365 * DAY_NS


def test_times_are_read_relative_to_now(search: Search, store: Asked) -> None:
    search.spans(READER, Sought(since="-24h", until="2026-03-01T12:00Z"), order="cost", limit=7)
    assert (store.scopes[0].since_ns, store.scopes[0].until_ns) == (NOW_NS - DAY_NS, NOW_NS)
    assert store.places == [(Order.COST, 7, None)]


def test_the_next_page_has_the_same_times_as_the_first_however_late_it_is_asked_for(
    search: Search, store: Asked, clock: ManualClock
) -> None:
    store.next = Position(5, "t", 9)
    sought = Sought("start > -1h", since="-24h")
    first = search.traces(READER, sought)
    clock.advance(3600)
    search.traces(READER, sought, cursor=first.cursor)
    assert store.scopes[0] == store.scopes[1]
    assert store.places[1] == (Order.START, 50, Position(5, "t", 9))


def test_the_last_page_has_no_cursor(search: Search) -> None:
    assert search.sessions(READER).cursor == ""


def test_a_filter_may_be_written_otherwise_on_the_next_page_but_not_be_another(search: Search, store: Asked) -> None:
    store.next = Position(5, "t", 9)
    cursor = search.users(READER, Sought('service="a"')).cursor
    search.users(READER, Sought("service =  'a'"), cursor=cursor)
    other = Principal("p2", "k1", "reader", frozenset({Role.READ}))
    asks: list[Callable[[], object]] = [
        lambda: search.users(READER, Sought('service = "b"'), cursor=cursor),
        lambda: search.users(READER, Sought('service = "a"', since="-1h"), cursor=cursor),
        lambda: search.sessions(READER, Sought('service = "a"'), cursor=cursor),
        lambda: search.users(other, Sought('service = "a"'), cursor=cursor),
        lambda: search.users(READER, Sought('service = "a"'), cursor=cursor[:-3]),
        lambda: search.users(READER, Sought('service = "a"'), cursor="nonsense!"),
    ]
    for ask in asks:
        with pytest.raises(Invalid, match="cursor"):
            ask()


@given(st.integers(-1, 2**63 - 1), st.text(st.characters(codec="utf-8")), st.integers(0, 2**63 - 1))
def test_a_cursor_says_where_a_page_ended(value: int, key: str, seen_ns: int) -> None:
    asked = question_digest("traces", "p")
    position = Position(value, key, seen_ns)
    cursor = decode_cursor(encode_cursor(asked, 7, position), asked)
    assert cursor is not None
    assert (cursor.position, cursor.now_ns) == (position, 7)


@given(st.text(max_size=50) | st.binary(max_size=50).map(lambda data: data.hex()))
def test_any_text_is_a_cursor_or_is_refused(text: str) -> None:
    try:
        assert decode_cursor(text, "x") is None
        assert text == ""
    except Invalid:
        assert text != ""


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_limits_are_bounded(search: Search, limit: int) -> None:
    with pytest.raises(Invalid, match="limit"):
        search.traces(READER, limit=limit)
    with pytest.raises(Invalid, match="limit"):
        search.facets(READER, "model", limit=limit)


def test_an_unknown_order_and_faulty_times_are_refused(search: Search) -> None:
    with pytest.raises(Invalid, match="order"):
        search.traces(READER, order="size")
    with pytest.raises(Invalid, match="soon"):
        search.traces(READER, Sought(since="soon"))
    with pytest.raises(Invalid, match="empty"):
        search.aggregate(READER, Sought(since="-1h", until="-2h"), measures=["count"])


def test_a_session_that_is_not_there_is_not_found(search: Search) -> None:
    with pytest.raises(NotFound, match="s1"):
        search.session(READER, "s1")


def test_statistics_look_at_the_last_seven_days_if_no_time_is_given(search: Search, store: Asked) -> None:
    answer = search.aggregate(READER, measures=["count", "p95(latency)"], by=["model"], over="1h")
    assert (answer.since_ns, answer.until_ns) == (NOW_NS - 7 * DAY_NS, NOW_NS)
    assert store.scopes[0].since_ns == answer.since_ns
    assert answer.measures == ["count", "p95(latency)"]
    assert answer.units == ["", "ms"]
    assert answer.by == ["model"]
    assert answer.series == []


def test_what_is_not_there_is_filled_in(search: Search, store: Asked) -> None:
    found = AggregateRow(
        values=[], is_other=False, start_ns=NOW_NS - HOUR_NS, count=3, points=[Point(3.0, 0), Point(Decimal(2), 1)]
    )
    store.rows = [found]
    answer = search.aggregate(READER, Sought(since="-3h"), measures=["count", "sum(cost_usd)"], over="1h")
    (series,) = answer.series
    assert [bucket.start_ns for bucket in series.buckets] == [NOW_NS - hours * HOUR_NS for hours in (3, 2, 1)]
    assert [bucket.count for bucket in series.buckets] == [0, 0, 3]
    assert series.buckets[0].points == [Point(0.0, 0), Point(Decimal(0), 0)]
    assert series.buckets[2].points == found.points


def test_statistics_of_nothing_are_one_series_of_nothing(search: Search) -> None:
    (series,) = search.aggregate(READER, measures=["count", "p50(latency)"]).series
    assert series.buckets[0].points == [Point(0.0, 0), Point(None, 0)]


@pytest.mark.parametrize(
    ("measures", "by", "over", "limit"),
    [
        ([], [], "", 20),
        (["count", "count()"], [], "", 20),
        (["count"], ["model", "model"], "", 20),
        (["count"], ["latency"], "", 20),
        (["count"], ["model"], "0s", 20),
        (["count"], ["model"], "-1h", 20),
        (["count"], ["model"], "1s", 20),
        (["count"], ["model"], "10m", 200),
        (["count"], ["model"], "1h", 201),
        (["count"], ["service", "model", "user", "arm", "release"], "", 20),
    ],
)
def test_what_would_be_too_much_or_makes_no_sense_is_refused(
    search: Search, measures: list[str], by: list[str], over: str, limit: int
) -> None:
    with pytest.raises(Invalid):
        search.aggregate(READER, measures=measures, by=by, over=over, limit=limit)


@given(st.integers(0, 10**19), st.integers(1, 10**16), st.integers(10**9, 10**16))
def test_stretches_cover_the_time_without_gaps(since_ns: int, length_ns: int, over_ns: int) -> None:
    until_ns = since_ns + length_ns
    if length_ns // over_ns > MAX_BUCKETS - 2:
        with pytest.raises(Invalid):
            bucket_starts(since_ns, until_ns + 2 * over_ns, over_ns)
        return
    starts = bucket_starts(since_ns, until_ns, over_ns)
    assert starts[0] <= since_ns < starts[0] + over_ns
    assert starts[-1] < until_ns <= starts[-1] + over_ns
    assert all(start % over_ns == 0 for start in starts)
    assert {later - earlier for earlier, later in pairwise(starts)} <= {over_ns}


def test_the_rest_is_a_series_of_its_own_beside_one_without_values() -> None:
    def row(values: list[str], is_other: bool) -> AggregateRow:
        return AggregateRow(values=values, is_other=is_other, start_ns=0, count=1, points=[Point(1.0, 0)])

    series = whole_series([row([""], False), row([], True)], [parse_measure("count")], [5], 1)
    assert [(found.values, found.is_other, found.buckets[0].start_ns) for found in series] == [
        ([""], False, 5),
        ([], True, 5),
    ]


@pytest.mark.parametrize(("since", "over_ns"), [("-1h", HOUR_NS // 60), ("-7d", 3 * HOUR_NS), ("-1m", 10**9)])
def test_a_histogram_has_round_stretches(search: Search, store: Asked, since: str, over_ns: int) -> None:
    answer = search.histogram(READER, Sought(since=since))
    assert store.stretch_ns == over_ns
    assert len(answer.series[0].buckets) <= 61


def test_keys_of_maps_and_names_of_scores_can_be_completed(search: Search, store: Asked) -> None:
    search.facets(READER, "attributes")
    assert store.facet == FieldRef("attributes")
    search.facets(READER, 'attributes["a.b"]')
    assert store.facet == FieldRef("attributes", "a.b")
    with pytest.raises(Invalid):
        search.facets(READER, "latency")


def test_sql_gets_no_more_rows_than_a_reader_has(search: Search, store: Asked) -> None:
    search.run_sql(READER, "SELECT 1", limit=5)
    assert store.limits is not None
    assert store.limits.rows == 5
    with pytest.raises(Invalid):
        search.run_sql(READER, "SELECT 1", limit=10_001)


def test_every_field_has_a_meaning(search: Search) -> None:
    assert all(spec.meaning for spec in search.fields())
