from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import MODEL_KINDS, Span, SpanKind
from zirkel.observe.normalise import leaf_model_spans


def span(span_id: str, parent: str = "", kind: SpanKind = SpanKind.CHAT, trace: str = "t") -> Span:
    return Span(
        project_id="p",
        trace_id=trace,
        span_id=span_id,
        parent_span_id=parent,
        name=span_id,
        kind=kind,
        source="otlp",
        start_ns=0,
        end_ns=1,
    )


def names(spans: list[Span]) -> list[str]:
    return [one.name for one in leaf_model_spans(spans)]


def test_model_call_above_another_does_not_count_even_through_plain_spans() -> None:
    spans = [span("a"), span("b", "a", SpanKind.WORKFLOW), span("c", "b"), span("d", "a", SpanKind.TOOL)]
    assert names(spans) == ["c"]


def test_a_clients_own_span_of_a_call_through_the_gateway_does_not_count_beside_the_gateways() -> None:
    client, call = span("client"), span("call", "client", SpanKind.CALL)
    assert names([client, call, span("first", "call"), span("second", "call")]) == ["first", "second"]
    assert names([client, call]) == [], "a cache answered, or nothing was called at all"
    assert names([client]) == ["client"]


def test_child_before_its_parent_and_orphans_count_the_same() -> None:
    assert names([span("c", "a"), span("a")]) == ["c"]
    assert names([span("c", "missing")]) == ["c"]


def test_same_span_id_in_another_trace_is_another_span() -> None:
    assert names([span("a"), span("c", "a", trace="other")]) == ["a", "c"]


def test_span_sent_twice_counts_once() -> None:
    assert names([span("a"), span("a"), span("b"), span("a")]) == ["a", "b"]


def test_span_that_is_its_own_parent_still_counts() -> None:
    assert names([span("a", "a")]) == ["a"]


IDS = st.sampled_from("abcdefgh")


@given(st.lists(st.builds(span, IDS, IDS | st.just(""), st.sampled_from(SpanKind)), unique_by=lambda one: one.span_id))
def test_leaves_are_those_that_no_other_model_call_reaches_upwards(spans: list[Span]) -> None:
    by_id = {one.span_id: one for one in spans}

    def ancestors(one: Span) -> set[str]:
        found: set[str] = set()
        parent = one.parent_span_id
        while parent in by_id and parent not in found:
            found.add(parent)
            parent = by_id[parent].parent_span_id
        return found - {one.span_id}

    models = [one for one in spans if one.kind in MODEL_KINDS]
    replacing = [one for one in spans if one.kind in MODEL_KINDS or one.kind is SpanKind.CALL]
    above = set().union(*(ancestors(one) for one in replacing))
    assert leaf_model_spans(spans) == [one for one in models if one.span_id not in above]
