"""What lists promise: filters found as a slow obvious reading finds them, and stable pages while spans arrive."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.contract.search_world import (
    DAY_NS,
    HOUR_NS,
    MIDNIGHT_NS,
    Arrival,
    World,
    holds,
    opened_store,
    scope,
    score,
    some_world,
    span,
)
from zirkel.core import Span, new_trace_id
from zirkel.core.aggregates import parse_measure
from zirkel.core.filter_parser import parse_filter
from zirkel.core.search import GroupRow, Order, Page, Position
from zirkel.observe.search_ports import SearchReader
from zirkel.store.telemetry import TelemetryStore
from zirkel.store.telemetry.search import TelemetrySearch


@pytest.fixture(scope="module", params=["embedded", "server"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelemetryStore]:
    with opened_store(request.param, tmp_path_factory.mktemp("search")) as opened:
        yield opened


@pytest.fixture(scope="module")
def search(store: TelemetryStore) -> SearchReader:
    return TelemetrySearch(store.engine)


@pytest.fixture
def arrival(store: TelemetryStore) -> Arrival:
    """A project of its own for each test: they share one store."""
    return Arrival(store, new_trace_id())


CONDITIONS = st.sampled_from(
    [
        *(
            'service = "a"',
            'service != "a"',
            'service ~ "A"',
            'service in ("a", "b")',
            "exists service",
            'kind = "chat"',
        ),
        *("root = true", "root != true", 'tags = "x"', 'tags != "x"', 'tags ~ "Y"', "exists tags", 'tags in ("y")'),
        *("cost_usd > 0.01", "not cost_usd > 0.01", "cost_usd = 0.000000000001", "exists cost_usd", "cost_usd != 0.1"),
        *("latency > 2s", "latency <= 1500ms", "start < -20h", "tokens.total >= 7", "not exists tokens.total"),
        *('output ~ "\\"refund"', 'output !~ "REFUND"', 'output ~ "role\\":\\""', "exists output"),
        *(
            'attributes["n"] = 7',
            'attributes["n"] = "7"',
            "attributes.n = true",
            "attributes.n > 7.5",
            "exists attributes.m",
        ),
        *(
            'attributes.n ~ "7"',
            'model = "m1"',
            'model = "m2"',
            "trace.spans > 2",
            "trace.errors = 0",
            "trace.latency > 1s",
        ),
        *("trace.cost_usd >= 0.1", "not exists trace.cost_usd", "trace.tokens > 7", "score.helpfulness < 0.6"),
        *(
            "exists score.helpfulness",
            'score.tone = "bad"',
            'score["tone"] != "bad"',
            "score.helpfulness in (0.25, 0.5)",
        ),
    ]
)
LINES = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(" and ".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} or {pair[1]})"),
        inner.map("not ({})".format),
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def filled(store: TelemetryStore) -> tuple[str, World]:
    project_id, world = new_trace_id(), some_world()
    arrival = Arrival(store, project_id)
    arrival.spans(*(replace(one, service="outdated", tags=["x", "y"]) for one in world.spans))
    arrival.spans(*world.spans)
    arrival.scores(*(replace(one, value=0.99) for one in world.scores))
    arrival.scores(*world.scores, *(wrong := [score(trace_id=one.trace_id, value=0.1) for one in world.spans[:3]]))
    arrival.scores(*(replace(one, is_withdrawn=True) for one in wrong))
    return project_id, world


@given(LINES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_a_filter_finds_the_spans_and_traces_that_it_says(
    search: SearchReader, filled: tuple[str, World], line: str
) -> None:
    project_id, world = filled
    expected = [one for one in world.spans if holds(world, one, parse_filter(line))]
    spans = search.spans(scope(project_id, line), Order.START, 500).items
    assert sorted(row.span_id for row in spans) == sorted(one.span_id for one in expected)
    traces = search.traces(scope(project_id, line), Order.START, 500).items
    assert {row.trace_id for row in traces} == {one.trace_id for one in expected}
    assert len({row.trace_id for row in traces}) == len(traces)


@pytest.mark.parametrize(
    "text",
    [
        "'",
        '"',
        "\\",
        "' OR 1=1 --",
        "{project_id:String}",
        "%",
        "%s",
        "_",
        "\n\t",
        "é",
        "😀",
        "\x00",
        "`",
        "$$",
        "null",
    ],
)
def test_hostile_texts_are_only_texts(search: SearchReader, arrival: Arrival, text: str) -> None:
    wanted = span(name=f"a{text}b", attributes={text: msgspec.json.encode(text).decode()}, output=f'"{text}"')
    arrival.spans(wanted, span(name="other", attributes={"other": '"x"'}))
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    for line in (f"name ~ {quoted}", f"attributes[{quoted}] = {quoted}", f"exists attributes[{quoted}]"):
        found = search.spans(scope(arrival.project_id, line), Order.START, 9).items
        assert [row.span_id for row in found] == [wanted.span_id], line


# Paging.


Row = TypeVar("Row")


def pages(
    read: Callable[[Position | None], Page[Row]], key: Callable[[Row], str], between: Callable[[], None]
) -> list[str]:
    """Turn all pages, with ``between`` called after each, and return the keys of all rows."""
    found: list[str] = []
    after: Position | None = None
    for _ in range(100):
        page = read(after)
        found += [key(row) for row in page.items]
        after = page.next
        if after is None:
            return found
        between()
    raise AssertionError("the pages do not end")


STARTS = st.lists(st.integers(0, 4 * 24), min_size=1, max_size=14)


@given(starts=STARTS, arriving=st.lists(st.tuples(st.integers(0, 14), st.integers(-24, 5 * 24)), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@pytest.mark.parametrize("what", ["traces", "spans"])
def test_pages_neither_repeat_nor_leave_out_while_spans_arrive(
    store: TelemetryStore, search: SearchReader, what: str, starts: list[int], arriving: list[tuple[int, int]]
) -> None:
    arrival = Arrival(store, new_trace_id())
    there = [span(start_ns=MIDNIGHT_NS + hours * HOUR_NS, end_ns=MIDNIGHT_NS + 6 * DAY_NS) for hours in starts]
    arrival.spans(*there)
    waiting = list(arriving)

    def between() -> None:
        # New spans of traces that are there, earlier and later ones, and new traces, one after each page.
        if waiting:
            number, hours = waiting.pop()
            trace_id = there[number].trace_id if number < len(there) else new_trace_id()
            arrival.spans(
                span(trace_id=trace_id, start_ns=MIDNIGHT_NS + hours * HOUR_NS, end_ns=MIDNIGHT_NS + 7 * DAY_NS)
            )

    everything = scope(arrival.project_id)
    if what == "traces":
        found = pages(lambda after: search.traces(everything, Order.START, 2, after), _trace_id, between)
        wanted = {one.trace_id for one in there}
    else:
        found = pages(lambda after: search.spans(everything, Order.START, 2, after), _span_id, between)
        wanted = {one.span_id for one in there}
    assert len(found) == len(set(found))
    assert wanted <= set(found)


@given(starts=STARTS, arriving=st.lists(st.tuples(st.integers(0, 14), st.integers(-24, 5 * 24)), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
def test_pages_of_sessions_neither_repeat_nor_leave_out_while_spans_arrive(
    store: TelemetryStore, search: SearchReader, starts: list[int], arriving: list[tuple[int, int]]
) -> None:
    arrival = Arrival(store, new_trace_id())
    there = [
        span(session_id=f"s{number % 9}", start_ns=MIDNIGHT_NS + hours * HOUR_NS) for number, hours in enumerate(starts)
    ]
    arrival.spans(*there)
    waiting = list(arriving)

    def between() -> None:
        if waiting:
            number, hours = waiting.pop()
            arrival.spans(span(session_id=f"s{number}", start_ns=MIDNIGHT_NS + hours * HOUR_NS))

    everything = scope(arrival.project_id)
    found = pages(lambda after: search.sessions(everything, 2, after), _group_id, between)
    assert len(found) == len(set(found))
    assert {one.session_id for one in there} <= set(found)


def _trace_id(row: object) -> str:
    return str(getattr(row, "trace_id", ""))


def _span_id(row: object) -> str:
    return str(getattr(row, "span_id", ""))


def _group_id(row: object) -> str:
    assert isinstance(row, GroupRow)
    return row.id


@pytest.mark.parametrize("order", list(Order))
def test_all_orders_page_through_everything_the_largest_first(
    search: SearchReader, filled: tuple[str, World], order: Order
) -> None:
    project_id, world = filled
    found = pages(lambda after: search.spans(scope(project_id), order, 7, after), _span_id, lambda: None)
    by_id = {one.span_id: one for one in world.spans}
    values: Mapping[Order, Callable[[Span], Decimal | int]] = {
        Order.START: lambda one: one.start_ns,
        Order.LATENCY: lambda one: one.end_ns - one.start_ns,
        Order.COST: lambda one: Decimal(-1) if one.cost_usd is None else one.cost_usd,
    }
    ordered = [values[order](by_id[key]) for key in found]
    assert ordered == sorted(ordered, reverse=True)
    assert set(found) == set(by_id)
    traces = pages(lambda after: search.traces(scope(project_id), order, 5, after), _trace_id, lambda: None)
    assert sorted(traces) == sorted({one.trace_id for one in world.spans})


def test_a_trace_over_midnight_is_listed_once_where_it_began(search: SearchReader, arrival: Arrival) -> None:
    early = span(start_ns=MIDNIGHT_NS - HOUR_NS)
    arrival.spans(early, span(trace_id=early.trace_id, start_ns=MIDNIGHT_NS + HOUR_NS), between := span())
    page = search.traces(scope(arrival.project_id), Order.START, 9)
    assert [row.trace_id for row in page.items] == [between.trace_id, early.trace_id]


def test_an_outdated_version_of_a_span_is_not_found(search: SearchReader, arrival: Arrival) -> None:
    old = span(service="old", session_id="s")
    arrival.spans(old)
    arrival.spans(replace(old, service="new"))
    line = scope(arrival.project_id, 'service = "old"')
    assert not search.spans(line, Order.START, 9).items
    assert not search.traces(line, Order.START, 9).items
    assert not search.sessions(line, 9).items
    assert not search.aggregate(line, [parse_measure("count")], [], None, 9)


def test_only_spans_of_the_time_looked_at_are_found(search: SearchReader, arrival: Arrival) -> None:
    inside, behind = span(start_ns=MIDNIGHT_NS + 5, session_id="s"), span(start_ns=MIDNIGHT_NS + 6, session_id="t")
    arrival.spans(span(start_ns=MIDNIGHT_NS + 4, session_id="r"), inside, behind)
    window = scope(arrival.project_id, since_ns=MIDNIGHT_NS + 5, until_ns=MIDNIGHT_NS + 6)
    assert [row.trace_id for row in search.traces(window, Order.START, 9).items] == [inside.trace_id]
    assert [row.span_id for row in search.spans(window, Order.START, 9).items] == [inside.span_id]
    assert [row.id for row in search.sessions(window, 9).items] == ["s"]


def test_a_project_sees_its_own_only(search: SearchReader, arrival: Arrival) -> None:
    arrival.spans(span(session_id="s", user_id="u"))
    other = scope(new_trace_id())
    assert not search.traces(other, Order.START, 9).items
    assert not search.users(other, 9).items
    assert search.session(other.project_id, "s") is None
    assert search.session(arrival.project_id, "s") is not None
