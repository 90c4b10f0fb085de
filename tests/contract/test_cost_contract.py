"""What the sums of cost promise: each attempt once, each call once, each model span of a program once."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from msgspec.structs import replace

from zirkel.core import Span, SpanKind, Usage, new_span_id, new_trace_id
from zirkel.store.telemetry import TelemetryStore
from zirkel.store.telemetry.cost_queries import TelemetryCosts

START_NS = 1_790_000_000_000_000_000
END_NS = START_NS + 3600 * 10**9


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelemetryStore]:
    opened = TelemetryStore.open(path=tmp_path_factory.mktemp("telemetry"))
    yield opened
    opened.close()


def span(project_id: str, kind: SpanKind, **changes: object) -> Span:
    made = Span(
        project_id=project_id,
        trace_id=new_trace_id(),
        span_id=new_span_id(),
        name="span",
        kind=kind,
        source="gateway",
        start_ns=START_NS,
        end_ns=START_NS + 10**9,
        service="triage",
        user_id="u1",
    )
    return replace(made, **changes)


def attempt(call: Span, **changes: object) -> Span:
    return span(
        call.project_id,
        SpanKind.CHAT,
        **{
            "trace_id": call.trace_id,
            "parent_span_id": call.span_id,
            "provider": "openai",
            "request_model": "gpt",
            "price_digest": "p1",
            "usage": Usage(input_tokens=100, output_tokens=10, cache_read_tokens=5),
            "cost_usd": Decimal("0.25"),
            **changes,
        },
    )


def test_calls_hits_and_attempts_are_counted_once_even_if_they_were_sent_twice(store: TelemetryStore) -> None:
    project = new_trace_id()
    first, kept = span(project, SpanKind.CALL), span(project, SpanKind.CALL, cache="semantic_hit")
    spans = [first, kept, attempt(first), attempt(first, cost_usd=None, usage=Usage())]
    for _ in range(2):
        store.insert(spans, received_ns=1)
    costs = TelemetryCosts(store.engine)

    (calls,) = costs.calls(project, "service", START_NS, END_NS)
    assert (calls.segment, calls.calls, calls.cache_hits) == ("triage", 2, 1)
    (used,) = costs.attempts(project, "user", START_NS, END_NS)
    assert (used.segment, used.model, used.price_digest) == ("u1", "openai/gpt", "p1")
    assert (used.attempts, used.unpriced, used.cost_usd) == (1, 1, Decimal("0.25"))
    assert used.tokens["input_tokens"] == 100
    assert used.tokens["cache_read_tokens"] == 5
    assert used.tokens["reasoning_tokens"] == 0


def test_a_judges_call_counts_and_costs(store: TelemetryStore) -> None:
    project = new_trace_id()
    judge = span(project, SpanKind.EVALUATOR)
    store.insert([judge, attempt(judge)], received_ns=1)
    costs = TelemetryCosts(store.engine)

    assert [found.calls for found in costs.calls(project, "service", START_NS, END_NS)] == [1]
    assert [found.cost_usd for found in costs.attempts(project, "service", START_NS, END_NS)] == [Decimal("0.25")]


def test_a_programs_span_that_caused_a_call_to_the_gateway_is_neither_call_nor_cost(store: TelemetryStore) -> None:
    project = new_trace_id()
    outer = attempt(span(project, SpanKind.SPAN), source="otlp", parent_span_id="")
    call = span(project, SpanKind.CALL, trace_id=outer.trace_id, parent_span_id=outer.span_id)
    alone = attempt(span(project, SpanKind.SPAN), source="otlp", cost_usd=Decimal(3))
    store.insert([outer, call, attempt(call), alone], received_ns=1)
    costs = TelemetryCosts(store.engine)

    (calls,) = costs.calls(project, "service", START_NS, END_NS)
    assert calls.calls == 2
    (used,) = costs.attempts(project, "service", START_NS, END_NS)
    assert (used.attempts, used.cost_usd) == (2, Decimal("3.25"))


def test_only_the_window_the_project_and_the_service_count(store: TelemetryStore) -> None:
    project = new_trace_id()
    call = span(project, SpanKind.CALL)
    other = span(project, SpanKind.CALL, service="other")
    late = span(project, SpanKind.CALL, start_ns=END_NS)
    store.insert([call, other, late, attempt(call), attempt(late, start_ns=END_NS)], received_ns=1)
    costs = TelemetryCosts(store.engine)

    assert [row.calls for row in costs.calls(project, "service", START_NS, END_NS, service="triage")] == [1]
    assert [row.attempts for row in costs.attempts(project, "service", START_NS, END_NS)] == [1]
    assert costs.calls(new_trace_id(), "service", START_NS, END_NS) == []


def test_a_service_alone_is_told_the_same_as_among_all(store: TelemetryStore) -> None:
    project = new_trace_id()
    outer = attempt(span(project, SpanKind.SPAN), source="otlp", parent_span_id="", service="shop", cost_usd=Decimal(9))
    call = span(project, SpanKind.CALL, trace_id=outer.trace_id, parent_span_id=outer.span_id, start_ns=END_NS)
    store.insert([outer, call, attempt(call, start_ns=END_NS)], received_ns=1)
    costs = TelemetryCosts(store.engine)
    # What the shop's call caused belongs to another service and starts after the window; it has the cost all the same.
    for until_ns in (END_NS, END_NS + 1):
        among_all = [row for row in costs.attempts(project, "service", START_NS, until_ns) if row.segment == "shop"]
        assert costs.attempts(project, "service", START_NS, until_ns, service="shop") == among_all == []
        assert costs.calls(project, "service", START_NS, until_ns, service="shop") == []
