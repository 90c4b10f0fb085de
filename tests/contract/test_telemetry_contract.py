"""What the telemetry store promises: on the engine in this process, and on a server where one is given to the tests."""

import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from zirkel.core import (
    MODEL_KINDS,
    Invalid,
    Span,
    SpanEvent,
    SpanKind,
    Usage,
    derived_trace_id,
    new_span_id,
    new_trace_id,
)
from zirkel.core.filter_parser import parse_filter
from zirkel.core.search import Order, SearchScope, TraceRow
from zirkel.store.telemetry import Measure, TelemetryStore, ddl
from zirkel.store.telemetry.search import TelemetrySearch
from zirkel.store.telemetry.search_scope import LAST_NS

DAY_NS = 86_400 * 1_000_000_000
START_NS = 1_790_000_000_000_000_000
SERVER_URL = "ZIRKEL_TEST_CLICKHOUSE_URL"


@pytest.fixture(scope="module", params=["embedded", "server"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelemetryStore]:
    if request.param == "embedded":
        opened = TelemetryStore.open(path=tmp_path_factory.mktemp("telemetry"))
    else:
        url = os.environ.get(SERVER_URL)  # noqa: TID251 (a setting of the tests, not of the program)
        if not url:
            pytest.skip(f"{SERVER_URL} names no ClickHouse server")
        opened = TelemetryStore.open(url=url)
    yield opened
    opened.close()


@pytest.fixture
def project() -> str:
    """A project of its own for each test: they share one store."""
    return new_trace_id()


def insert(store: TelemetryStore, spans: Sequence[Span], received_ns: int = 1) -> None:
    store.insert(spans, received_ns=received_ns)


def call_span(project_id: str, **changes: object) -> Span:
    span = Span(
        project_id=project_id,
        trace_id=new_trace_id(),
        span_id=new_span_id(),
        name="call",
        kind=SpanKind.CALL,
        source="gateway",
        start_ns=START_NS,
        end_ns=START_NS + 2_000_000_000,
        status="ok",
        service="triage",
        environment="production",
        release="r1",
        arm="stable",
        input="question",
        output="answer",
    )
    return replace(span, **changes)


def attempt_span(call: Span, **changes: object) -> Span:
    attempt = replace(
        call,
        span_id=new_span_id(),
        parent_span_id=call.span_id,
        name="chat",
        kind=SpanKind.CHAT,
        usage=Usage(input_tokens=10, output_tokens=5),
        cost_usd=Decimal("0.5"),
    )
    return replace(attempt, **changes)


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
MAPS = st.dictionaries(TEXT, TEXT, max_size=3)
TOKENS = st.none() | st.integers(0, 2**63 - 1)
TIMES = st.integers(0, 5_662_224_000_000_000_000)
COSTS = st.none() | st.decimals(-999_999, 999_999, places=12, allow_nan=False, allow_infinity=False)
SPANS = st.builds(
    Span,
    project_id=st.just("replaced"),
    trace_id=st.just("replaced"),
    span_id=st.just("replaced"),
    parent_span_id=TEXT,
    name=TEXT,
    kind=st.sampled_from(SpanKind),
    source=TEXT,
    dialect=TEXT,
    start_ns=TIMES,
    end_ns=TIMES,
    status=st.sampled_from(["unset", "ok", "error"]),
    error_type=TEXT,
    status_message=TEXT,
    service=TEXT,
    environment=TEXT,
    release=TEXT,
    arm=TEXT,
    arm_probability=st.none() | st.floats(0, 1),
    prompt_name=TEXT,
    prompt_version=TEXT,
    unit=TEXT,
    session_id=TEXT,
    user_id=TEXT,
    key_id=TEXT,
    tags=st.lists(TEXT, max_size=3),
    operation=TEXT,
    provider=TEXT,
    request_model=TEXT,
    response_model=TEXT,
    parameters=MAPS,
    finish_reason=TEXT,
    is_stream=st.booleans(),
    attempt=st.integers(0, 2**32 - 1),
    attempt_reason=TEXT,
    cache=TEXT,
    settlement=TEXT,
    reserved_usd=st.none() | st.decimals(0, 999_999, places=12),
    is_provisional=st.booleans(),
    time_to_first_token_ns=TOKENS,
    usage=st.builds(
        Usage,
        input_tokens=TOKENS,
        cache_read_tokens=TOKENS,
        cache_write_tokens=TOKENS,
        cache_write_1h_tokens=TOKENS,
        input_audio_tokens=TOKENS,
        input_image_tokens=TOKENS,
        output_tokens=TOKENS,
        reasoning_tokens=TOKENS,
        output_audio_tokens=TOKENS,
        output_image_tokens=TOKENS,
        is_estimated=st.booleans(),
    ),
    cost_usd=COSTS,
    price_digest=TEXT,
    input=TEXT,
    output=TEXT,
    tools=TEXT,
    experiment_id=TEXT,
    item_id=TEXT,
    trial=TOKENS,
    scope_name=TEXT,
    attributes=MAPS,
    resource=MAPS,
    unmapped=st.lists(TEXT, max_size=3),
    events=st.lists(st.builds(SpanEvent, name=TEXT, time_ns=TIMES, attributes=MAPS), max_size=2),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(SPANS, min_size=1, max_size=4))
def test_whole_spans_come_back_as_they_were_inserted(store: TelemetryStore, spans: list[Span]) -> None:
    trace_id = new_trace_id()
    project_id = new_trace_id() + " '\"\\\x00;--"
    stored = [replace(span, project_id=project_id, trace_id=trace_id, span_id=new_span_id()) for span in spans]
    insert(store, stored)
    assert store.trace(project_id, trace_id) == sorted(stored, key=lambda span: (span.start_ns, span.span_id))


def test_every_field_of_a_span_is_in_that_property_test() -> None:
    fields = {*Span.__struct_fields__, *Usage.__struct_fields__}
    strategies = {name for name in fields if f"    {name}=" in Path(__file__).read_text()}
    assert strategies == fields


def test_costs_are_kept_to_twelve_decimals(store: TelemetryStore, project: str) -> None:
    span = call_span(project, cost_usd=Decimal("0.12345678901251"))
    insert(store, [span])
    assert store.trace(project, span.trace_id)[0].cost_usd == Decimal("0.123456789013")


def test_of_a_span_sent_twice_the_one_received_later_stands(store: TelemetryStore, project: str) -> None:
    call = call_span(project)
    insert(store, [replace(call, name="new")], received_ns=5)
    insert(store, [replace(call, name="late but older")], received_ns=4)
    for _ in range(2):
        assert [span.name for span in store.trace(project, call.trace_id)] == ["new"]
        assert store.count_spans(project) == 1
        assert [trace.name for trace in newest(store, project)] == ["new"]
        store.optimize()


@pytest.mark.parametrize("order", [[0, 1], [1, 0], [0, 1, 0]])
@pytest.mark.parametrize("is_merged_between", [False, True])
def test_a_provisional_span_never_replaces_the_true_one(
    store: TelemetryStore, project: str, order: list[int], is_merged_between: bool
) -> None:
    call = call_span(project)
    provisional = replace(call, name="provisional", is_provisional=True)
    for received_ns, index in enumerate(order):
        insert(store, [(provisional, call)[index]], received_ns=received_ns * 1000)
        if is_merged_between:
            store.optimize()
    assert store.trace(project, call.trace_id) == [call]
    assert [trace.name for trace in newest(store, project)] == ["call"]
    assert store.count_spans(project) == 1


def test_a_provisional_span_stands_until_the_true_one_comes(store: TelemetryStore, project: str) -> None:
    span = call_span(project, is_provisional=True, settlement="reserved", reserved_usd=Decimal("0.5"))
    insert(store, [span], received_ns=9)
    insert(store, [span], received_ns=8)
    assert store.trace(project, span.trace_id) == [span]
    assert store.count_spans(project) == 1


@pytest.mark.parametrize(
    ("reserved", "kept"),
    [("0.0000000000001", "0.000000000001"), ("999999.9999999999991", None), ("1000000", None), ("1e30", None)],
)
def test_a_reservation_is_kept_as_an_upper_bound_or_as_unknown(
    store: TelemetryStore, project: str, reserved: str, kept: str | None
) -> None:
    span = call_span(project, reserved_usd=Decimal(reserved))
    insert(store, [span])
    assert store.trace(project, span.trace_id)[0].reserved_usd == (None if kept is None else Decimal(kept))


def test_a_span_whose_start_was_corrected_to_another_day_is_one_span_of_its_trace(
    store: TelemetryStore, project: str
) -> None:
    call = call_span(project)
    insert(store, [call], received_ns=1)
    corrected = replace(call, start_ns=call.start_ns - 3 * DAY_NS)
    insert(store, [corrected], received_ns=2)
    assert store.trace(project, call.trace_id) == [corrected]


def test_spans_of_two_hundred_months_go_in_at_once(store: TelemetryStore, project: str) -> None:
    spans = [call_span(project, start_ns=month * 31 * DAY_NS, end_ns=month * 31 * DAY_NS) for month in range(200)]
    store.insert(spans, received_ns=1)
    store.insert(spans, received_ns=1)
    assert store.count_spans(project) == 200
    assert store.count_traces(project) == 200


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("start_ns", {"start_ns": -1}),
        ("start_ns", {"start_ns": 2**63}),
        ("end_ns", {"end_ns": 2**63}),
        ("attempt", {"attempt": 2**32}),
        ("trial", {"trial": 2**63}),
        ("time_to_first_token_ns", {"time_to_first_token_ns": -1}),
        ("usage.input_tokens", {"usage": Usage(input_tokens=2**63)}),
        ("usage.reasoning_tokens", {"usage": Usage(reasoning_tokens=-1)}),
        ("usage.output_image_tokens", {"usage": Usage(output_image_tokens=2**63)}),
        ("events.time_ns", {"events": [SpanEvent(name="e", time_ns=-1)]}),
        ("cost_usd", {"cost_usd": Decimal("1000000")}),
        ("cost_usd", {"cost_usd": Decimal("999999.9999999999999")}),
        ("cost_usd", {"cost_usd": Decimal("NaN")}),
        (None, {"input": "\ud800"}),
    ],
)
def test_a_value_without_a_place_refuses_the_whole_insert(
    store: TelemetryStore, project: str, path: str | None, changes: dict[str, object]
) -> None:
    bad = call_span(project, **changes)
    with pytest.raises(Invalid, match=bad.span_id) as caught:
        insert(store, [call_span(project), bad])
    assert caught.value.path == path
    assert store.count_spans(project) == 0


def test_nothing_is_seen_of_another_project(store: TelemetryStore, project: str) -> None:
    call = call_span(project, experiment_id="e", item_id="i", trial=0)
    insert(store, [call, attempt_span(call), call_span(project)])
    for other in ["", "other", project[:-1], f"{project}' OR 1=1 --", "%", "{project_id:String}"]:
        assert store.trace(other, call.trace_id) == []
        assert newest(store, other) == []
        assert store.service_usage(other, "triage", "production", 0, 2 * START_NS) == []
        assert store.experiment_answers(other, "e") == []
        assert not any(store.measure_values(other, "triage", 0, 2 * START_NS, 10).values())
        assert store.count_spans(other) == 0
        assert store.count_traces(other) == 0


def newest(
    store: TelemetryStore, project_id: str, service: str = "", since_ns: int = 0, limit: int = 50
) -> Sequence[TraceRow]:
    where = parse_filter(f'service = "{service}"' if service else "")
    scope = SearchScope(project_id=project_id, filter=where, since_ns=since_ns, until_ns=LAST_NS, now_ns=START_NS)
    return TelemetrySearch(store.engine).traces(scope, Order.START, limit).items


def test_traces_are_listed_newest_first_by_service_since_and_limit(store: TelemetryStore, project: str) -> None:
    calls = [
        call_span(project, start_ns=START_NS + index * DAY_NS, service=f"s{index % 2}", end_ns=START_NS + 9 * DAY_NS)
        for index in range(6)
    ]
    insert(store, calls)
    newest_first = [call.trace_id for call in reversed(calls)]
    assert [trace.trace_id for trace in newest(store, project)] == newest_first
    assert [trace.trace_id for trace in newest(store, project, limit=2)] == newest_first[:2]
    assert [trace.trace_id for trace in newest(store, project, service="s1")] == newest_first[::2]
    since = newest(store, project, since_ns=START_NS + 4 * DAY_NS)
    assert [trace.trace_id for trace in since] == newest_first[:2]
    assert store.count_traces(project, START_NS + 4 * DAY_NS) == 2
    assert newest(store, project, service="nobody's") == []


@st.composite
def scattered_traces(draw: st.DrawFn) -> list[Span]:
    """Spans of few traces over few days, some of a trace days apart, at the edges of days too."""
    spans = []
    for _ in range(draw(st.integers(1, 12))):
        start_ns = START_NS // DAY_NS * DAY_NS + draw(st.integers(0, 3)) * DAY_NS
        start_ns += draw(st.sampled_from([0, 1, 5 * 10**12, DAY_NS - 1]))
        service = draw(st.sampled_from(["triage", "other"]))
        trace_id = f"{draw(st.integers(0, 5)):032x}"
        spans.append(call_span("replaced", trace_id=trace_id, start_ns=start_ns, end_ns=start_ns, service=service))
    return spans


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    scattered_traces(),
    st.sampled_from(["", "triage"]),
    st.sampled_from([0, START_NS // DAY_NS * DAY_NS + 2 * DAY_NS + 1]),
    st.integers(1, 6),
)
def test_the_newest_traces_are_those_a_look_at_all_of_them_finds(
    store: TelemetryStore, drawn: list[Span], service: str, since_ns: int, limit: int
) -> None:
    project_id = new_trace_id()
    spans = [replace(span, project_id=project_id) for span in drawn]
    insert(store, spans)
    starts: dict[str, int] = {}
    for span in spans:
        if service in ("", span.service) and span.start_ns >= since_ns:
            starts[span.trace_id] = min(span.start_ns, starts.get(span.trace_id, span.start_ns))
    expected = sorted(starts, key=lambda trace_id: (starts[trace_id], trace_id), reverse=True)[:limit]
    found = newest(store, project_id, service, since_ns, limit)
    assert [trace.trace_id for trace in found] == expected


def test_more_traces_than_a_page_that_only_went_on_today_hide_none_that_began_today(
    store: TelemetryStore, project: str
) -> None:
    today_ns = START_NS // DAY_NS * DAY_NS
    old = [call_span(project, start_ns=today_ns - 10 - number) for number in range(60)]
    went_on = [attempt_span(call, start_ns=today_ns + 1000 + number) for number, call in enumerate(old)]
    new = call_span(project, start_ns=today_ns + 1)
    insert(store, [*old, *went_on, new])
    assert [trace.trace_id for trace in newest(store, project, limit=1)] == [new.trace_id]
    assert len(newest(store, project, limit=100)) == 61


def test_a_sealed_day_says_what_it_said_before_and_takes_what_comes_later(store: TelemetryStore, project: str) -> None:
    call = call_span(project, start_ns=START_NS - 40 * DAY_NS)
    for received_ns in (1, 2):
        insert(store, [replace(call, name=f"version {received_ns}")], received_ns=received_ns)
    assert store.seal_days(quiet_s=0) > 0
    assert store.seal_days(quiet_s=0) == 0
    assert [span.name for span in store.trace(project, call.trace_id)] == ["version 2"]
    insert(store, [replace(call, name="version 3")], received_ns=3)
    assert [span.name for span in store.trace(project, call.trace_id)] == ["version 3"]
    assert store.count_spans(project) == 1


def test_a_day_that_something_just_came_for_is_not_sealed(store: TelemetryStore, project: str) -> None:
    for _ in range(2):
        insert(store, [call_span(project, start_ns=START_NS - 41 * DAY_NS)])
    assert store.seal_days(quiet_s=3600) == 0


def test_queries_do_not_wait_for_each_other_nor_for_an_insert(store: TelemetryStore, project: str) -> None:
    insert(store, [call_span(project)])
    engine = store._engine
    with engine.without_inserts():
        counts: list[int] = []
        thread = threading.Thread(target=lambda: counts.append(store.count_spans(project)))
        thread.start()
        thread.join(timeout=60)
        assert counts == [1]


def test_a_trace_summary_counts_only_leaf_model_spans(store: TelemetryStore, project: str) -> None:
    """An application's own chat span, through the gateway to the attempt that cost something."""
    app = Span(
        project_id=project,
        trace_id=new_trace_id(),
        span_id=new_span_id(),
        name="app",
        source="otlp",
        start_ns=START_NS,
        end_ns=START_NS + 9,
        status="ok",
    )
    chat = replace(app, span_id=new_span_id(), parent_span_id=app.span_id, kind=SpanKind.CHAT, cost_usd=Decimal(7))
    call = call_span(project, trace_id=app.trace_id, parent_span_id=chat.span_id, start_ns=START_NS + 2, end_ns=0)
    failed = attempt_span(call, status="error", cost_usd=None, end_ns=0)
    answered = attempt_span(call, attempt=1, cost_usd=Decimal("0.25"), end_ns=0)
    tool = replace(app, span_id=new_span_id(), kind=SpanKind.TOOL, cost_usd=Decimal(100), parent_span_id=app.span_id)
    spans = [answered, tool, failed, call, chat, app]
    insert(store, spans)
    insert(store, spans)
    (trace,) = newest(store, project)
    assert (trace.trace_id, trace.name, trace.status) == (app.trace_id, "app", "ok")
    assert (trace.service, trace.release, trace.arm) == ("triage", "r1", "stable")
    assert (trace.start_ns, trace.duration_ns, trace.totals.spans) == (START_NS, 9, 6)
    assert (trace.totals.cost_usd, trace.totals.unknown_costs) == (Decimal("0.25"), 1)


def test_a_trace_without_a_known_cost_has_none(store: TelemetryStore, project: str) -> None:
    call = call_span(project)
    insert(store, [call, attempt_span(call, cost_usd=None)])
    (trace,) = newest(store, project)
    assert (trace.totals.cost_usd, trace.totals.unknown_costs) == (None, 1)


def test_a_trace_whose_root_is_elsewhere_is_named_by_its_earliest_span(store: TelemetryStore, project: str) -> None:
    call = call_span(project, parent_span_id=new_span_id(), name="the call", status="error")
    insert(store, [attempt_span(call, start_ns=call.start_ns + 1), call])
    (trace,) = newest(store, project)
    assert (trace.name, trace.status) == ("the call", "error")


@st.composite
def traffic(draw: st.DrawFn) -> list[list[Span]]:
    """Calls, each with its attempts, at the edges of the window and beyond, of several arms and environments."""
    calls = []
    for _ in range(draw(st.integers(1, 8))):
        start_ns = START_NS + draw(st.sampled_from([-1, 0, 5, DAY_NS - 1, DAY_NS]))
        call = call_span(
            "replaced",
            trace_id=draw(st.sampled_from(["a" * 32, "b" * 32, new_trace_id()])),
            start_ns=start_ns,
            end_ns=start_ns + draw(st.integers(0, 10**10)),
            status=draw(st.sampled_from(["ok", "error"])),
            environment=draw(st.sampled_from(["production", "production", "staging"])),
            service=draw(st.sampled_from(["triage", "triage", "other"])),
            release=draw(st.sampled_from(["r1", "r2"])),
            arm=draw(st.sampled_from(["stable", "candidate"])),
            experiment_id=draw(st.sampled_from(["", "", "experiment"])),
            time_to_first_token_ns=draw(st.none() | st.integers(0, 10**9)),
            input=draw(TEXT),
            output=draw(TEXT),
        )
        attempts = [
            attempt_span(
                call,
                kind=draw(st.sampled_from(sorted(MODEL_KINDS))),
                attempt=index,
                start_ns=start_ns + index * 10**9,
                time_to_first_token_ns=None,
                cost_usd=draw(st.none() | st.decimals(0, 10, places=12)),
                usage=draw(SMALL_USAGES),
            )
            for index in range(draw(st.integers(0, 3)))
        ]
        calls.append([call, *attempts])
    return calls


INPUT_BUCKETS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "input_audio_tokens",
    "input_image_tokens",
)
OUTPUT_BUCKETS = ("output_tokens", "reasoning_tokens", "output_audio_tokens", "output_image_tokens")
BUCKETS = INPUT_BUCKETS + OUTPUT_BUCKETS
SMALL = st.none() | st.integers(0, 1000)
SMALL_USAGES = st.builds(Usage, *[SMALL] * len(BUCKETS))


def usage_of(counts: Iterable[int]) -> Usage:
    return replace(Usage(), **dict(zip(BUCKETS, counts, strict=True)))


def sum_of(buckets: Sequence[str], usages: Sequence[Usage]) -> int:
    return sum(getattr(usage, bucket) or 0 for usage in usages for bucket in buckets)


def test_those_are_all_the_buckets_in_order() -> None:
    assert (*BUCKETS, "is_estimated") == Usage.__struct_fields__


def in_project(calls: list[list[Span]], project_id: str) -> list[list[Span]]:
    return [[replace(span, project_id=project_id) for span in spans] for spans in calls]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(traffic(), st.booleans(), st.sampled_from([None, frozenset(), frozenset({"ann"})]))
def test_what_was_spent_equals_the_sum_by_hand(
    store: TelemetryStore, drawn: list[list[Span]], is_sent_twice: bool, users: frozenset[str] | None
) -> None:
    project_id = new_trace_id()
    since_ns = START_NS + DAY_NS // 2
    people = ("ann", "bob", "")
    spans = [
        replace(span, key_id=f"k{number % 2}", user_id=people[number % 3], reserved_usd=Decimal("0.25"))
        for number, call in enumerate(in_project(drawn, project_id))
        for span in call
    ]
    for _ in range(2 if is_sent_twice else 1):
        insert(store, [*spans, *(replace(span, span_id=new_span_id(), source="otlp") for span in spans)])
    expected: dict[tuple[str, str, str], Decimal] = {}
    for span in spans:
        if span.kind in MODEL_KINDS and span.start_ns >= since_ns:
            user = span.user_id if users is None or span.user_id in users else ""
            group = (span.key_id, user, span.service)
            usd = span.reserved_usd if span.cost_usd is None else span.cost_usd
            expected[group] = expected.get(group, Decimal(0)) + (usd or Decimal(0))
    found = store.spent_since(project_id, since_ns, users)
    assert {(row.key_id, row.user_id, row.service): row.spent_usd for row in found} == expected
    assert len(found) == len(expected)


def test_an_attempt_of_unknown_cost_and_bound_spent_nothing(store: TelemetryStore, project: str) -> None:
    call = call_span(project)
    insert(store, [call, attempt_span(call, cost_usd=None, reserved_usd=None)])
    (row,) = store.spent_since(project, 0, None)
    assert row.spent_usd == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(traffic(), st.booleans())
def test_service_usage_equals_the_sum_by_hand(
    store: TelemetryStore, drawn: list[list[Span]], is_sent_twice: bool
) -> None:
    project_id = new_trace_id()
    calls = in_project(drawn, project_id)
    for _ in range(2 if is_sent_twice else 1):
        insert(store, [span for spans in calls for span in spans])
    groups: dict[tuple[str, str], list[list[Span]]] = {}
    for spans in calls:
        call = spans[0]
        is_counted = call.service == "triage" and call.environment == "production" and not call.experiment_id
        if is_counted and START_NS <= call.start_ns < START_NS + DAY_NS:
            groups.setdefault((call.release, call.arm), []).append(spans)
    answers = store.service_usage(project_id, "triage", "production", START_NS, START_NS + DAY_NS)
    assert {(answer.release, answer.arm) for answer in answers} == set(groups)
    assert [answer.first_ns for answer in answers] == sorted(answer.first_ns for answer in answers)
    for answer in answers:
        group = groups[answer.release, answer.arm]
        attempts = [span for spans in group for span in spans[1:]]
        assert answer.requests == len(group)
        assert answer.errors == sum(spans[0].status == "error" for spans in group)
        assert answer.fallback_answers == sum(spans[0].status != "error" and len(spans) > 2 for spans in group)
        assert answer.cost_usd == sum((span.cost_usd or Decimal(0) for span in attempts), Decimal(0))
        assert answer.unknown_costs == sum(span.cost_usd is None for span in attempts)
        usages = [span.usage for span in attempts]
        assert answer.input_tokens == sum_of(INPUT_BUCKETS, usages)
        assert answer.output_tokens == sum_of(OUTPUT_BUCKETS, usages)
        latencies_ms = [(spans[0].end_ns - spans[0].start_ns) / 1e6 for spans in group]
        assert math.isclose(answer.latency_p50_ms, float(np.quantile(latencies_ms, 0.5)), abs_tol=1e-5)
        assert math.isclose(answer.latency_p95_ms, float(np.quantile(latencies_ms, 0.95)), abs_tol=1e-5)
        ttfts_ms = [t / 1e6 for spans in group if (t := spans[0].time_to_first_token_ns) is not None]
        if ttfts_ms:
            assert answer.ttft_p50_ms is not None
            assert math.isclose(answer.ttft_p50_ms, float(np.quantile(ttfts_ms, 0.5)), abs_tol=1e-5)
        else:
            assert answer.ttft_p50_ms is None
        starts = [spans[0].start_ns for spans in group]
        assert (answer.first_ns, answer.last_ns) == (min(starts), max(starts))


def measured_value(span: Span, measure: Measure) -> float:
    if measure == "latency_ms":
        return (span.end_ns - span.start_ns) / 1e6
    return float(len(span.input if measure == "input_length" else span.output))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(traffic(), st.sampled_from(["input_length", "output_length", "latency_ms"]), st.integers(1, 5))
def test_measure_values_are_those_of_the_newest_calls_oldest_first(
    store: TelemetryStore, drawn: list[list[Span]], measure: Measure, limit: int
) -> None:
    project_id = new_trace_id()
    calls = in_project(drawn, project_id)
    for _ in range(2):
        insert(store, [span for spans in calls for span in spans])
    for environment in ("", "staging"):
        measured = sorted(
            (
                spans[0]
                for spans in calls
                if spans[0].service == "triage"
                and not spans[0].experiment_id
                and environment in ("", spans[0].environment)
                and START_NS <= spans[0].start_ns < START_NS + DAY_NS
            ),
            key=lambda span: (-span.start_ns, span.trace_id, span.span_id),
        )
        kept = [span for span in measured[:limit] if measure != "output_length" or span.status != "error"]
        expected = [measured_value(span, measure) for span in kept][::-1]
        got = store.measure_values(project_id, "triage", START_NS, START_NS + DAY_NS, limit, environment=environment)
        assert got[measure] == pytest.approx(expected)


def test_a_window_without_end_is_a_window(store: TelemetryStore, project: str) -> None:
    insert(store, [call_span(project)])
    assert [arm.requests for arm in store.service_usage(project, "triage", "production", 0, 2**63)] == [1]
    assert store.measure_values(project, "triage", 0, 2**63, 5)["output_length"] == [6.0]


def test_an_experiment_has_one_answer_per_trial_with_the_cost_of_all_its_attempts(
    store: TelemetryStore, project: str
) -> None:
    def trial_span(item_id: str, trial: int, **changes: object) -> Span:
        trace_id = derived_trace_id(project, item_id, str(trial))
        return call_span(project, trace_id=trace_id, experiment_id="e", item_id=item_id, trial=trial, **changes)

    first = trial_span("a", 0)
    fallback = trial_span("a", 1, output="from the fallback")
    unknown = trial_span("b", 0)
    own = trial_span("c", 0, cost_usd=Decimal("0.125"), usage=Usage(output_tokens=4))
    crashed = trial_span("d", 0, status="error", error_type="timeout", output="", start_ns=START_NS + 50)
    repeated = trial_span("d", 0, output="second time", end_ns=START_NS + 7)
    failed = trial_span("e", 0, status="error", error_type="refused", output="")
    spans = [
        first,
        attempt_span(first),
        fallback,
        attempt_span(fallback, cost_usd=Decimal("0.5"), usage=Usage(input_tokens=1)),
        attempt_span(fallback, attempt=1, cost_usd=Decimal("0.25"), usage=Usage(input_tokens=2, output_tokens=3)),
        unknown,
        attempt_span(unknown, cost_usd=Decimal(1)),
        attempt_span(unknown, attempt=1, cost_usd=None),
        own,
        crashed,
        repeated,
        failed,
        call_span(project, experiment_id="another", item_id="a", trial=0),
    ]
    insert(store, spans)
    insert(store, spans)
    answers = store.experiment_answers(project, "e")
    found = [(a.item_id, a.trial, a.output, a.status, a.error_type, a.cost_usd) for a in answers]
    assert found == [
        ("a", 0, "answer", "ok", "", Decimal("0.5")),
        ("a", 1, "from the fallback", "ok", "", Decimal("0.75")),
        ("b", 0, "answer", "ok", "", None),
        ("c", 0, "answer", "ok", "", Decimal("0.125")),
        ("d", 0, "second time", "ok", "", None),
        ("e", 0, "", "error", "refused", None),
    ]
    assert answers[1].usage == Usage(input_tokens=3, output_tokens=3)
    assert answers[3].usage == Usage(output_tokens=4)
    assert (answers[4].duration_ns, answers[4].trace_id, answers[4].release) == (7, repeated.trace_id, "r1")
    assert store.experiment_answers(project, "") == []


def test_what_a_judge_said_of_an_answer_is_not_the_answer(store: TelemetryStore, project: str) -> None:
    call = call_span(project, experiment_id="e", item_id="a", trial=0)
    later = call.end_ns + 10**9
    judge = call_span(
        project, kind=SpanKind.EVALUATOR, experiment_id="e", item_id="a", trial=0, start_ns=later, end_ns=later + 1
    )
    insert(store, [call, attempt_span(call, cost_usd=Decimal("0.5"))])
    insert(store, [judge, attempt_span(judge, cost_usd=Decimal(7))])
    (answer,) = store.experiment_answers(project, "e")
    assert (answer.trace_id, answer.cost_usd) == (call.trace_id, Decimal("0.5"))


def test_an_experiments_answer_sums_every_bucket_of_its_attempts(store: TelemetryStore, project: str) -> None:
    call = call_span(project, experiment_id="e", item_id="a", trial=0)
    first, second = usage_of(range(1, 11)), replace(usage_of(range(10, 101, 10)), is_estimated=True)
    insert(store, [call, attempt_span(call, usage=first), attempt_span(call, attempt=1, usage=second)])
    (answer,) = store.experiment_answers(project, "e")
    assert answer.usage == replace(usage_of(range(11, 111, 11)), is_estimated=True)


def test_many_threads_share_one_store(store: TelemetryStore, project: str) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(5):
                call = call_span(project)
                insert(store, [call])
                assert store.trace(project, call.trace_id) == [call]
                assert newest(store, project)
        except BaseException as failure:  # noqa: BLE001 (handed to the test's own thread)
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.count_spans(project) == 20


def test_the_schema_knows_the_model_kinds_of_the_core() -> None:
    listed = ", ".join(f"'{kind.value}'" for kind in SpanKind if kind in MODEL_KINDS)
    assert f"is_model Bool ALIAS kind IN ({listed})" in ddl.MIGRATIONS[0]


def test_inserting_nothing_is_nothing(store: TelemetryStore, project: str) -> None:
    store.insert([], received_ns=1)
    assert store.count_spans(project) == 0


@pytest.mark.parametrize("given", [{}, {"path": Path("x"), "url": "http://localhost"}])
def test_a_store_is_opened_by_a_path_or_a_url(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="either a path or a URL"):
        TelemetryStore.open(**given)  # type: ignore[arg-type]


_PRELUDE = """
import os, sys
from pathlib import Path
from zirkel.core import Held, Incompatible, Span
from zirkel.store.telemetry import TelemetryStore, ddl

path = Path(sys.argv[1])

def span(index):
    return Span(project_id="p", trace_id=f"{index:032x}", span_id=f"{index:016x}", name="n", source="otlp",
                start_ns=10**18, end_ns=10**18)
"""


def run(path: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run ``script`` in a process of its own: the engine allows one folder in each."""
    return subprocess.run(
        [sys.executable, "-c", _PRELUDE + script, str(path)], capture_output=True, text=True, timeout=100, check=False
    )


def test_a_store_that_was_killed_has_what_it_said_it_kept(tmp_path: Path) -> None:
    killed = run(
        tmp_path,
        "store = TelemetryStore.open(path)\n"
        "for index in range(30):\n"
        "    store.insert([span(index)], received_ns=1)\n"
        "os.kill(os.getpid(), 9)\n",
    )
    assert killed.returncode == -9, killed.stderr
    again = run(
        tmp_path,
        "store = TelemetryStore.open(path)\n"
        "store.insert([span(29)], received_ns=1)\n"
        "store.insert([span(30)], received_ns=1)\n"
        "print(store.count_spans('p'), len(store.trace('p', f'{7:032x}')))\n"
        "store.close()\n",
    )
    assert again.stdout.split() == ["31", "1"], again.stderr
    assert not (tmp_path / "zirkel-insert.jsonl").exists()


def test_a_store_of_a_newer_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    newer = run(
        tmp_path,
        "ddl.MIGRATIONS += ('CREATE TABLE IF NOT EXISTS later (x UInt8) ENGINE = MergeTree ORDER BY x',)\n"
        "store = TelemetryStore.open(path); store.insert([span(1)], received_ns=1); store.close()\n"
        "TelemetryStore.open(path).close()\n",
    )
    assert newer.returncode == 0, newer.stderr
    older = run(
        tmp_path,
        "try:\n    TelemetryStore.open(path)\nexcept Incompatible as error:\n    print(error)\n",
    )
    known = ddl.FIRST_VERSION + len(ddl.MIGRATIONS) - 1
    expected = f"the telemetry store has schema version {known + 1}, this program knows {known}"
    assert older.stdout.startswith(expected), older.stderr
    assert run(
        tmp_path,
        "ddl.MIGRATIONS += ('never run',)\nprint(TelemetryStore.open(path).count_spans('p'))\n",
    ).stdout.split() == ["1"]


_CRASH_AMID_THE_STEPS = """
from zirkel.store.telemetry import queries
from zirkel.store.telemetry.engine import Engine
engine = Engine.embedded(path)
engine.execute(ddl.SCHEMA_VERSION_TABLE)
engine.execute(ddl.MIGRATIONS[0])
engine.execute(queries.RECORD_SCHEMA_VERSION.format(version=ddl.FIRST_VERSION))
engine.execute(ddl.MIGRATIONS[1])
os.kill(os.getpid(), 9)
"""


def test_steps_that_a_crash_cut_off_are_finished_by_the_next_start(tmp_path: Path) -> None:
    assert run(tmp_path, _CRASH_AMID_THE_STEPS).returncode == -9
    again = run(
        tmp_path,
        "store = TelemetryStore.open(path); store.insert([span(1)], received_ns=1)\n"
        "print(store.count_spans('p'), store.logs_of_trace('p', 't'), store.score_history('p', 's'))\n"
        "store.close(); TelemetryStore.open(path).close()\n",
    )
    assert again.stdout.strip() == "1 [] []", again.stderr


def test_a_store_from_before_the_first_release_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        "from zirkel.store.telemetry import queries\n"
        "from zirkel.store.telemetry.engine import Engine\n"
        "engine = Engine.embedded(path)\n"
        "engine.execute(ddl.SCHEMA_VERSION_TABLE)\n"
        "engine.execute(queries.RECORD_SCHEMA_VERSION.format(version=ddl.FIRST_VERSION - 1))\n"
        "engine.close()\n"
        "for _ in range(2):\n"
        "    try:\n        TelemetryStore.open(path)\n    except Incompatible as error:\n        print(error)\n",
    )
    told = f"the telemetry store has schema version {ddl.FIRST_VERSION - 1}, from before the first release"
    assert result.stdout.count(told) == 2, result.stderr


def test_a_folder_that_another_process_has_open_is_held(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        "import subprocess\n"
        "store = TelemetryStore.open(path)\n"
        "if len(sys.argv) == 2:\n"
        "    print(subprocess.run([sys.executable, '-c', open('/proc/self/cmdline').read().split(chr(0))[2],\n"
        "                          str(path), 'second'], capture_output=True, text=True).stderr)\n",
    )
    assert "zirkel.core.errors.Held" in result.stdout, result.stderr


def test_a_forked_child_is_told_so_instead_of_hanging(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        "store = TelemetryStore.open(path)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try:\n"
        "        store.count_spans('p')\n"
        "    except RuntimeError as error:\n"
        "        print(error, flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "store.close()\n",
    )
    assert "opened before a fork" in result.stdout, result.stderr


def test_a_span_that_somebody_sends_under_a_gateways_ids_does_not_replace_its_record(
    store: TelemetryStore, project: str
) -> None:
    call = call_span(project, cost_usd=Decimal("0.5"))
    forged = replace(call, source="otlp", name="forged", cost_usd=Decimal(0))
    for spans in ([forged], [call], [forged]):
        insert(store, spans, received_ns=1 + len(store.trace(project, call.trace_id)))
    assert [span.name for span in store.trace(project, call.trace_id)] == ["call"]
    assert store.count_spans(project) == 1
    (usage,) = store.service_usage(project, call.service, call.environment, START_NS - 1, START_NS + DAY_NS)
    assert usage.requests == 1
    insert(store, [replace(call, name="again")], received_ns=10)
    assert [span.name for span in store.trace(project, call.trace_id)] == ["again"]
