from decimal import Decimal
from pathlib import Path

import pytest

from zirkel.core import Span, SpanKind, Usage
from zirkel.lib.otlp import decode_traces
from zirkel.observe.normalise import leaf_model_spans, normalise_span
from zirkel.observe.span_costs import with_costs

FIXTURES = Path(__file__).parents[2] / "fixtures" / "otlp"
USED = Usage(input_tokens=10, output_tokens=5)


class Prices:
    """A port that knows some models, at one USD for each token."""

    def __init__(self, *models: str) -> None:
        self.models = models
        self.asked: list[tuple[str, str, str, int]] = []

    def price(
        self, project_id: str, provider: str, model: str, start_ns: int, usage: Usage
    ) -> tuple[Decimal | None, str]:
        self.asked.append((project_id, provider, model, start_ns))
        if model not in self.models or usage.input_tokens is None or usage.output_tokens is None:
            return None, ""
        return Decimal(usage.input_tokens + usage.output_tokens), "d1"


def span(
    span_id: str = "b" * 16,
    *,
    parent: str = "",
    kind: SpanKind = SpanKind.CHAT,
    source: str = "otlp",
    usage: Usage = USED,
    cost_usd: Decimal | None = None,
    models: tuple[str, str] = ("asked", "answered"),
) -> Span:
    return Span(
        project_id="p1",
        trace_id="a" * 32,
        span_id=span_id,
        parent_span_id=parent,
        name="n",
        kind=kind,
        source=source,
        provider="openai",
        request_model=models[0],
        response_model=models[1],
        start_ns=7,
        end_ns=8,
        usage=usage,
        cost_usd=cost_usd,
    )


def test_a_call_without_a_cost_gets_that_of_the_answering_model_at_its_time() -> None:
    prices = Prices("asked", "answered")
    (priced,) = with_costs([span()], prices)
    assert (priced.cost_usd, priced.price_digest) == (Decimal(15), "d1")
    assert prices.asked == [("p1", "openai", "answered", 7)]


def test_the_requested_model_is_asked_for_if_the_answering_one_is_not_priced() -> None:
    prices = Prices("asked")
    (priced,) = with_costs([span()], prices)
    assert (priced.cost_usd, [asked[2] for asked in prices.asked]) == (Decimal(15), ["answered", "asked"])


def test_an_unknown_price_stays_unknown() -> None:
    assert with_costs([span()], Prices()) == [span()]


@pytest.mark.parametrize(
    "left_alone",
    [
        span(cost_usd=Decimal("0.5")),
        span(cost_usd=Decimal(0)),
        span(usage=Usage()),
        span(source="gateway"),
        span(kind=SpanKind.AGENT),
        span(kind=SpanKind.CALL),
    ],
)
def test_what_has_a_cost_or_no_usage_or_is_no_call_from_elsewhere_is_left_alone(left_alone: Span) -> None:
    prices = Prices("asked", "answered")
    assert with_costs([left_alone], prices) == [left_alone]
    assert prices.asked == []


def test_a_call_above_another_repeats_it_and_gets_no_cost() -> None:
    outer, inner = span("c" * 16), span("d" * 16, parent="c" * 16)
    costs = [one.cost_usd for one in with_costs([outer, inner], Prices("answered"))]
    assert costs == [None, Decimal(15)]


def test_an_embedding_has_no_output_to_report() -> None:
    (priced,) = with_costs([span(kind=SpanKind.EMBEDDING, usage=Usage(input_tokens=8))], Prices("answered"))
    assert (priced.cost_usd, priced.usage) == (Decimal(8), Usage(input_tokens=8))


def test_zero_costs_of_openlit_are_unknown_and_so_priced() -> None:
    decoded = decode_traces((FIXTURES / "openlit-002-traces.pb").read_bytes(), "protobuf")
    sent = [one.attributes.get("gen_ai.usage.cost") for one in decoded.spans]
    assert 0 in sent
    spans = with_costs(
        [normalise_span(one, project_id="p1") for one in decoded.spans], Prices("gpt-4o-mini-2024-07-18")
    )
    chats = [one for one in leaf_model_spans(spans) if one.kind is SpanKind.CHAT and one.status != "error"]
    assert len(chats) == 5
    assert all(one.cost_usd and one.cost_usd > 0 for one in chats)
