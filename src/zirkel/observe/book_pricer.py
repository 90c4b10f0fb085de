"""Costs of spans from elsewhere, by the price books of their projects. Not thread safe."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from zirkel.core import Usage
from zirkel.core.gateway_check import PRICE_BUCKETS
from zirkel.observe.price_book import RENEWAL_NS, PriceBook
from zirkel.observe.prices import ModelPrices, Tier

_TABLE_NAMES = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}
"""What price tables call the providers that GenAI conventions name otherwise."""
_INPUTS = PRICE_BUCKETS[: PRICE_BUCKETS.index("output")]
_MOST_MODELS = 1000
"""So many are kept for each project; then all are looked up anew."""
_UNKNOWN: tuple[None, str] = (None, "")
_PER_MILLION = Decimal(1_000_000)

_Key = tuple[str, str, int]


class BookSource(Protocol):
    """The prices of projects."""

    def book(self, project_id: str) -> PriceBook:
        """Return a project's prices; the same object until they change."""
        ...


class BookPricer:
    """Prices spans; what a model costs in a period is looked up once."""

    def __init__(self, books: BookSource) -> None:
        self._books = books
        self._found: dict[str, tuple[PriceBook, dict[_Key, Sequence[ModelPrices]]]] = {}

    def price(
        self, project_id: str, provider: str, model: str, start_ns: int, usage: Usage
    ) -> tuple[Decimal | None, str]:
        """Return the cost in USD at a span's start and its table's digest; ``(None, "")`` if a price is unknown."""
        for prices in self._prices(project_id, provider, model, start_ns):
            if prices.effective_ns <= start_ns:
                cost_usd = usage_cost(usage, prices)
                return _UNKNOWN if cost_usd is None else (cost_usd, prices.table_digest)
        return _UNKNOWN

    def _prices(self, project_id: str, provider: str, model: str, start_ns: int) -> Sequence[ModelPrices]:
        book = self._books.book(project_id)
        known, found = self._found.get(project_id, (None, {}))
        if known is not book or len(found) >= _MOST_MODELS:
            found = {}
            self._found[project_id] = (book, found)
        period = start_ns // RENEWAL_NS
        key = (provider, model, period)
        if key not in found:
            upstream = _TABLE_NAMES.get(provider, provider)
            found[key] = book.prices(f"{upstream}/{model}", period * RENEWAL_NS) if upstream else ()
        return found[key]


def usage_cost(usage: Usage, prices: ModelPrices) -> Decimal | None:
    """Return the exact cost in USD of what was used.

    ``None`` is *unknown*: input or output was not reported, or a kind of token that was used has no price. The tier of
    all buckets is that of all input tokens together.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    counts: dict[str, int] = {bucket: getattr(usage, f"{bucket}_tokens") or 0 for bucket in PRICE_BUCKETS}
    total_input = sum(counts[bucket] for bucket in _INPUTS)
    cost_usd = Decimal(0)
    for bucket, tokens in counts.items():
        if tokens:
            rate = _rate(prices.buckets.get(bucket, ()), total_input)
            if rate is None:
                return None
            cost_usd += tokens * rate / _PER_MILLION
    return cost_usd


def _rate(tiers: Sequence[Tier], total_input: int) -> Decimal | None:
    reached = [tier for tier in tiers if tier.from_input_tokens <= total_input]
    return max(reached, key=lambda tier: tier.from_input_tokens).usd_per_million if reached else None
