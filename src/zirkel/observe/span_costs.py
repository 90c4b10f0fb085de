"""What spans cost that came from elsewhere without a cost. Pure but for the port it asks."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from zirkel.core import Span, SpanKind, Usage
from zirkel.observe.normalise import leaf_model_spans

_NO_USAGE = Usage()


class SpanPricer(Protocol):
    """Prices of projects."""

    def price(
        self, project_id: str, provider: str, model: str, start_ns: int, usage: Usage
    ) -> tuple[Decimal | None, str]:
        """Return the cost in USD and the digest of the price table; ``(None, "")`` if a price is unknown."""
        ...


def with_costs(spans: Sequence[Span], pricer: SpanPricer) -> list[Span]:
    """Return the spans, in their order, with costs for model calls that have usage and no cost.

    A cost that was sent is kept, 0 included, because something may be free; the reading of a dialect makes a 0 that
    means *unknown* none. Attempts of the gateway are left alone: it settled them. Of the calls at hand only leaves are
    priced, for what is above one repeats it. What stays without a cost is *unknown*.
    """
    if not any(_is_open(span) for span in spans):
        return list(spans)
    priced = {
        (span.trace_id, span.span_id): _priced(span, pricer) for span in leaf_model_spans(spans) if _is_open(span)
    }
    return [priced.get((span.trace_id, span.span_id), span) if _is_open(span) else span for span in spans]


def _is_open(span: Span) -> bool:
    return span.source == "otlp" and span.cost_usd is None and span.usage != _NO_USAGE


def _priced(span: Span, pricer: SpanPricer) -> Span:
    """Return the span with the price of the answering model, else of the requested one."""
    usage = _complete(span)
    for model in dict.fromkeys((span.response_model, span.request_model)):
        if not model:
            continue
        cost_usd, digest = pricer.price(span.project_id, span.provider, model, span.start_ns, usage)
        if cost_usd is not None:
            return msgspec.structs.replace(span, cost_usd=cost_usd, price_digest=digest)
    return span


def _complete(span: Span) -> Usage:
    """Return the usage to price: embeddings have no output, and their senders do not report that it is 0."""
    if span.kind is SpanKind.EMBEDDING and span.usage.output_tokens is None:
        return msgspec.structs.replace(span.usage, output_tokens=0)
    return span.usage
