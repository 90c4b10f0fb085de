"""What statistics and completion promise: exact values, money once, unknown apart from 0."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.search_world import (
    HOUR_NS,
    MIDNIGHT_NS,
    SECOND_NS,
    Arrival,
    model_span,
    opened_store,
    scope,
    score,
    span,
)
from zirkel.core import Usage, new_trace_id
from zirkel.core.aggregates import parse_dimension, parse_measure
from zirkel.core.filters import FieldRef
from zirkel.core.search import AggregateRow
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


def by_values(rows: Sequence[AggregateRow]) -> dict[tuple[str, ...], AggregateRow]:
    return {tuple(row.values): row for row in rows}


@given(
    latencies=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10**6)), min_size=1, max_size=30),
    statistic=st.sampled_from(["p50", "p90", "p95", "p99", "mean", "min", "max", "sum"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
def test_statistics_are_those_of_the_values(
    store: TelemetryStore, search: SearchReader, latencies: list[tuple[str, int]], statistic: str
) -> None:
    arrival = Arrival(store, new_trace_id())
    arrival.spans(*(span(service=service, end_ns=MIDNIGHT_NS + us * 1000) for service, us in latencies))
    measures = [parse_measure(f"{statistic}(latency)"), parse_measure("count")]
    rows = by_values(search.aggregate(scope(arrival.project_id), measures, [parse_dimension("service")], None, 9))
    numpy_statistics: Mapping[str, Callable[[list[float]], float]] = {
        "mean": lambda found: float(np.mean(found)),
        "min": min,
        "max": max,
        "sum": math.fsum,
    }
    for service in {service for service, _ in latencies}:
        found = [us / 1000 for one, us in latencies if one == service]
        expected = (
            numpy_statistics[statistic](found)
            if statistic in numpy_statistics
            else float(np.quantile(found, int(statistic[1:]) / 100))
        )
        point = rows[(service,)].points[0]
        assert point.value == pytest.approx(expected)
        assert (point.unknown, rows[(service,)].count) == (0, len(found))


def test_money_and_tokens_are_those_of_leaves_and_unknown_is_not_zero(search: SearchReader, arrival: Arrival) -> None:
    root = span(service="a")
    outer = model_span(root, cost_usd=Decimal(7))
    unpriced = model_span(span(service="b"), cost_usd=None, usage=Usage())
    arrival.spans(root, outer, model_span(outer, cost_usd=Decimal("0.1")), unpriced, span(service="c"))
    measures = [
        parse_measure(text) for text in ("sum(cost_usd)", "sum(tokens.total)", "mean(cost_usd)", "max(cost_usd)")
    ]
    rows = by_values(search.aggregate(scope(arrival.project_id), measures, [parse_dimension("service")], None, 9))
    told = {name: [(point.value, point.unknown) for point in row.points] for (name,), row in rows.items()}
    assert told["a"] == [(Decimal("0.1"), 0), (15.0, 0), (0.1, 0), (Decimal("0.1"), 0)]
    assert told["b"] == [(None, 1), (None, 1), (None, 1), (None, 1)]
    assert told["c"] == [(Decimal(0), 0), (0.0, 0), (None, 0), (None, 0)]


def test_what_is_in_no_series_of_its_own_is_together(search: SearchReader, arrival: Arrival) -> None:
    sizes = {"a": 1, "b": 3, "c": 2, "": 1}
    arrival.spans(
        *(
            span(service=service, end_ns=MIDNIGHT_NS + (number + 1) * SECOND_NS)
            for service, size in sizes.items()
            for number in range(size)
        )
    )
    measures = [parse_measure("count"), parse_measure("p50(latency)")]
    rows = search.aggregate(scope(arrival.project_id), measures, [parse_dimension("service")], None, 2)
    assert [(row.values, row.is_other, row.count) for row in rows] == [
        (["b"], False, 3),
        (["c"], False, 2),
        ([], True, 2),
    ]
    assert [row.points[1].value for row in rows] == [2000.0, 1500.0, 1000.0]


def test_the_largest_series_are_those_with_the_largest_sum_of_the_first_measure(
    search: SearchReader, arrival: Arrival
) -> None:
    many = [model_span(span(), user_id="many", cost_usd=Decimal("0.001")) for _ in range(5)]
    arrival.spans(*many, model_span(span(), user_id="dear", cost_usd=Decimal(9)))
    rows = search.aggregate(
        scope(arrival.project_id), [parse_measure("sum(cost_usd)")], [parse_dimension("user")], None, 1
    )
    assert [row.values for row in rows] == [["dear"], []]


def test_time_is_cut_into_stretches(search: SearchReader, arrival: Arrival) -> None:
    arrival.spans(*(span(start_ns=MIDNIGHT_NS + minutes * 60 * SECOND_NS) for minutes in (0, 59, 60, 185)))
    rows = search.aggregate(scope(arrival.project_id), [parse_measure("count")], [], HOUR_NS, 9)
    assert [((row.start_ns - MIDNIGHT_NS) // HOUR_NS, row.count) for row in rows] == [(0, 2), (1, 1), (3, 1)]


def test_spans_split_by_tags_keys_and_flags(search: SearchReader, arrival: Arrival) -> None:
    arrival.spans(
        span(tags=["x", "y"], attributes={"region": '"eu"'}),
        span(tags=["x"], attributes={"region": "7"}),
        span(parent_span_id="0" * 16),
    )
    count = [parse_measure("count")]

    def counts(text: str) -> dict[tuple[str, ...], int]:
        rows = search.aggregate(scope(arrival.project_id), count, [parse_dimension(text)], None, 9)
        return {values: row.count for values, row in by_values(rows).items()}

    assert counts("tags") == {("x",): 2, ("y",): 1, ("",): 1}
    assert counts('attributes["region"]') == {("eu",): 1, ("7",): 1, ("",): 1}
    assert counts("root") == {("true",): 2, ("false",): 1}


def test_distinct_counts_values_and_the_mean_of_errors_is_their_rate(search: SearchReader, arrival: Arrival) -> None:
    arrival.spans(span(user_id="u"), span(user_id="u", status="error"), span(user_id="v"), span())
    measures = [parse_measure("distinct(user)"), parse_measure("distinct(trace)"), parse_measure("mean(error)")]
    (row,) = search.aggregate(scope(arrival.project_id), measures, [], None, 9)
    assert [point.value for point in row.points] == [2, 4, 0.25]


def test_each_score_counts_once_with_the_first_span_that_it_is_about(search: SearchReader, arrival: Arrival) -> None:
    root = span(session_id="s")
    call, later = model_span(root, request_model="m1"), model_span(root, request_model="m2", start_ns=MIDNIGHT_NS + 5)
    arrival.spans(root, call, later, unscored := model_span(span(), request_model="m3"))
    arrival.scores(
        score(trace_id=root.trace_id, value=0.5),
        score(trace_id=root.trace_id, span_id=later.span_id, value=0.25),
        score(session_id="s", value=1.0),
        score(trace_id=unscored.trace_id, name="other", value=9.0),
    )
    measures = [
        parse_measure("mean(score.helpfulness)"),
        parse_measure("count"),
        parse_measure("sum(score.helpfulness)"),
    ]
    chats = scope(arrival.project_id, 'kind = "chat"')
    rows = by_values(search.aggregate(chats, measures, [parse_dimension("model")], None, 9))
    assert {values: [point.value for point in row.points] for values, row in rows.items()} == {
        ("m1",): [0.75, 1.0, 1.5],
        ("m2",): [0.25, 1.0, 0.25],
        ("m3",): [None, 1.0, 0.0],
    }
    (whole,) = search.aggregate(chats, [parse_measure("sum(score.helpfulness)")], [], None, 9)
    assert whole.points[0].value == 1.75


def test_values_can_be_completed(search: SearchReader, arrival: Arrival) -> None:
    arrival.spans(
        span(service="Alpha", attributes={"k1": "1"}), span(service="alpine"), span(service="Alpha"), span(service="b")
    )
    arrival.scores(score(), score(), score(name="tone"))
    everything = scope(arrival.project_id)

    def found(field: FieldRef, prefix: str) -> list[tuple[str, int]]:
        return [(facet.value, facet.count) for facet in search.facets(everything, field, prefix, 9)]

    assert found(FieldRef("service"), "AL") == [("Alpha", 2), ("alpine", 1)]
    assert found(FieldRef("service"), "%") == []
    assert found(FieldRef("attributes"), "") == [("k1", 1)]
    assert found(FieldRef("attributes", "k1"), "") == [("1", 1)]
    assert found(FieldRef("score"), "") == [("helpfulness", 2), ("tone", 1)]
